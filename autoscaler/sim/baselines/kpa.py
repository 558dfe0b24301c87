"""Knative's Pod Autoscaler (serving, pkg/autoscaler/scaling/autoscaler.go): stable and panic.

Two averages of what its queue-proxies count every second: over 60 s, and over 6 s. The short one
at twice what the ready pods are for means panic: the higher of both decides, and nothing shrinks
until 60 s after the last such look. Its proxies count every request, refused ones too.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from autoscaler.model import Bounds
from autoscaler.sim.fluid import FluidWorld


@dataclass(frozen=True, slots=True)
class KpaSettings:
    """`target`: requests/s, or requests inside, of one pod, times the target utilisation.

    Defaults of config-autoscaler; shares instead of percentages.
    """

    target: float
    metric: Literal["rps", "concurrency"] = "rps"
    stable_window: float = 60.0
    panic_window: float = 0.1  # of the stable window
    panic_threshold: float = 2.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    scale_down_delay: float = 0.0


class KpaLoop:
    """`scale` is the source's Scale(): one look, from the two averages and the ready pods."""

    def __init__(self, settings: KpaSettings, ready: int, now: float) -> None:
        self.settings = settings
        # A (re)started autoscaler with several pods panics first: it has no history to shrink by.
        self._panic_at = now if ready > 1 else None
        self._most = ready
        self._delayed: deque[tuple[float, int]] = deque()

    def scale(self, stable: float, panic: float, ready: int, now: float) -> int:
        s, pods = self.settings, max(1.0, float(ready))
        most = math.ceil(s.max_scale_up_rate * pods)
        least = math.floor(pods / s.max_scale_down_rate)
        for_stable = math.ceil(stable / s.target)
        for_panic = math.ceil(panic / s.target)
        wanted = min(max(for_stable, least), most)
        self._consider_panic(for_panic / pods >= s.panic_threshold, now)
        if self._panic_at is not None:
            wanted = max(wanted, min(max(for_panic, least), most))
            self._most = wanted = max(wanted, self._most)
        return self._delay(wanted, now)

    def _consider_panic(self, over: bool, now: float) -> None:
        if over:
            self._panic_at = now
        elif self._panic_at is not None and self._panic_at + self.settings.stable_window < now:
            self._panic_at, self._most = None, 0

    def _delay(self, wanted: int, now: float) -> int:
        """The highest wish of the delay: its window includes this look, not the one a delay ago."""
        delay = self.settings.scale_down_delay
        if delay <= 0:
            return wanted
        while self._delayed and self._delayed[0][0] <= now - delay:
            self._delayed.popleft()
        while self._delayed and self._delayed[-1][1] <= wanted:
            self._delayed.pop()  # a later, higher wish outlives them
        self._delayed.append((now, wanted))
        return self._delayed[0][1]


class Stretch(NamedTuple):
    """From one look to the next: what the proxies counted, or held, on average."""

    begin: float
    end: float
    value: float


class Kpa:
    """To be asked on each step of the world, the nearest there is to its tick of 2 s."""

    def __init__(self, name: str, settings: KpaSettings, bounds: Bounds) -> None:
        self.name, self.settings, self._bounds = name, settings, bounds
        self._loop: KpaLoop | None = None
        self._seen: deque[Stretch] = deque()
        self._counted: float | None = None
        self._at = 0.0

    def wants(self, world: FluidWorld, now: float) -> int:
        if self._loop is None:
            self._loop = KpaLoop(self.settings, world.ready, now)
        self._look(world, now)
        if not self._seen:
            return world.desired
        stable, panic = self._averages(now)
        wanted = self._loop.scale(stable, panic, world.ready, now)
        return max(self._bounds.min, min(self._bounds.max, wanted))

    def _look(self, world: FluidWorld, now: float) -> None:
        reached = world.totals.sent - world.totals.lost  # the latter found no pod, hence no proxy
        if self._counted is not None and now > self._at:
            rate = (reached - self._counted) / (now - self._at)
            value = rate if self.settings.metric == "rps" else _inside(world, rate)
            self._seen.append(Stretch(self._at, now, value))
            while self._seen[0].end <= now - self.settings.stable_window:
                self._seen.popleft()
        self._counted, self._at = reached, now

    def _averages(self, now: float) -> tuple[float, float]:
        """Over both windows, or over what there is of them."""
        stable = self.settings.stable_window
        return (
            average(self._seen, now - stable),
            average(self._seen, now - stable * self.settings.panic_window),
        )


def average(seen: Iterable[Stretch], since: float) -> float:
    """By how long each lasted since then: 6 s are a step of 5 s and a second of the last one."""
    total = lasted = 0.0
    for begin, end, value in seen:
        if end > since:
            length = end - max(begin, since)
            total += length * value
            lasted += length
    return total / lasted if lasted else 0.0


def _inside(world: FluidWorld, rate: float) -> float:
    """Requests inside all servers: those that wait, and (Little) those in execution.

    Execution takes a full batch's time at most: 1,500/s × 19.5 ms = 29 beside those that wait.
    """
    waiting = sum(group.count * group.pending for group in world.groups)
    if not world.ready:
        return waiting
    curve, each = world.scenario.server, rate / world.ready
    execution = curve.latency(each, 0.5) - curve.queue_time(each)
    return waiting + rate * min(max(execution, 0.0), curve.full)
