"""A small world for the loop: a source, a cluster and clocks that do what a story says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from autoscaler.model import (
    Hands,
    Missing,
    ModelSignals,
    Pod,
    Policy,
    Replicas,
    Sample,
    Target,
    Windows,
)
from autoscaler.observe.cluster import ClusterReading, TargetReading
from autoscaler.observe.port import PodReading, Readings
from tests.unit.decide.fleets import POLICY, WINDOWS, model

START = 1_000_000.0
SCALING = replace(POLICY, mode="scale")
UNKNOWN = Missing("not asked")


def named(name: str, **changes: object) -> Policy:
    return replace(
        POLICY,
        name=name,
        target=Target("default", name),
        **changes,  # type: ignore[arg-type]
    )


class FakeSource:
    """`rates` are requests/s of each pod; `does` may fail, hang or lie instead."""

    def __init__(self, *rates: float, target: str = "flower") -> None:
        self.name = "fake"
        self.windows: Windows = WINDOWS
        self.rates = rates
        self.target = target
        self.reads: list[tuple[float, tuple[str, ...]]] = []
        self.does: Callable[[], object] | None = None
        self.problems: tuple[str, ...] = ()
        self.failed: str | None = None
        self.closed = False

    async def read(self, queries: Sequence[str], now: float, deadline: float) -> Readings:
        self.reads.append((now, tuple(queries)))
        if self.does is not None:
            done = self.does()
            if asyncio.iscoroutine(done):
                await done
        pods = {
            ("default", f"{self.target}-{n}"): PodReading(
                now, (self._model(now, rate),), UNKNOWN, UNKNOWN
            )
            for n, rate in enumerate(self.rates)
        }
        return Readings(
            at=now,
            windows=self.windows,
            source=self.name,
            pods={} if self.failed else pods,
            metrics={query: Sample(1.0, now) for query in queries},
            problems=self.problems,
            failed=self.failed,
        )

    def _model(self, now: float, rate: float) -> ModelSignals:
        return model(now, rate)

    async def close(self) -> None:
        self.closed = True


class FakeCluster:
    """Replicas and pods by target name; an executor's write moves `replicas`."""

    def __init__(self, **replicas: int) -> None:
        self.replicas = dict(replicas)
        self.hands = Hands()
        self.does: Callable[[], object] | None = None

    async def read(
        self,
        targets: Sequence[Target],
        now: float,
        deadline: float,
        scaled: Collection[Target] = frozenset(),
    ) -> ClusterReading:
        if self.does is not None:
            done = self.does()
            if asyncio.iscoroutine(done):
                await done
        return ClusterReading({target: self._one(target) for target in targets})

    def _one(self, target: Target) -> TargetReading | Missing:
        count = self.replicas.get(target.name)
        if count is None:
            return Missing(f"no {target.name}")
        pods = tuple(Pod(f"{target.name}-{n}") for n in range(count))
        seen = Replicas(count, count, resource_version="7")
        return TargetReading(seen, pods, "app=x", hands=self.hands)


class JumpyClock:
    """Wall and monotonic clock that a test sets apart."""

    def __init__(self, wall: float = START) -> None:
        self.wall = wall
        self.ticks = 50.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.pass_(seconds)
        await asyncio.sleep(0)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds


class Log:
    """Keeps (level, event, fields)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        def say(event: str, **fields: object) -> None:
            self.lines.append((level, event, fields))

        return say

    def events(self, level: str) -> list[str]:
        return [event for said, event, _ in self.lines if said == level]
