"""Nodes up, which pods go first, the replicas, nodes down: in that order, and at most one scale."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.act.actions import plan
from autoscaler.model import (
    Decision,
    Hands,
    Observation,
    Pod,
    Policy,
    PoolWish,
    Replicas,
    ScaledPool,
)
from tests.unit.decide.fleets import POLICY

SCALING = replace(POLICY, mode="scale")
POOL = ScaledPool("karpenter.sh/v1", "NodePool", "gpu")


def decided(
    current: int, desired: int, pool: tuple[int, int] | None = None, **costs: int
) -> Decision:
    wish = None if pool is None else PoolWish(POOL, "nodes", *pool, "4 replicas need 4 nodes", "77")
    return Decision(
        policy="default/flower",
        target=POLICY.target,
        at=0.0,
        mode="scale",
        current=current,
        ready=current,
        desired=desired,
        binding="demand",
        hold=None,
        sentence="because",
        flip="",
        pool=wish,
        deletion_costs=costs,
    )


def seen(pods: int, terminating: int = 0) -> Observation:
    live = [Pod(f"p-{n}") for n in range(pods)]
    going = [Pod(f"t-{n}", terminating=True) for n in range(terminating)]
    replicas = Replicas(pods, pods, resource_version="41")
    return Observation("default/flower", 0.0, replicas, (*live, *going))


def kinds(decision: Decision, observation: Observation, policy: Policy = SCALING) -> list[str]:
    return [action.kind for action in plan(policy, decision, observation)]


def test_nodes_are_asked_for_before_the_pods_that_need_them() -> None:
    assert kinds(decided(2, 4, (2, 4)), seen(2)) == ["pool", "scale"]


def test_which_pods_go_first_is_written_before_they_go() -> None:
    decision = decided(4, 2, a=-1, b=-1)
    hands = Hands(writer="kubectl, Update of scale")
    mark, scale = plan(SCALING, decision, replace(seen(4), hands=hands))
    assert (mark.kind, scale.kind) == ("deletionCost", "scale")
    assert mark.deletion_costs == {"a": -1, "b": -1}
    assert scale.deletion_costs == {}
    assert (scale.resource_version, scale.writer) == ("41", "kubectl, Update of scale")


def test_nodes_go_down_on_a_tick_without_a_scale_and_with_the_pods_gone() -> None:
    assert kinds(decided(4, 2, (4, 2)), seen(4)) == ["scale"]
    assert kinds(decided(2, 2, (4, 2)), seen(2, terminating=1)) == []
    (down,) = plan(SCALING, decided(2, 2, (4, 2)), seen(2))
    assert (down.kind, down.before, down.after) == ("pool", 4, 2)
    assert down.resource_version == "77"
    assert down.pool is not None
    assert down.reason == "4 replicas need 4 nodes"


def test_more_nodes_with_fewer_pods_is_both() -> None:
    assert kinds(decided(4, 3, (3, 4), a=-1), seen(4)) == ["pool", "deletionCost", "scale"]


@pytest.mark.parametrize("changes", [{"mode": "observe"}, {"mode": "recommend"}, {"paused": True}])
def test_nothing_at_all_is_written_elsewhere(changes: dict[str, object]) -> None:
    policy = replace(SCALING, **changes)  # type: ignore[arg-type]
    assert kinds(decided(2, 4, (2, 4)), seen(2), policy) == []
