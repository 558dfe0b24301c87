"""The GPU node pool: up before the pods, down behind them, and never from under anybody."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.act.actions import plan as actions
from autoscaler.model import (
    CapacityBuffer,
    ColdStart,
    Cooldown,
    Decision,
    GkePool,
    Hands,
    Missing,
    Node,
    Nodes,
    Observation,
    Pod,
    Pool,
    PoolMemory,
    ScaledPool,
    State,
    WhenContested,
)
from tests.unit.decide.fleets import POLICY, Story

STATIC = ScaledPool("karpenter.sh/v1", "NodePool", "gpu")
BUFFER = CapacityBuffer("flower-spare")
NODES = Nodes(STATIC, gpus_per_node=1)
SCALING = replace(POLICY, mode="scale", nodes=NODES)
START = ColdStart(1.0, 60.0, 30.0, 30.0)  # 2 minutes, of which one for the node
NOBODY = Hands()
UNSCHEDULABLE = "Unschedulable: 0/2 nodes are available"


def nodes(*names: str, busy: int = 1, **changes: object) -> tuple[Node, ...]:
    return tuple(
        replace(Node(name, 1, gpu_pods=busy), **changes)  # type: ignore[arg-type]
        for name in names
    )


def seen(story: Story, pool: Pool | Missing | None, *rates: float, more: tuple[Pod, ...] = (),
         hands: Hands = NOBODY, fallback: Pool | None = None) -> Observation:  # fmt: skip
    """Pod n runs on node g-n."""
    base = story.observation(*rates)
    pods = tuple(replace(p, node=f"g-{n}", gpus=1) for n, p in enumerate(base.pods))
    return replace(base, pods=(*pods, *more), pool=pool, hands=hands, fallback=fallback)


def sees(story: Story, pool: Pool | Missing | None, *rates: float, after: float = 5.0,
         **more: object) -> Decision:  # fmt: skip
    story.now += after
    return story.sees(observed=seen(story, pool, *rates, **more), after=0.0)  # type: ignore[arg-type]


def scaling(current: int, **changes: object) -> Story:
    rules = {"cooldown": Cooldown(0.0, 60.0)} | changes
    return Story(policy=replace(SCALING, **rules), current=current)  # type: ignore[arg-type]


def homeless(story: Story, age: float, name: str = "flower-new") -> Pod:
    created = story.now + 5 - age
    return Pod(name, ready=False, phase="Pending", created_at=created, waiting=UNSCHEDULABLE)


def test_nodes_go_up_before_the_pods() -> None:
    story = scaling(2)
    decision = sees(story, Pool(2, nodes("g-0", "g-1"), resource_version="7"), 155, 155)
    assert decision.pool is not None
    assert (decision.pool.before, decision.pool.after, decision.pool.unit) == (2, 4, "nodes")
    assert decision.pool.reason == "4 replicas need 4 nodes; until now 2 are asked for"
    kinds = [a.kind for a in actions(story.policy, decision, story.observation(155, 155))]
    assert kinds == ["pool", "scale"]


def test_what_was_asked_for_is_not_asked_again() -> None:
    story = scaling(2)
    sees(story, Pool(2, nodes("g-0", "g-1")), 155, 155)
    waiting = (homeless(story, 5), homeless(story, 5, "flower-newer"))
    decision = sees(story, Pool(4, nodes("g-0", "g-1")), 155, 155, more=waiting)
    assert decision.pool is None


def test_spare_replicas_are_kept_free() -> None:
    story = scaling(2, nodes=replace(NODES, spare=1))
    decision = sees(story, Pool(2, nodes("g-0", "g-1")), 75, 75)
    assert decision.pool is not None
    assert decision.pool.after == 3
    assert decision.pool.reason.startswith("2 replicas and 1 spare need 3 nodes")


def test_several_replicas_share_a_node_and_several_gpus_a_replica() -> None:
    both = Pool(1, (Node("g-0", 8, gpu_pods=2),))
    story = scaling(2, nodes=replace(NODES, gpus_per_node=8, gpus_per_replica=2))
    assert sees(story, both, 155, 155).pool is None  # 4 × 2 GPUs fit
    decision = sees(story, both, 250, 250)
    assert decision.pool is not None
    assert decision.pool.after == 2  # 7 × 2 = 14 GPUs


def test_others_pods_take_room() -> None:
    shared = Pool(1, (Node("g-0", 4, gpu_pods=4),))  # ours, and three of somebody else's
    story = scaling(1, nodes=replace(NODES, gpus_per_node=4))
    decision = sees(story, shared, 155)
    assert decision.pool is not None
    assert decision.pool.after == 2


def test_the_trend_is_looked_ahead_for_as_long_as_a_start_takes() -> None:
    # 3.0 against 2.4 replicas' worth, 2 minutes: 3.75 in 2.5 minutes, so 5 with headroom, not 4
    story = scaling(4)
    story.state = State(replicas=4, cold_starts=(START,) * 3)
    story.now += 5
    pool = Pool(4, nodes("g-0", "g-1", "g-2", "g-3"))
    growing = replace(
        seen(story, pool, 75, 75, 75, 75),
        pods=tuple(
            replace(p, node=f"g-{n}") for n, p in enumerate(story.observation(
                75, 75, 75, 75, slow=60).pods)
        ),
    )  # fmt: skip
    decision = story.sees(observed=growing, after=0.0)
    assert decision.desired == 4
    assert decision.pool is not None
    assert decision.pool.after == 5
    assert "1 that the load will need within a cold start" in decision.pool.reason


def test_without_measured_starts_nothing_is_looked_ahead() -> None:
    story = scaling(4)
    pool = Pool(4, nodes("g-0", "g-1", "g-2", "g-3"))
    base = story.observation(75, 75, 75, 75, slow=60)
    pods = tuple(replace(p, node=f"g-{n}") for n, p in enumerate(base.pods))
    assert story.sees(observed=replace(base, pods=pods, pool=pool)).pool is None


def test_pods_come_down_before_the_nodes_and_the_nodes_after_a_while() -> None:
    story = scaling(4)
    story.lasts(300, 75, 75, 75, 75)
    pool = Pool(4, nodes("g-0", "g-1", "g-2", "g-3"))
    for _ in range(40):
        decision = sees(story, pool, *[10.0] * story.current, after=15)
        if decision.desired == 1:
            break
        assert decision.pool is None
    assert decision.desired == 1
    assert decision.pool is None
    leaving = Pod("flower-old", terminating=True, node="g-1")
    half = Pool(4, (*nodes("g-0", "g-1"), *nodes("g-2", "g-3", busy=0)))
    for _ in range(10):  # one still drains: not a node goes
        assert sees(story, half, 40, more=(leaving,), after=15).pool is None
    empty = Pool(4, (*nodes("g-0"), *nodes("g-1", "g-2", "g-3", busy=0)))
    wishes = [sees(story, empty, 40, after=15).pool for _ in range(5)]
    assert wishes[:4] == [None] * 4
    assert wishes[4] is not None
    assert wishes[4].after == 1


def test_never_below_the_nodes_that_have_a_gpu_pod() -> None:
    # Two replicas sit on two half-empty nodes: one would do, and none goes.
    story = scaling(2, nodes=replace(NODES, gpus_per_node=2))
    pool = Pool(3, (Node("g-0", 2, gpu_pods=1), Node("g-1", 2, gpu_pods=1), Node("x", 2)))
    wishes = [sees(story, pool, 75, 75, after=15).pool for _ in range(10)]
    lowered = [w for w in wishes if w is not None]
    assert lowered[0].after == 2
    others = Pool(3, (*nodes("g-0", "g-1"), *nodes("of-somebody-else")))
    story = scaling(2)
    assert all(sees(story, others, 75, 75, after=15).pool is None for _ in range(10))


def test_karpenter_7414_a_node_is_not_taken_from_under_a_long_image_pull() -> None:
    # The load is gone again before the pod could start: it is still on its node, pulling.
    story = scaling(1)
    pulling = Pod("flower-new", ready=False, phase="Pending", node="g-1",
                  waiting="ContainerCreating (container triton)")  # fmt: skip
    pool = Pool(2, nodes("g-0", "g-1"))
    for _ in range(20):
        assert sees(story, pool, 40, more=(pulling,), after=15).pool is None


def test_triton_gke_a_node_that_takes_seven_minutes_is_not_given_up() -> None:
    story = scaling(2)
    asked = Pool(3, nodes("g-0", "g-1"))
    for _ in range(28):
        decision = sees(story, asked, 110, 110, more=(homeless(story, 400),), after=15)
        assert "capacityLostFor" not in decision.figures


def test_a_pool_that_takes_any_of_its_nodes_goes_down_only_when_all_are_empty() -> None:
    gke = GkePool("project", "europe-west4-a", "cluster", "gpu")
    story = scaling(1, nodes=Nodes(gke, gpus_per_node=1))
    pool = Pool(2, (*nodes("g-0"), *nodes("g-1", busy=0)))
    for _ in range(10):
        decision = sees(story, pool, 40, after=15)
        assert decision.pool is None
    assert any("which of them would go is up to the pool" in note for note in decision.notes)


def test_nothing_goes_down_while_signals_are_missing() -> None:
    story = scaling(1)
    pool = Pool(3, (*nodes("g-0"), *nodes("g-1", "g-2", busy=0)))
    for _ in range(40):
        story.now += 15
        dark = seen(story, pool, 75)
        dark = replace(dark, pods=tuple(replace(p, models=()) for p in dark.pods))
        assert story.sees(observed=dark, after=0.0).pool is None


def test_what_cannot_be_read_is_held_and_said() -> None:
    decision = sees(scaling(2), Missing("not allowed to list nodes"), 155, 155)
    assert decision.pool is None
    assert any("held as it is: not allowed to list nodes" in note for note in decision.notes)


def test_a_pool_that_somebody_else_resizes_is_never_resized() -> None:
    owned = Pool(2, nodes("g-0", "g-1"), owner="Cluster Autoscaler (max size 9)")
    decision = sees(scaling(2), owned, 155, 155)
    assert (decision.desired, decision.pool) == (4, None)
    assert any("Cluster Autoscaler (max size 9) does that" in note for note in decision.notes)


def test_an_empty_pool_of_unknown_nodes_asks_for_gpus_per_node() -> None:
    story = scaling(1, nodes=Nodes(STATIC))
    decision = sees(story, Pool(0), 155)
    assert decision.pool is None
    assert any("gpusPerNode" in note for note in decision.notes)


def test_max_nodes_bounds_what_is_asked_for() -> None:
    story = scaling(2, nodes=replace(NODES, max_nodes=3))
    decision = sees(story, Pool(2, nodes("g-0", "g-1")), 155, 155)
    assert decision.pool is not None
    assert decision.pool.after == 3
    assert any("need 4 nodes, and maxNodes is 3" in note for note in decision.notes)


def test_a_buffer_is_sized_in_spare_replicas() -> None:
    story = scaling(2, nodes=Nodes(BUFFER, spare=2))
    decision = sees(story, Pool(0, nodes("g-0", "g-1")), 75, 75)
    assert decision.pool is not None
    assert (decision.pool.unit, decision.pool.after) == ("spare replicas", 2)
    assert sees(story, Pool(2, nodes("g-0", "g-1")), 75, 75).pool is None


def test_a_refusal_is_told_in_the_words_of_who_refuses() -> None:
    story = scaling(2, nodes=Nodes(BUFFER, spare=1))
    pool = Pool(1, nodes("g-0", "g-1"), refusal="the pod template names only limits")
    decision = sees(story, pool, 75, 75)
    assert "the node pool brings nothing: the pod template names only limits" in decision.notes


def test_nodes_that_never_come_are_lost_capacity_and_not_asked_for_again() -> None:
    story = scaling(2)
    story.state = State(replicas=2, cold_starts=(START,) * 3)
    pool = Pool(2, nodes("g-0", "g-1"))
    assert sees(story, pool, 155, 155).pool is not None
    asked = replace(pool, size=4)
    for _ in range(30):  # five minutes: more than twice the two of a start
        decision = sees(story, asked, 155, 155, after=10)
    assert decision.figures["capacityLostFor"] > 0
    assert any("capacity lost" in n and "no node came within 4m" in n for n in decision.notes)
    assert sees(story, asked, 250, 250).pool is None  # wants more, and asks nobody
    assert story.state.pool.lost_since is not None
    came = Pool(4, nodes("g-0", "g-1", "g-2", "g-3"))
    assert not any("lost" in note for note in sees(story, came, 75, 75, 75, 75).notes)
    assert story.state.pool == PoolMemory()


def test_the_first_node_that_comes_starts_the_clock_anew() -> None:
    story = scaling(2)
    story.state = State(replicas=2, cold_starts=(START,) * 3)
    sees(story, Pool(4, nodes("g-0", "g-1")), 155, 155)
    sees(story, Pool(4, nodes("g-0", "g-1", "g-2")), 155, 155, after=200)
    sees(story, Pool(4, nodes("g-0", "g-1", "g-2")), 155, 155, after=200)
    assert story.state.pool.lost_since is None


def test_the_fallback_is_asked_instead() -> None:
    story = scaling(4, nodes=Nodes(STATIC, gpus_per_node=1, fallback=BUFFER))
    story.state = State(replicas=4, cold_starts=(START,) * 3)
    pool = Pool(4, nodes("g-0", "g-1"))
    pending = tuple(homeless(story, 250, f"new-{n}") for n in range(2))
    decision = sees(story, pool, 75, 75, more=pending, fallback=Pool(0))
    assert decision.pool is not None
    assert decision.pool.driver == BUFFER
    assert (decision.pool.before, decision.pool.after) == (0, 2)
    assert any("the fallback is asked instead" in note for note in decision.notes)
    again = sees(story, pool, 75, 75, more=pending, fallback=Pool(2))
    assert again.pool is None


def test_the_fallback_keeps_who_runs_on_it_and_goes_down_behind_them() -> None:
    story = scaling(2, nodes=Nodes(BUFFER, gpus_per_node=1, fallback=STATIC))
    first = Pool(0, nodes("g-0"))
    second = Pool(3, (*nodes("g-1"), *nodes("f-1", "f-2", busy=0)))
    wishes = [sees(story, first, 75, 75, fallback=second, after=15).pool for _ in range(8)]
    asked = [wish for wish in wishes if wish is not None]
    assert asked
    assert all((wish.driver, wish.after) == (STATIC, 1) for wish in asked)


def test_a_leaving_node_is_made_up_for_while_it_is_there() -> None:
    story = scaling(2)
    pool = Pool(2, (*nodes("g-0"), *nodes("g-1", leaving="spot interruption")))
    story.now += 5
    base = seen(story, pool, 75, 75)
    pods = (base.pods[0], replace(base.pods[1], leaving="spot interruption"))
    decision = story.sees(observed=replace(base, pods=pods), after=0.0)
    assert decision.desired == 3
    assert decision.pool is not None
    assert decision.pool.after == 3


def test_a_pause_stops_the_pool_too_and_a_contest_its_way_down() -> None:
    grows, shrinks = Pool(2, nodes("g-0", "g-1")), Pool(3, (*nodes("g-0"), *nodes("a", busy=0)))
    for hands in (Hands(paused="a freeze"), Hands(others=("HPA x",))):
        story = scaling(2)
        assert sees(story, grows, 155, 155, hands=hands).pool is None
    story = scaling(2, when_contested=WhenContested("refuse"))
    sees(story, grows, 75, 75)
    story.current = 1
    assert all(sees(story, shrinks, 20, after=60).pool is None for _ in range(10))
    story = scaling(2, when_contested=WhenContested("refuse"))
    sees(story, grows, 75, 75)
    story.current = 4  # by hand: they need nodes all the same
    wish = sees(story, grows, 75, 75).pool
    assert wish is not None
    assert wish.after == 4


def test_a_target_switched_off_by_hand_frees_its_nodes() -> None:
    story = scaling(1)
    sees(story, Pool(1, nodes("g-0")), 20)
    story.current = 0
    empty = Pool(1, nodes("g-0", busy=0))
    wishes = [sees(story, empty, after=30).pool for _ in range(5)]
    assert any(wish is not None and wish.after == 0 for wish in wishes)


def test_a_policy_without_nodes_asks_for_nothing() -> None:
    story = scaling(2, nodes=None)
    decision = sees(story, None, 155, 155)
    assert (decision.pool, decision.notes) == (None, ())


def test_growth_by_pods_on_another_pool_is_not_counted_twice() -> None:
    story = scaling(2)
    pool = Pool(1, nodes("g-0"))  # g-1 is of some other pool
    assert sees(story, pool, 75, 75).pool is None
