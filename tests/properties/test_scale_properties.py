"""What must hold when we write ourselves: other hands, budgets, node pools, pods that fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.act.actions import plan
from autoscaler.decide import decide
from autoscaler.model import (
    Arrival,
    Cap,
    CapacityBuffer,
    ColdStart,
    Contest,
    Hands,
    Missing,
    Node,
    Nodes,
    Observation,
    Order,
    Policy,
    Pool,
    PoolMemory,
    Replicas,
    ScaledPool,
    ScaleEvent,
    State,
    Unseen,
    Written,
)
from autoscaler.run.jump import newest, shift
from autoscaler.wire import from_json, to_json
from tests.properties.test_decide_properties import NOW, POLICIES, observations

STATIC = ScaledPool("karpenter.sh/v1", "NodePool", "gpu")
WAITING = [
    None,
    "CrashLoopBackOff (container triton, 5 restarts, last ended by OOMKilled (exit code 137))",
    "Unschedulable: 0/3 nodes are available",
    "running, not Ready",
]
NODES = st.lists(
    st.builds(
        Node,
        st.integers(0, 5).map("g-{}".format),
        st.sampled_from([1, 2, 8]),
        ready=st.sampled_from([True, True, False]),
        leaving=st.sampled_from([None, None, "drained"]),
        gpu_pods=st.integers(0, 3),
    ),
    max_size=5,
    unique_by=lambda n: n.name,
).map(tuple)
POOLS = st.one_of(
    st.builds(
        Pool,
        st.integers(0, 8),
        NODES,
        owner=st.sampled_from([None, None, None, "Karpenter"]),
        refusal=st.sampled_from([None, None, "quota"]),
    ),
    st.just(Missing("403")),
    st.none(),
)
HANDS = st.builds(
    Hands,
    others=st.sampled_from([(), (), ("HPA default/flower",)]),
    writer=st.sampled_from([None, "kubectl", "argocd, Apply, t"]),
    paused=st.sampled_from([None, None, "annotation"]),
    rollout=st.sampled_from([None, None, "1 of 3 pods"]),
    refused=st.sampled_from([None, None, "exceeded quota"]),
)
CAPS = st.one_of(st.none(), st.builds(Cap, st.integers(0, 8), st.just("budget ml/gpus")))
SCALING = st.builds(
    replace,
    POLICIES,
    mode=st.just("scale"),
    nodes=st.one_of(
        st.none(),
        st.builds(
            Nodes,
            st.sampled_from([STATIC, CapacityBuffer("spare")]),
            gpus_per_replica=st.sampled_from([1, 2]),
            gpus_per_node=st.sampled_from([None, 1, 8]),
            spare=st.integers(0, 2),
            max_nodes=st.sampled_from([None, 3]),
            fallback=st.sampled_from([None, CapacityBuffer("other"), STATIC]),
        ),
    ),
)
STARTS = st.lists(
    st.builds(ColdStart, st.just(NOW - 999), *[st.floats(0, 90)] * 3), max_size=4
).map(tuple)
STATES = st.builds(
    State,
    replicas=st.sampled_from([None, 1, 4]),
    calm_since=st.just(NOW - 9999),
    written=st.sampled_from([None, Written(NOW - 60, 4)]),
    contest=st.sampled_from([None, None, Contest(NOW - 60, 4, 3, "")]),
    replaced=st.sampled_from([(), ("p-1",)]),
    arrivals=st.sampled_from([(), (Arrival("p-0", NOW - 60), Arrival("p-1", NOW - 60))]),
    cold_starts=STARTS,
    pool=st.sampled_from(
        [PoolMemory(), PoolMemory(NOW - 9999, 1), PoolMemory(idle_since=NOW - 9999)]
    ),
)


@st.composite
def worlds(draw: st.DrawFn) -> Observation:
    seen = draw(observations())
    pods = tuple(
        replace(
            pod,
            node=draw(st.sampled_from([None, "g-0", "g-1", "elsewhere"])),
            created_at=draw(st.sampled_from([None, NOW - 10, NOW - 5000])),
            leaving=draw(st.sampled_from([None, None, "drained"])),
            waiting=None if pod.ready else draw(st.sampled_from(WAITING)),
        )
        for pod in seen.pods
    )
    return replace(
        seen,
        pods=pods,
        hands=draw(HANDS),
        cap=draw(CAPS),
        pool=draw(POOLS),
        fallback=draw(POOLS),
    )


@settings(max_examples=50, deadline=None)
@given(SCALING, worlds(), STATES)
def test_whatever_is_seen_the_trace_adds_up_and_survives_json(
    policy: Policy, seen: Observation, state: State
) -> None:
    decision, after = decide(policy, seen, state, NOW)
    for one, other in pairwise(decision.trace[1:]):
        assert one.after == other.before, (one, other)
    assert decision.trace[-1].after == decision.desired
    assert decision.sentence.endswith(".")
    assert "\n" not in decision.sentence
    assert from_json(State, to_json(after)) == after
    again = decide(policy, from_json(Observation, to_json(seen)), state, NOW)
    assert again == (decision, after)


@settings(max_examples=50, deadline=None)
@given(SCALING, worlds(), STATES)
def test_under_another_hand_nothing_moves_at_all(
    policy: Policy, seen: Observation, state: State
) -> None:
    decision, after = decide(policy, seen, state, NOW)
    assert decision.current is not None
    stopped = seen.hands.paused or seen.hands.others or (after.contest and decision.current)
    if stopped:
        assert decision.desired == decision.current
        assert decision.binding == "hands" or decision.current == 0
    if seen.hands.paused or seen.hands.others:
        assert decision.pool is None
        assert plan(policy, decision, seen) == ()
    if after.contest and decision.pool is not None:
        assert decision.pool.after > decision.pool.before


@settings(max_examples=50, deadline=None)
@given(SCALING, worlds(), STATES)
def test_a_pool_is_never_below_its_busy_nodes_nor_pushed_where_it_is_not_ours(
    policy: Policy, seen: Observation, state: State
) -> None:
    decision, _ = decide(policy, seen, state, NOW)
    wish = decision.pool
    if wish is None:
        return
    assert policy.nodes is not None
    of_first = wish.driver == policy.nodes.driver and wish.before == getattr(seen.pool, "size", -1)
    pool = seen.pool if of_first else seen.fallback
    assert isinstance(pool, Pool)
    assert pool.owner is None
    assert wish.after != wish.before
    if wish.unit == "nodes" and wish.after < wish.before:
        assert wish.after >= sum(node.gpu_pods > 0 for node in pool.nodes)
        assert decision.desired == decision.current
    kinds = [action.kind for action in plan(policy, decision, seen)]
    assert kinds in (
        [],
        ["pool"],
        ["scale"],
        ["pool", "scale"],
        ["deletionCost", "scale"],
        ["pool", "deletionCost", "scale"],
    )


@settings(max_examples=50, deadline=None)
@given(SCALING, worlds(), STATES)
def test_on_untrusted_data_neither_pods_nor_nodes_go_down(
    policy: Policy, seen: Observation, state: State
) -> None:
    size = policy.replicas.max
    dark = replace(
        seen,
        replicas=Replicas(size, size),
        pods=tuple(replace(p, models=(), duty_cycle=Missing("dark")) for p in seen.pods),
    )
    decision, _ = decide(policy, dark, state, NOW)
    assert decision.desired == size
    assert decision.pool is None or decision.pool.after > decision.pool.before


@settings(max_examples=50, deadline=None)
@given(SCALING, worlds(), STATES)
def test_no_growth_past_the_budget(policy: Policy, seen: Observation, state: State) -> None:
    decision, _ = decide(policy, seen, state, NOW)
    assert decision.current is not None
    assert decision.desired is not None
    if seen.cap is not None:
        assert decision.desired <= max(seen.cap.replicas, decision.current)


@settings(max_examples=50, deadline=None)
@given(SCALING, worlds(), STATES)
def test_no_scale_in_during_a_rollout_but_to_the_maximum(
    policy: Policy, seen: Observation, state: State
) -> None:
    decision, _ = decide(policy, seen, state, NOW)
    assert decision.current is not None
    assert decision.desired is not None
    if seen.hands.rollout and decision.current <= policy.replicas.max:
        assert decision.desired >= decision.current


@settings(max_examples=50, deadline=None)
@given(SCALING, worlds(), STATES)
def test_what_was_ordered_of_a_pool_is_not_ordered_again(
    policy: Policy, seen: Observation, state: State
) -> None:
    """The wish carried out and the world as it is: nothing more is asked for the same need."""
    steady = replace(seen, replicas=Replicas(policy.replicas.max, 0))
    decision, after = decide(policy, steady, state, NOW)
    wish = decision.pool
    if wish is None or wish.after < wish.before or decision.desired != decision.current:
        return
    pool = steady.pool
    if isinstance(pool, Pool) and policy.nodes and wish.driver == policy.nodes.driver:
        asked = replace(steady, pool=replace(pool, size=wish.after))
        again, _ = decide(policy, asked, after, NOW + 1)
        assert again.pool is None or again.pool.driver != wish.driver


FULL = State(
    scale_ups=(ScaleEvent(NOW, 1),),
    scaled_at=NOW,
    replicas=2,
    joined_at=NOW,
    order=Order(NOW, 2, 3, None),
    blind_since=NOW,
    calm_since=NOW,
    written=Written(NOW, 2),
    unseen=Unseen(Order(NOW, 2, 3, None)),
    contest=Contest(NOW, 3, 2, ""),
    arrivals=(Arrival("p", NOW),),
    cold_starts=(ColdStart(NOW, 1.0, 2.0, 3.0),),
    pool=PoolMemory(NOW, 1, NOW, NOW, NOW),
)


def times(value: Any) -> Iterator[float]:
    """Every number that could be Unix time, whatever its field is called."""
    if isinstance(value, float) and value > 500_000:
        yield value
    elif isinstance(value, tuple):
        for entry in value:
            yield from times(entry)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from times(getattr(value, field.name))


def test_a_clock_that_jumps_moves_every_time_in_the_state() -> None:
    moved = shift(FULL, -3600.0)
    assert set(times(moved)) == {NOW - 3600.0}
    assert len(list(times(moved))) == len(list(times(FULL))) == 15
    assert newest(moved) == NOW - 3600.0


@settings(max_examples=50, deadline=None)
@given(SCALING, worlds())
def test_no_time_in_the_state_lies_ahead_of_now(policy: Policy, seen: Observation) -> None:
    """A clock set back an hour between two runs: nothing waits an hour longer for it."""
    _, after = decide(policy, seen, shift(FULL, 3600.0), NOW)
    assert max(times(after)) <= NOW
