"""Small fleets for stories about decisions: flower, a Triton of 100 requests/s per replica."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from autoscaler.decide import decide
from autoscaler.model import (
    Bounds,
    Capacity,
    Cooldown,
    Decision,
    Demand,
    Missing,
    ModelSignals,
    Observation,
    Pod,
    Policy,
    QueueTime,
    Replicas,
    Sample,
    Signal,
    Sla,
    State,
    Target,
    Windows,
)

WINDOWS = Windows(fast=60.0, slow=300.0)

POLICY = Policy(
    namespace="default",
    name="flower",
    target=Target("default", "flower"),
    replicas=Bounds(1, 10),
    sla=Sla(queue_time=0.05),
    capacity=Capacity("given", requests_per_second=100.0),
    headroom=0.2,
    objectives=(Demand(drain_within=60.0), QueueTime(0.05, 0.02)),
    cooldown=Cooldown(0.0, 0.0),
)


def model(
    now: float,
    rate: float | None,
    queue_time: float = 0.008,
    *,
    slow: float | None = None,
    pending: float = 0.0,
    floor: float | None = None,
    peak: float | None = None,
    rejected: float = 0.0,
    completed: float | None = None,
    name: str = "resnet50",
) -> ModelSignals:
    """One model in one pod; `rate` None means that nothing about it is known."""
    if rate is None:
        return ModelSignals(name)
    slow = rate if slow is None else slow
    done = rate - rejected if completed is None else completed

    def fast_(value: float) -> Signal:
        return Sample(value, now, WINDOWS.fast)

    def slow_(value: float) -> Signal:
        return Sample(value, now, WINDOWS.slow)

    return ModelSignals(
        name,
        arrivals=fast_(rate),
        arrivals_slow=slow_(slow),
        completions=fast_(done),
        completions_slow=slow_(slow),
        queueing=fast_(done * queue_time),
        queueing_slow=slow_(slow * queue_time),
        rejected=fast_(rejected),
        pending=Sample(pending, now),
        pending_floor=fast_(min(pending, 1.0) if floor is None else floor),
        pending_peak=slow_(pending if peak is None else peak),
    )


def pods(now: float, rates: Sequence[float | None], **kwargs: float) -> tuple[Pod, ...]:
    return tuple(
        Pod(f"flower-{n}", models=(model(now, rate, **kwargs),)) for n, rate in enumerate(rates)
    )


@dataclass
class Story:
    """A policy and its fleet over time: `sees(…)` is one tick; state is carried along."""

    policy: Policy = POLICY
    now: float = 1_000_000.0
    state: State = field(default_factory=State)
    current: int = 1
    follow: bool = True  # the world carries out what is decided

    def sees(
        self,
        *rates: float | None,
        starting: int = 0,
        after: float = 5.0,
        observed: Observation | None = None,
        **kwargs: float,
    ) -> Decision:
        self.now += after
        seen = observed or self.observation(*rates, starting=starting, **kwargs)
        decision, self.state = decide(self.policy, seen, self.state, self.now)
        if self.follow and decision.desired is not None:
            self.current = decision.desired
        return decision

    def observation(self, *rates: float | None, starting: int = 0, **kwargs: float) -> Observation:
        serving = pods(self.now, rates, **kwargs)
        new = tuple(
            Pod(f"flower-new-{n}", ready=False, created_at=self.now - 5) for n in range(starting)
        )
        return Observation(
            policy=self.policy.key,
            at=self.now,
            replicas=Replicas(self.current, len(serving)),
            pods=serving + new,
            windows=WINDOWS,
        )

    def lasts(self, seconds: float, *rates: float | None, **kwargs: float) -> list[Decision]:
        """The same view every 15 s for so long."""
        return [self.sees(*rates, after=15.0, **kwargs) for _ in range(int(seconds / 15))]

    def with_policy(self, **changes: object) -> Story:
        self.policy = replace(self.policy, **changes)  # type: ignore[arg-type]
        return self


def blind(story: Story, reason: str = "Prometheus does not answer") -> Observation:
    seen = story.observation(*[None] * story.current)
    nothing = Missing(reason)
    silent = ModelSignals("resnet50", *[nothing] * 10)
    return replace(seen, pods=tuple(replace(pod, models=(silent,)) for pod in seen.pods))
