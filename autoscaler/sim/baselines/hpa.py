"""The HorizontalPodAutoscaler of Kubernetes v1.36: its sync loop around `decide`'s arithmetic.

Every 15 s: bounds first, then the metric's proposal, tolerance, stabilization, rate policies.
Vectors of the real controller in tests/oracle run through `HpaLoop` as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autoscaler.decide import behavior, hpa
from autoscaler.model import Behavior, Bounds, Recommendation, ScaleEvent
from autoscaler.sim.baselines import queries
from autoscaler.sim.fluid import FluidWorld

# kube-controller-manager --horizontal-pod-autoscaler-sync-period
SYNC = 15.0

Metric = Literal["dutyCycle", "queueTime", "requestsPerSecond"]


class HpaLoop:
    """What the controller remembers of one HPA, and one reconciliation of it.

    `bounds` and `behavior` may be set anew at any time: an edit keeps all history.
    """

    def __init__(
        self,
        bounds: Bounds,
        rules: Behavior | None,
        downscale: float = behavior.DOWNSCALE_STABILIZATION,
    ) -> None:
        self.bounds, self.behavior, self.downscale = bounds, rules, downscale
        self._recommendations: tuple[Recommendation, ...] = ()
        self._ups: tuple[ScaleEvent, ...] = ()
        self._downs: tuple[ScaleEvent, ...] = ()

    def reconcile(self, current: int, proposal: int | None, now: float) -> int:
        """The next size. `proposal`: what the metrics ask for; None: they could not be read.

        The size at first sight is a recommendation: nothing shrinks for a whole window after a
        start of the controller. A size outside the bounds is put right past everything else.
        """
        if not self._recommendations:
            self._recommendations = (Recommendation(now, current),)
        if current == 0:
            return 0
        low, high = self.bounds.min, self.bounds.max
        if not low <= current <= high:
            return self._rescaled(current, min(max(current, low), high), now)
        if proposal is None:
            return current
        wanted = max(proposal, 0)
        rules, kept = self.behavior, self._recommendations
        stable = behavior.stabilize(rules, kept, current, wanted, now, self.downscale)
        limited = behavior.limit(
            rules, self._ups, self._downs, current, stable.replicas, self.bounds, now
        )
        self._recommendations = behavior.remember(rules, kept, wanted, now, self.downscale)
        return self._rescaled(current, limited.replicas, now)

    def _rescaled(self, current: int, desired: int, now: float) -> int:
        change = desired - current
        period = behavior.longest_period(self.behavior, growing=change > 0)
        if change > 0:
            self._ups = behavior.record(self._ups, change, now, period)
        elif change < 0:
            self._downs = behavior.record(self._downs, -change, now, period)
        return desired


@dataclass(frozen=True, slots=True)
class HpaSettings:
    """`target`: of one pod; percent, microseconds or requests/s. `window`: of the query, s.

    `rules` None: an HPA without `behavior`, as NVIDIA's samples are.
    """

    metric: Metric
    target: float
    window: float = 60.0
    tolerance: float = 0.1
    rules: Behavior | None = None


class Hpa:
    """metrics: [{type: Pods, target: {type: AverageValue}}] through a metrics adapter."""

    def __init__(self, name: str, settings: HpaSettings, bounds: Bounds) -> None:
        self.name, self.settings = name, settings
        self._loop = HpaLoop(bounds, settings.rules)
        self._due = float("-inf")

    def wants(self, world: FluidWorld, now: float) -> int:
        if now < self._due:
            return world.desired
        self._due = now + SYNC
        samples = queries.pod_samples(world, self._query(world.scenario.scrape))
        return self._loop.reconcile(world.desired, self._proposal(world.desired, samples), now)

    def _query(self, scrape: float) -> queries.Query:
        window = self.settings.window
        match self.settings.metric:
            case "dutyCycle":
                return queries.duty_cycle
            case "queueTime":
                return queries.sample_queue_time(window, scrape)
            case "requestsPerSecond":
                return queries.request_rate(window, scrape)

    def _proposal(self, current: int, samples: Sequence[hpa.PodSample]) -> int | None:
        tolerance = hpa.Tolerance(self.settings.tolerance, self.settings.tolerance)
        target = hpa.milli(self.settings.target)
        got = hpa.pods_average(current, target, tolerance, samples)
        return None if isinstance(got, hpa.Failed) else got.replicas
