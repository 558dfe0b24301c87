"""What must hold for every fleet, however odd: bounds, holds, purity, a trace that adds up."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.decide import decide
from autoscaler.model import (
    Behavior,
    Bounds,
    Capacity,
    Cooldown,
    Demand,
    DutyCycle,
    Missing,
    ModelSignals,
    Observation,
    Pod,
    Policy,
    QueueTime,
    Replicas,
    Sample,
    ScalingPolicy,
    ScalingRules,
    Sla,
    State,
    Target,
    WhenBlind,
    Windows,
)
from autoscaler.wire import from_json, to_json

NOW = 1_000_000.0


def samples(top: float) -> st.SearchStrategy[Any]:
    fresh = st.builds(Sample, st.floats(0, top), st.floats(NOW - 60, NOW), st.just(60.0))
    odd = st.sampled_from(
        [
            Missing("gone"),
            Sample(1.0, NOW - 9999, 60.0),
            Sample(9.2e18, NOW, 60.0),
            Sample(-1.0, NOW, 60.0),
            Sample(1.0, NOW + 9999, 60.0),
        ]
    )
    return st.one_of(fresh, fresh, fresh, odd)


MODELS = st.builds(
    ModelSignals,
    st.sampled_from(["resnet50", "bert"]),
    arrivals=samples(500),
    arrivals_slow=samples(500),
    completions=samples(500),
    completions_slow=samples(500),
    queueing=samples(50),
    queueing_slow=samples(50),
    rejected=samples(5),
    pending=samples(100),
    pending_floor=samples(100),
    pending_peak=samples(100),
)
PODS = st.lists(
    st.builds(
        Pod,
        st.integers(0, 9).map("p-{}".format),
        ready=st.booleans(),
        terminating=st.sampled_from([False, False, False, True]),
        models=st.lists(MODELS, max_size=2, unique_by=lambda m: m.model).map(tuple),
        duty_cycle=samples(1.0),
    ),
    max_size=6,
    unique_by=lambda p: p.name,
).map(tuple)
RULES = st.builds(
    ScalingRules,
    st.sampled_from([0.0, 60.0, 300.0]),
    st.lists(
        st.builds(
            ScalingPolicy,
            st.sampled_from(["Pods", "Percent"]),
            st.integers(1, 100),
            st.sampled_from([15.0, 60.0]),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    st.sampled_from(["Max", "Min", "Disabled"]),
)
POLICIES = st.builds(
    Policy,
    namespace=st.just("default"),
    name=st.just("flower"),
    target=st.just(Target("default", "flower")),
    replicas=st.builds(lambda low, more: Bounds(low, low + more), *[st.integers(1, 5)] * 2),
    sla=st.sampled_from([Sla(0.05), Sla(0.05, rejected=0.001), Sla()]),
    objectives=st.lists(
        st.sampled_from([Demand(), QueueTime(0.05, 0.02), DutyCycle(0.7)]),
        min_size=1,
        max_size=3,
        unique_by=lambda o: o.type,
    ).map(tuple),
    capacity=st.sampled_from(
        [None, Capacity("given", 100.0), Capacity("given", models={"bert": 9.0})]
    ),
    behavior=st.one_of(st.none(), st.builds(Behavior, RULES, RULES)),
    cooldown=st.sampled_from([Cooldown(0, 0), Cooldown(60, 600)]),
    when_blind=st.sampled_from([WhenBlind(), WhenBlind(0.0, 4)]),
)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    pods = draw(PODS)
    desired = draw(st.integers(1, 12))
    return Observation(
        policy="default/flower",
        at=NOW,
        replicas=Replicas(desired, sum(p.ready for p in pods)),
        pods=pods,
        windows=Windows(60.0, 300.0),
    )


@settings(max_examples=150, deadline=None)
@given(POLICIES, observations())
def test_never_outside_the_bounds_and_the_trace_adds_up(policy: Policy, seen: Observation) -> None:
    decision, _ = decide(policy, seen, State(), NOW)
    assert decision.desired is not None
    assert policy.replicas.min <= decision.desired <= policy.replicas.max
    for before, after in pairwise(decision.trace[1:]):
        assert before.after == after.before, (before, after)
    assert decision.trace[-1].after == decision.desired
    assert decision.sentence.endswith(".")
    assert "\n" not in decision.sentence


@settings(max_examples=150, deadline=None)
@given(POLICIES, observations(), st.integers(0, 5))
def test_taking_a_signal_away_never_lowers_the_size(
    policy: Policy, seen: Observation, which: int
) -> None:
    state = settled_state()
    with_all, _ = decide(policy, seen, state, NOW)
    pods = tuple(
        replace(pod, models=tuple(blank(m, which) for m in pod.models)) for pod in seen.pods
    )
    with_less, _ = decide(policy, replace(seen, pods=pods), state, NOW)
    assert with_all.current is not None
    assert with_less.desired is not None
    within = policy.replicas.min <= with_all.current <= policy.replicas.max
    if within and any(pod.ready and not pod.terminating and pod.models for pod in seen.pods):
        # What cannot be seen cannot be a reason to shrink further than what could be seen was.
        assert with_less.desired >= min(with_all.current, with_all.desired or 0)


@settings(max_examples=100, deadline=None)
@given(POLICIES, observations())
def test_pure_and_identical_through_json(policy: Policy, seen: Observation) -> None:
    decision, state = decide(policy, seen, State(), NOW)
    again = decide(
        from_json(Policy, to_json(policy)),
        from_json(Observation, to_json(seen)),
        from_json(State, to_json(State())),
        NOW,
    )
    assert again == (decision, state)
    assert from_json(State, to_json(state)) == state


@settings(max_examples=60, deadline=None)
@given(POLICIES, st.lists(observations(), min_size=2, max_size=8), st.floats(1, 600))
def test_all_blind_never_lowers(policy: Policy, seen: list[Observation], step: float) -> None:
    state, now, size = State(), NOW, policy.replicas.max
    for observation in seen:
        now += step
        dark = replace(
            observation,
            replicas=Replicas(size, size),
            pods=tuple(replace(p, models=(), duty_cycle=Missing("dark")) for p in observation.pods),
        )
        decision, state = decide(policy, dark, state, now)
        assert decision.desired == size


def settled_state() -> State:
    return State(calm_since=NOW - 9999)


def blank(signals: ModelSignals, which: int) -> ModelSignals:
    gone = Missing("taken away")
    names = ["arrivals", "arrivals_slow", "completions", "queueing", "pending", "queueing_slow"]
    return replace(signals, **{names[which]: gone})
