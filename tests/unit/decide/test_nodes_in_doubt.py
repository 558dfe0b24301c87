"""Nodes of the pool that are not usable, not found, or not there yet."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import CapacityBuffer, GkePool, Nodes, Pod, Pool, ScaledPool, State
from tests.unit.decide.fleets import Story
from tests.unit.decide.test_nodes import NODES, START, homeless, nodes, scaling, sees

LABELLED = ScaledPool("cluster.x-k8s.io/v1beta1", "MachineDeployment", "gpu", "ml", {"pool": "gup"})


def measured(current: int, **changes: object) -> Story:
    """Twice a cold start are 4 minutes."""
    story = scaling(current, **changes)
    story.state = State(replicas=current, cold_starts=(START,) * 3)
    return story


def test_a_node_cordoned_for_hours_does_not_stop_the_growth_of_its_pool() -> None:
    story = measured(2)
    cordoned = nodes("g-2", busy=0, leaving="cordoned")
    pool = Pool(3, (*nodes("g-0", "g-1"), *cordoned))
    for _ in range(40):  # 10 minutes
        decision = sees(story, pool, 75, 75, after=15)
        assert "capacityLostFor" not in decision.figures
    decision = sees(story, pool, 155, 155, after=15)
    assert decision.pool is not None
    assert decision.pool.after == 5  # four that serve, and the cordoned one that still counts


def test_a_not_ready_node_buys_no_fallback() -> None:
    story = measured(2, nodes=replace(NODES, fallback=CapacityBuffer("b")))
    pool = Pool(3, (*nodes("g-0", "g-1"), *nodes("g-2", busy=0, ready=False, leaving="NotReady")))
    for _ in range(40):
        sees(story, pool, 75, 75, fallback=Pool(0), after=15)
    wish = sees(story, pool, 155, 155, fallback=Pool(0), after=15).pool
    assert wish is not None
    assert wish.driver == NODES.driver


def test_nodes_that_register_and_never_get_ready_are_lost_by_the_pods_that_wait() -> None:
    story = measured(4)
    pool = Pool(4, (*nodes("g-0", "g-1"), *nodes("g-2", "g-3", busy=0, ready=False)))
    waits = tuple(homeless(story, 0, f"new-{n}") for n in range(2))
    for _ in range(20):  # 5 minutes
        decision = sees(story, pool, 75, 75, more=waits, after=15)
    assert decision.figures["capacityLostFor"] > 0


def pods_elsewhere(story: Story, pool: Pool, fallback: Pool | None = None) -> list[str]:
    """Three pods, on nodes g-0 to g-2, for long; the notes of the end. Nothing is lowered."""
    for _ in range(10):
        decision = sees(story, pool, 75, 75, 75, fallback=fallback, after=15)
        assert decision.pool is None
    return [note for note in decision.notes if "nodeSelector finds" in note]


def test_a_mistyped_label_asks_for_no_fewer_nodes_and_says_what_to_correct() -> None:
    (note,) = pods_elsewhere(scaling(3, nodes=Nodes(LABELLED, gpus_per_node=1)), Pool(3))
    assert note == (
        "nodeSelector finds 0 of 3 nodes of MachineDeployment gpu, and 3 of our pods run on nodes "
        "of no pool: not lowered; correct nodeSelector"
    )


def test_a_mistyped_label_of_the_fallback_does_not_take_its_nodes() -> None:
    rules = replace(NODES, fallback=LABELLED)
    first = Pool(1, nodes("g-0"))
    (note,) = pods_elsewhere(scaling(3, nodes=rules), first, Pool(2))
    assert note.startswith("nodeSelector finds 0 of 2 nodes")


def test_pods_on_the_fallback_are_not_taken_for_a_mistyped_label() -> None:
    rules = Nodes(LABELLED, gpus_per_node=1, fallback=NODES.driver)
    story = scaling(3, nodes=rules)
    here, there = Pool(3, nodes("g-0", "x", busy=0)), Pool(2, nodes("g-1", "g-2"))
    wishes = [sees(story, here, 75, 75, 75, fallback=there, after=15).pool for _ in range(10)]
    lowered = [wish for wish in wishes if wish is not None]
    assert (lowered[0].driver, lowered[0].after) == (LABELLED, 1)


def test_a_gke_pool_that_is_becoming_larger_is_not_set_to_less_under_a_busy_node() -> None:
    gke = GkePool("project", "europe-west4-a", "cluster", "gpu")
    story = scaling(3, nodes=Nodes(gke, gpus_per_node=1))
    pool = Pool(4, nodes("g-0", "g-1"))
    waits: tuple[Pod, ...] = (homeless(story, 5),)
    for _ in range(10):
        decision = sees(story, pool, 75, 75, more=waits, after=15)
        assert decision.pool is None or decision.pool.after >= 4
