"""The port that both sources stand behind: what one read of the signals brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from autoscaler.model import ModelSignals, Signal, Windows

# The namespace, and the pod's name.
PodKey = tuple[str, str]

# A pod whose last sample is older than three scrapes and this many seconds is not fresh: one lost
# scrape and a late one must not count as a dead pod (at 15 s: 50 s).
SCRAPES_MISSED = 3
SCRAPE_SLACK = 5.0


@dataclass(frozen=True, slots=True)
class PodReading:
    """One pod's signals. `fresh_at` is the Unix time of its last good sample (-inf: never one).

    `failed` says why there is nothing newer, where the source knows.
    """

    fresh_at: float
    models: tuple[ModelSignals, ...]
    duty_cycle: Signal
    gpu_power: Signal
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """One read of everything. `failed`: nothing at all could be read, and why.

    `metrics` answers the policies' own PromQL, by query text. `problems` are sentences.
    """

    at: float
    windows: Windows
    source: str
    pods: Mapping[PodKey, PodReading] = field(default_factory=dict)
    metrics: Mapping[str, Signal] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    failed: str | None = None
    scrape_interval: float = 15.0

    @property
    def fresh_for(self) -> float:
        """Seconds after its last sample that a pod still counts as seen."""
        return SCRAPES_MISSED * self.scrape_interval + SCRAPE_SLACK


class Source(Protocol):
    """Where signals come from.

    A read never raises for what the network or the server does: it returns Missing, or `failed`,
    with the reason in words. `deadline` is the seconds that it may take, `now` Unix time.
    """

    name: str

    @property
    def windows(self) -> Windows: ...

    async def read(self, queries: Sequence[str], now: float, deadline: float) -> Readings: ...

    async def close(self) -> None: ...
