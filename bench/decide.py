"""`decide` alone, per policy, by the number of pods of its target."""

from __future__ import annotations

from autoscaler.decide import decide
from autoscaler.model import (
    Bounds,
    Capacity,
    Demand,
    ModelSignals,
    Observation,
    Pod,
    Policy,
    QueueTime,
    Replicas,
    Sample,
    Sla,
    State,
    Target,
    Windows,
)
from bench.figures import figure, median_seconds, say

NOW = 1_000_000.0
POLICY = Policy(
    namespace="default",
    name="flower",
    target=Target("default", "flower"),
    replicas=Bounds(1, 5000),
    sla=Sla(queue_time=0.05),
    capacity=Capacity("given", 100.0),
    objectives=(Demand(), QueueTime(0.05, 0.02)),
)


def observation(pods: int) -> Observation:
    def model(name: str) -> ModelSignals:
        fast, slow = (Sample(35.0, NOW - 7, 60.0), Sample(35.0, NOW - 7, 300.0))
        wait = Sample(0.3, NOW - 7, 60.0)
        return ModelSignals(
            name,
            arrivals=fast,
            arrivals_slow=slow,
            completions=fast,
            completions_slow=slow,
            queueing=wait,
            queueing_slow=wait,
            rejected=Sample(0.0, NOW - 7, 60.0),
            pending=Sample(1.0, NOW - 7),
            pending_floor=Sample(0.0, NOW - 7, 60.0),
            pending_peak=Sample(9.0, NOW - 7, 300.0),
        )

    return Observation(
        policy=POLICY.key,
        at=NOW,
        replicas=Replicas(pods, pods),
        pods=tuple(Pod(f"flower-{n}", models=(model("a"), model("b"))) for n in range(pods)),
        windows=Windows(60.0, 300.0),
    )


def main() -> None:
    say("decide: one policy, 2 models a pod, state of five minutes of 5 s ticks")
    for pods in (1, 10, 100, 1000):
        seen, state = observation(pods), State()
        for tick in range(60):
            _, state = decide(POLICY, seen, state, NOW - 300 + 5 * tick)
        runs = max(20, 2000 // pods)
        seconds = median_seconds(lambda s=seen, t=state: decide(POLICY, s, t, NOW), runs)
        figure("decide_per_policy", seconds * 1e6, "µs", f"{pods} pods x 2 models")


if __name__ == "__main__":
    main()
