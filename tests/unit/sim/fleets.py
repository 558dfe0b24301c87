"""A fleet to ask a baseline about: groups of pods with readings, no world behind them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from autoscaler.sim.serving import Group, Reading
from autoscaler.sim.supply import SimPod


@dataclass
class Fleet:
    """What baselines read of a FluidWorld. `serve(...)` adds pods that serve, `start(n)` others."""

    desired: int = 0
    scrape: float = 15.0
    groups: list[Group] = field(default_factory=list)
    pods: list[SimPod] = field(default_factory=list)
    totals: Any = field(default_factory=lambda: SimpleNamespace(sent=0.0, lost=0.0))

    @property
    def scenario(self) -> Any:
        return SimpleNamespace(scrape=self.scrape)

    @property
    def ready(self) -> int:
        return sum(group.count for group in self.groups)

    def serve(
        self,
        count: int,
        rate: float = 0.0,
        *,
        queueing: float = 0.0,
        pending: float = 0.0,
        duty: float = 0.0,
        scrapes: int = 21,
        until: float = 300.0,
    ) -> Fleet:
        """Each with `rate` requests/s and `queueing` seconds a second, as long as it was seen."""
        times = [until - self.scrape * back for back in reversed(range(scrapes))]
        readings = deque(
            Reading(at, rate * (at - times[0]), queueing * (at - times[0]), pending, duty)
            for at in times
        )
        group = Group(count, times[0] if times else until, readings, pending=pending)
        self.groups.append(group)
        for _ in range(count):
            pod = self._pod("ready")
            pod.started_at, pod.group = 0.0, group
        return self

    def start(self, count: int, phase: Any = "pulling") -> Fleet:
        """Pods on their way: `pulling` is Pending, `loading` is Running without series."""
        for _ in range(count):
            self._pod(phase).started_at = 0.0 if phase == "loading" else None
        return self

    def _pod(self, phase: Any) -> SimPod:
        pod = SimPod(f"pod-{len(self.pods)}", 0.0, 0.0, phase)
        self.pods.append(pod)
        self.desired += 1
        return pod
