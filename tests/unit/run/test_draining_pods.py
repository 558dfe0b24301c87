"""Pods that still drain, through the real join: what they hold counts, what they serve does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoscaler.act.actions import plan
from autoscaler.decide import decide
from autoscaler.decide.packing import Packing, pack
from autoscaler.model import (
    BudgetShare,
    Cap,
    Cooldown,
    Decision,
    GpuBudget,
    Missing,
    Node,
    Nodes,
    Observation,
    Pod,
    Policy,
    Pool,
    Replicas,
    ScaledPool,
    State,
)
from autoscaler.observe.cluster import ClusterReading, TargetReading
from autoscaler.observe.pools import PoolReadings
from autoscaler.observe.port import PodReading, Readings
from autoscaler.observe.snapshot import join
from autoscaler.run.budgets import share
from tests.unit.decide.fleets import WINDOWS, model
from tests.unit.run.world import START, named

A, B = named("a"), named("b")
BUDGET = GpuBudget("default", "gpus", 8, (BudgetShare(A.key, 0, 0), BudgetShare(B.key, 0, 0)))
UNKNOWN = Missing("not asked")


@dataclass(frozen=True)
class Fleet:
    """Pod n is on node g-n and has `rate` requests/s, also while Triton drains for minutes."""

    policy: Policy
    rate: float
    live: int
    draining: int = 0

    @property
    def pods(self) -> tuple[Pod, ...]:
        return tuple(
            Pod(f"{self.policy.name}-{n}", terminating=n >= self.live, node=f"g-{n}", gpus=1)
            for n in range(self.live + self.draining)
        )


def joined(
    *fleets: Fleet, now: float = START, pools: PoolReadings | None = None
) -> Mapping[str, Observation]:
    series = {
        ("default", pod.name): PodReading(now, (model(now, one.rate),), UNKNOWN, UNKNOWN)
        for one in fleets
        for pod in one.pods
    }
    cluster = {
        one.policy.target: TargetReading(Replicas(one.live, one.live), one.pods, "app=x")
        for one in fleets
    }
    readings = Readings(now, WINDOWS, "fake", series)
    policies = [one.policy for one in fleets]
    return join(policies, readings, ClusterReading(cluster), now, pools)


def caps(*fleets: Fleet) -> dict[str, Cap]:
    policies = [one.policy for one in fleets]
    found, faults = share([BUDGET], policies, joined(*fleets), lambda _: State(), START)
    assert not faults
    return {p.name: cap for p in policies if (cap := found[p.key].cap) is not None}


def sizes(*fleets: Fleet) -> dict[str, int]:
    return {name: cap.replicas for name, cap in caps(*fleets).items()}


def test_gpus_on_which_triton_still_drains_are_nobody_elses() -> None:
    """Of 8 GPUs a holds 6 with 2 replicas and 4 pods that go; b has 2 and wants 4."""
    assert sizes(Fleet(A, 75.0, 2, draining=4), Fleet(B, 150.0, 2)) == {"a": 2, "b": 2}
    assert sizes(Fleet(A, 75.0, 2, draining=3), Fleet(B, 150.0, 2)) == {"a": 2, "b": 3}
    assert sizes(Fleet(A, 75.0, 2), Fleet(B, 150.0, 2)) == {"a": 2, "b": 4}


def test_a_policy_does_not_grow_into_the_gpus_of_its_own_draining_pods() -> None:
    assert sizes(Fleet(A, 150.0, 2, draining=5), Fleet(B, 40.0, 1)) == {"a": 2, "b": 1}
    assert sizes(Fleet(A, 150.0, 2, draining=4), Fleet(B, 40.0, 1)) == {"a": 3, "b": 1}


def test_the_budget_says_whose_draining_pods_are_waited_for() -> None:
    found = caps(Fleet(A, 150.0, 2, draining=5), Fleet(B, 40.0, 1))
    assert "a gets 2 of 4 wanted" in found["a"].reason
    assert "5 of its own still terminating" in found["a"].reason
    assert "a holds 7 at priority 0" in found["b"].reason


def test_what_a_draining_pod_serves_is_no_load() -> None:
    (seen,) = joined(Fleet(A, 75.0, 2, draining=6)).values()
    decision, _ = decide(A, seen, State(), START)
    assert decision.desired == 2


# --- the node pool -----------------------------------------------------------------------------

POOLED = replace(
    A,
    mode="scale",
    nodes=Nodes(ScaledPool("karpenter.sh/v1", "NodePool", "gpu"), gpus_per_node=1),
    cooldown=Cooldown(0.0, 0.0),
)


def ticks(draining: int, state: State, start: float) -> tuple[list[Decision], list[str], State]:
    """A minute with one live pod on g-0; four nodes, and a GPU pod on each that drains."""
    there = Fleet(POOLED, 40.0, 1, draining)
    busy = {pod.node for pod in there.pods}
    pool = Pool(4, tuple(Node(f"g-{n}", 1, gpu_pods=int(f"g-{n}" in busy)) for n in range(4)))
    decisions: list[Decision] = []
    writes: list[str] = []
    for now in (start + 5.0 * n for n in range(12)):
        pools = PoolReadings({POOLED.key: pool})
        (seen,) = joined(there, now=now, pools=pools).values()
        decision, state = decide(POOLED, seen, state, now)
        decisions.append(decision)
        writes += [action.kind for action in plan(POOLED, decision, seen)]
    return decisions, writes, state


def test_no_node_goes_and_no_pool_is_lowered_while_a_pod_still_drains() -> None:
    """Of four nodes one drains and two are empty already: the pool might take any of them."""
    decisions, writes, state = ticks(1, State(), START)
    assert [decision.pool for decision in decisions] == [None] * len(decisions)
    assert writes == []
    decisions, writes, _ = ticks(0, state, START + 60)
    wishes = [decision.pool for decision in decisions if decision.pool is not None]
    assert wishes[0].after == 1, "gone: now the nodes may go"
    assert "pool" in writes


def test_a_drained_nodes_replacements_get_a_node_while_the_old_pods_still_drain() -> None:
    """4 replicas; kubectl drain has evicted the two of g-1, and they terminate there."""
    pods = [Pod(f"a-{n}", node="g-0") for n in range(2)]
    pods += [Pod(f"old-{n}", terminating=True, node="g-1") for n in range(2)]
    seen = Observation(A.key, START, Replicas(4, 2), tuple(pods))
    pool = Pool(2, (Node("g-0", 2, gpu_pods=2), Node("g-1", 2, gpu_pods=2, leaving="cordoned")))
    packing = pack(Nodes(gpus_per_node=2), pool, seen)
    assert isinstance(packing, Packing)
    assert packing.nodes(4) == 3
