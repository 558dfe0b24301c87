"""A recording from real H200s, backfilled into a real Prometheus and walked by the real loop."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoscaler.clock import WalkingClock
from autoscaler.model import Decision, Policy
from autoscaler.observe.prometheus import PrometheusSource
from autoscaler.run.loop import Loop, Tick
from tests.testbed.backfill import backfill
from tests.testbed.parts import PrometheusBinaries
from tests.testbed.prometheus_server import PrometheusServer


@contextmanager
def prometheus_over(
    recording: Path, binaries: PrometheusBinaries, scratch: Path
) -> Iterator[PrometheusServer]:
    """A Prometheus whose storage is the recording and nothing else."""
    backfill(binaries.promtool, recording / "scrapes.om.gz", scratch)
    with PrometheusServer(binaries, storage=scratch) as server:
        yield server


async def walk(
    url: str, policies: tuple[Policy, ...], start: float, end: float, step: float = 15.0
) -> list[Tick]:
    """`run --dry-run --from … --to … --step …`: the same loop, on a clock that walks."""
    source = PrometheusSource(url, scrape_interval=5.0, at=True)
    ticks: list[Tick] = []
    try:
        clock = WalkingClock(start)
        loop = Loop(
            lambda: policies, source, clock=clock, interval=step, on_tick=ticks.append, budget=30.0
        )
        await loop.run(until=end)
    finally:
        await source.close()
    return ticks


@dataclass(frozen=True)
class Walk:
    """The decisions of one policy by seconds since the load began."""

    by_second: dict[float, Decision]

    def at(self, second: float) -> Decision:
        """The decision in force then: the last one at or before that second."""
        return self.by_second[max(t for t in self.by_second if t <= second)]

    def between(self, start: float, end: float) -> list[Decision]:
        return [d for t, d in sorted(self.by_second.items()) if start <= t <= end]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))
