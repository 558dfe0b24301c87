"""Which pods go first: whole nodes are emptied, busy pods are spared."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.decide.deletion import pod_deletion_costs
from autoscaler.decide.fleet import Trust
from autoscaler.model import Node, Observation, Pod, Pool, Replicas
from tests.unit.decide.fleets import POLICY, WINDOWS, Story, model

NOW = 1_000_000.0


def pod(name: str, node: str | None, rate: float = 50.0, **changes: object) -> Pod:
    return replace(
        Pod(name, node=node, models=(model(NOW, rate),)),
        **changes,  # type: ignore[arg-type]
    )


def first(remove: int, *pods: Pod, pool: Pool | None = None) -> dict[str, int]:
    seen = Observation("default/flower", NOW, Replicas(len(pods), len(pods)), pods, pool=pool)
    return pod_deletion_costs(seen, remove, Trust(WINDOWS, NOW))


def test_ray_36749_the_pod_alone_on_its_gpu_node_goes_so_that_the_node_frees() -> None:
    pods = [pod("a", "gpu-0", 10), pod("b", "gpu-0", 10), pod("c", "gpu-1", 90)]
    assert first(1, *pods) == {"c": -1}


def test_two_to_go_empty_the_node_of_two_rather_than_halve_two_nodes() -> None:
    pods = [pod("a", "g0"), pod("b", "g0"), pod("c", "g1"), pod("d", "g1"), pod("e", "g1")]
    assert first(2, *pods) == {"a": -1, "b": -1}


def test_somebody_elses_pod_keeps_its_node_anyhow() -> None:
    pods = [pod("a", "g0", 10), pod("b", "g1", 90)]
    pool = Pool(2, (Node("g0", 2, gpu_pods=2), Node("g1", 2, gpu_pods=1)))
    assert first(1, *pods, pool=pool) == {"b": -1}


def test_a_node_that_empties_goes_before_a_quieter_one_that_does_not() -> None:
    pods = [pod("a", "g0", 1), pod("b", "g1", 90), pod("c", "g1", 90)]
    pool = Pool(2, (Node("g0", 2, gpu_pods=2), Node("g1", 2, gpu_pods=2)))
    assert first(2, *pods, pool=pool) == {"b": -1, "c": -1}


def test_among_equals_the_least_busy_goes() -> None:
    assert first(1, pod("a", "g0", 80), pod("b", "g1", 20), pod("c", "g2", 50)) == {"b": -1}


def test_a_pod_that_does_not_tell_is_spared() -> None:
    assert first(1, pod("a", "g0", models=()), pod("b", "g1", 99)) == {"b": -1}


def test_a_pod_about_to_be_lost_goes_before_any_other() -> None:
    pods = [pod("a", "g0", 1), pod("b", "g1", 99, leaving="drained")]
    assert first(1, *pods) == {"b": -1}


def test_pods_that_are_not_ready_go_by_themselves() -> None:
    pods = [pod("a", "g0"), pod("b", "g1"), pod("c", "g2", ready=False)]
    assert first(1, *pods) == {}
    assert len(first(2, *pods)) == 1


def test_only_changes_are_told_and_a_former_victim_is_let_off() -> None:
    pods = [pod("a", "g0", 10, deletion_cost=-1), pod("b", "g1", 90)]
    assert first(1, *pods) == {}
    swapped = [pod("a", "g0", 90, deletion_cost=-1), pod("b", "g1", 10)]
    assert first(1, *swapped) == {"a": 0, "b": -1}


def test_costs_that_somebody_else_set_stand() -> None:
    pods = [pod("a", "g0", 10, deletion_cost=100), pod("b", "g1", 90), pod("c", "g2", 95)]
    assert first(1, *pods) == {"b": -1}
    marked = [pod("a", "g0", 10), pod("b", "g1", 90, deletion_cost=-50)]
    assert first(1, *marked) == {}


def test_a_scale_in_says_so_and_only_in_mode_scale() -> None:
    for mode, told in (("scale", 2), ("observe", 0)):
        story = Story(policy=replace(POLICY, mode=mode), current=4)
        story.lasts(300, 75, 75, 75, 75)
        decision = None
        for _ in range(40):
            decision = story.sees(20, 20, 20, 20, after=15)
            if decision.desired != 4:
                break
        assert decision is not None
        assert decision.desired == 1
        assert len(decision.deletion_costs) == (3 if told else 0)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            pod,
            st.uuids().map(str),
            st.sampled_from(["g0", "g1", "g2", None]),
            st.floats(0, 500),
            deletion_cost=st.sampled_from([0, 0, -1]),
            ready=st.sampled_from([True, True, False]),
        ),
        max_size=8,
        unique_by=lambda p: p.name,
    ),
    st.integers(1, 8),
)
def test_as_many_come_first_as_are_to_go(pods: list[Pod], remove: int) -> None:
    """The ReplicaSet's own order: not Ready ones, then by cost: exactly those chosen go."""
    costs = {p.name: p.deletion_cost for p in pods} | first(remove, *pods)
    unready = sum(not p.ready for p in pods)
    marked = [p for p in pods if p.ready and costs[p.name] < 0]
    assert len(marked) == max(0, min(remove - unready, len(pods) - unready))
