"""KEDA 2.18: a Prometheus trigger, and the HPA that KEDA makes of it.

From 1 replica on the HPA decides: External metric, AverageValue, asked every 15 s afresh, or read
from the last poll with `useCachedMetrics`. Between 0 and 1 KEDA itself: every `pollingInterval` it
looks whether a trigger is active, and `cooldownPeriod` after the last active poll it scales to 0.
Neither rule knows of pods that are on their way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from autoscaler.decide import hpa
from autoscaler.model import Behavior, Bounds
from autoscaler.sim.baselines import queries
from autoscaler.sim.baselines.hpa import SYNC, HpaLoop
from autoscaler.sim.fluid import FluidWorld


@dataclass(frozen=True, slots=True)
class KedaSettings:
    """`threshold`: per replica, of sum(rate(nv_inference_request_success[window])) or of
    sum(nv_inference_pending_request_count). Seconds; defaults of the ScaledObject.
    """

    threshold: float
    metric: Literal["requestsPerSecond", "pending"] = "requestsPerSecond"
    window: float = 60.0
    polling_interval: float = 30.0
    cooldown_period: float = 300.0
    use_cached_metrics: bool = False
    activation_threshold: float = 0.0
    tolerance: float = 0.1
    rules: Behavior | None = None


class Keda:
    """`bounds.min` 0 lets it scale to zero; the HPA beneath has a minimum of at least 1."""

    def __init__(self, name: str, settings: KedaSettings, bounds: Bounds) -> None:
        self.name, self.settings, self._min = name, settings, bounds.min
        self._loop = HpaLoop(Bounds(max(1, bounds.min), bounds.max), settings.rules)
        self._synced = self._polled = self._active = -math.inf
        self._cached: float | None = None

    def wants(self, world: FluidWorld, now: float) -> int:
        size = world.desired
        if now >= self._polled + self.settings.polling_interval:
            self._polled = now
            self._cached = queries.total(world, self._query(world.scenario.scrape))
            size = self._between_none_and_one(size, now)
        if now >= self._synced + SYNC and size > 0:
            self._synced = now
            size = self._loop.reconcile(size, self._proposal(world, size), now)
        return size

    def _between_none_and_one(self, size: int, now: float) -> int:
        """An empty answer is not active: at 0 replicas nobody exports Triton's counters."""
        active = self._cached is not None and self._cached > self.settings.activation_threshold
        if active:
            self._active = now
            return size or max(1, self._min)
        cooled = now > self._active + self.settings.cooldown_period
        return 0 if self._min == 0 and cooled else size

    def _proposal(self, world: FluidWorld, size: int) -> int | None:
        value = self._cached
        if not self.settings.use_cached_metrics:
            value = queries.total(world, self._query(world.scenario.scrape))
        if value is None:
            return None
        tolerance = hpa.Tolerance(self.settings.tolerance, self.settings.tolerance)
        target = hpa.milli(self.settings.threshold)
        return hpa.average_value(size, target, tolerance, hpa.milli(value)).replicas

    def _query(self, scrape: float) -> queries.Query:
        if self.settings.metric == "pending":
            return queries.pending
        return queries.request_rate(self.settings.window, scrape)
