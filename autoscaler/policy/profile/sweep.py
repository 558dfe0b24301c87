"""A load sweep as it was measured: one replica, one configuration, several loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from autoscaler.model import Sla

Mode: TypeAlias = Literal["closed", "open"]


class ProfileError(ValueError):
    """A file that gives no profile. `reason` goes on where the file's name left off.

    `line` counts from 1; None where no one line is at fault.
    """

    def __init__(self, reason: str, remedy: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.line = line


@dataclass(frozen=True, slots=True)
class Point:
    """One measured load.

    `load`: requests under way at once (closed loop), or requests/s offered (open loop).
    `requests_per_second`: answered; inferences/s divided by the client batch.
    `latency`: quantile (0.99) → seconds, at the client. `mean_latency`, `queue_time` (mean time in
    Triton's queue): seconds. `gpu_utilization`: 0 to 1, of the busiest GPU. None is not measured.
    `line` of its file, from 1.
    """

    load: float
    requests_per_second: float
    latency: Mapping[float, float]
    mean_latency: float | None = None
    queue_time: float | None = None
    gpu_utilization: float | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the server was set to, as far as the file says. `max_batch` is max_batch_size."""

    model: str = ""
    name: str = ""
    instances: int | None = None
    max_batch: int | None = None
    dynamic_batching: bool | None = None

    def __str__(self) -> str:
        """`resnet50_config_3 (2 instances, max batch 8)`; empty where the file says nothing."""
        facts = []
        if self.instances is not None:
            facts.append(f"{self.instances} instance{'s' if self.instances != 1 else ''}")
        if self.max_batch is not None:
            facts.append(f"max batch {self.max_batch}")
        if self.dynamic_batching:
            facts.append("dynamic batching")
        name = self.name or self.model
        return f"{name} ({', '.join(facts)})" if name and facts else name or ", ".join(facts)


@dataclass(frozen=True, slots=True)
class Profile:
    """The points in order of load; tools write them by throughput and leave unstable loads out.

    Closed loop: a fixed number of requests is kept under way, the next one leaves when one is
    answered; overload shows as latency only. Open loop: requests leave by the clock, as users
    send them. `batch`: inferences in one request. `source`: the file. `notes`: what the reader
    of the file should know, in sentences without the full stop.
    """

    points: tuple[Point, ...]
    mode: Mode = "closed"
    batch: int = 1
    configuration: Configuration = field(default_factory=Configuration)
    source: str = ""
    tool: str = ""
    notes: tuple[str, ...] = ()

    def quantiles(self) -> list[float]:
        """Those that every point has."""
        common = set(self.points[0].latency)
        for point in self.points[1:]:
            common &= set(point.latency)
        return sorted(common)

    def capacity(self, quantile: float, limit: float) -> float:
        """Requests/s at which latency reaches `limit` seconds, the first time as load grows.

        Raises ProfileError where `capacity_at` refuses.
        """
        from autoscaler.policy.profile.capacity import Refusal, capacity_at

        answer = capacity_at(self, Sla(latency=((quantile, limit),)))
        if isinstance(answer, Refusal):
            raise ProfileError(answer.reason, answer.remedy, answer.line)
        return answer.requests_per_second


def percentile(quantile: float) -> str:
    """0.99 → p99, 0.999 → p99.9."""
    return f"p{round(quantile * 100, 7):g}"


def load_number(load: float) -> str:
    """48, 1,600, 0.5."""
    return f"{load:,.0f}" if load >= 1000 else f"{load:.4g}"


def load_name(profile: Profile, load: float) -> str:
    """`concurrency 48`, `1,280 requests/s offered`."""
    number = load_number(load)
    return f"concurrency {number}" if profile.mode == "closed" else f"{number} requests/s offered"
