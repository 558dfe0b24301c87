"""How long a start takes is measured, and used."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.decide.coldstart import horizon, lost_after, node_lost_after, quantile
from autoscaler.model import ColdStart, Node, Pod, Pool, State
from autoscaler.run.jump import shift
from tests.unit.decide.fleets import POLICY, Story


def started(total: float, scheduling: float = 1.0) -> ColdStart:
    return ColdStart(0.0, scheduling, 2.0, total - scheduling - 2.0)


def on_its_way(name: str, created: float, **times: float | str | None) -> Pod:
    return Pod(name, ready=False, phase="Pending", created_at=created, **times)  # type: ignore[arg-type]


def sees(story: Story, *pods: Pod, after: float = 5.0, rates: tuple[float, ...] = (75, 75)) -> None:
    story.now += after
    seen = story.observation(*rates)
    story.last = story.sees(observed=replace(seen, pods=(*seen.pods, *pods)), after=0.0)  # type: ignore[attr-defined]


def test_each_phase_is_told_apart_from_the_decision_on() -> None:
    # Ordered at t, created at t+1, a node after 40 s, the image after 60, the model after 90.
    story = Story(current=2)
    sees(story, rates=(110, 110))
    ordered = story.now
    assert story.current == 3
    new = on_its_way("flower-new", ordered + 1.0)
    sees(story, new)
    new = replace(new, node="gpu-1", scheduled_at=ordered + 40.0)
    sees(story, new, after=40)
    new = replace(new, started_at=ordered + 60.0, phase="Running")
    sees(story, new, after=20)
    sees(story, replace(new, ready=True, ready_at=ordered + 90.0), after=30)
    (measured,) = story.state.cold_starts
    assert (measured.scheduling, measured.pulling, measured.loading) == (40.0, 20.0, 30.0)


def test_the_decision_counts_where_the_pod_came_of_an_order() -> None:
    story = Story(current=2)
    sees(story, rates=(155, 155))
    ordered = story.now
    new = [on_its_way(f"flower-new-{n}", float(int(ordered))) for n in range(2)]
    sees(story, *new)
    ready = [
        replace(p, ready=True, node="n", scheduled_at=ordered + 3.0, started_at=ordered + 4.0,
                ready_at=ordered + 20.0)
        for p in new
    ]  # fmt: skip
    sees(story, *ready, after=20)
    assert [start.total for start in story.state.cold_starts] == [20.0, 20.0]
    assert story.state.arrivals == ()
    figures = story.last.figures  # type: ignore[attr-defined]
    assert figures["coldStartP50"] == figures["coldStartP90"] == 20.0
    assert figures["coldStartLoadingP50"] == 16.0


def test_a_pod_is_learned_once() -> None:
    story = Story(current=3)
    sees(story, on_its_way("new", story.now))
    times = {"scheduled_at": story.now, "started_at": story.now, "ready_at": story.now + 9}
    up = Pod("new", created_at=story.now, node="n", **times)  # type: ignore[arg-type]
    sees(story)
    sees(story, up)
    sees(story, replace(up, ready=False), after=600)
    sees(story, replace(up, ready_at=story.now), after=600)
    assert len(story.state.cold_starts) <= 1


def test_a_container_that_restarts_after_a_week_is_no_cold_start() -> None:
    story = Story(current=3)
    sees(story)
    week_ago = story.now - 7 * 86400
    old = Pod("old", created_at=week_ago, node="n", scheduled_at=week_ago, started_at=week_ago)
    sees(story, old)
    sees(story, replace(old, ready=False, waiting="running, not Ready"))
    sees(story, replace(old, ready_at=story.now), after=30)
    assert story.state.cold_starts == ()


@pytest.mark.parametrize("set_by", [-7200.0, 7200.0])
def test_a_clock_set_while_a_pod_starts_makes_it_no_start_of_hours(set_by: float) -> None:
    # Kubernetes' clock goes on: created at t+1, Ready at t+90. Ours is set by 2 hours in between.
    story = Story(current=2)
    sees(story, rates=(110, 110))
    ordered = story.now
    new = on_its_way("flower-new", ordered + 1.0)
    sees(story, new)
    story.now, story.state = story.now + set_by, shift(story.state, set_by)
    times = {"scheduled_at": ordered + 2.0, "started_at": ordered + 60.0}
    sees(story, replace(new, ready=True, node="n", ready_at=ordered + 90.0, **times), after=85)
    (measured,) = story.state.cold_starts
    assert measured.total == 89.0


@pytest.mark.parametrize(("node", "learned"), [("spare-1", 0), ("gpu-1", 1)])
def test_a_start_on_the_fallback_waited_in_vain_before_and_teaches_nothing(
    node: str, learned: int
) -> None:
    story = Story(current=3)
    fallback = Pool(1, (Node("spare-1", gpus=1),))
    times = {"scheduled_at": story.now, "started_at": story.now, "ready_at": story.now + 9}
    sees(story, on_its_way("new", story.now))
    up = Pod("new", created_at=story.now, node=node, **times)  # type: ignore[arg-type]
    seen = replace(story.observation(75, 75), fallback=fallback)
    story.sees(observed=replace(seen, pods=(*seen.pods, up)))
    assert len(story.state.cold_starts) == learned


def test_pods_already_starting_at_the_first_look_are_not_measured() -> None:
    story = Story(current=3)
    starting = on_its_way("new", story.now - 300, node="n", scheduled_at=story.now - 290)
    sees(story, starting)
    up = replace(starting, ready=True, started_at=story.now - 100, ready_at=story.now)
    sees(story, up)
    assert story.state.cold_starts == ()


def test_a_pod_that_is_gone_before_it_was_ready_is_forgotten() -> None:
    story = Story(current=2)
    sees(story)
    sees(story, on_its_way("new", story.now))
    assert [a.pod for a in story.state.arrivals] == ["new"]
    sees(story)
    assert story.state.arrivals == ()


def test_only_the_last_starts_are_kept() -> None:
    story = Story(current=2)
    story.state = State(cold_starts=tuple(started(20.0 + n) for n in range(32)))
    sees(story, on_its_way("new", story.now + 5))
    up = Pod("new", created_at=story.now, node="n", scheduled_at=story.now, started_at=story.now)
    sees(story, replace(up, ready_at=story.now + 5))
    assert len(story.state.cold_starts) == 32
    assert story.state.cold_starts[-1].total == pytest.approx(5.0)


def test_patience_is_twice_the_p90_and_never_under_a_minute() -> None:
    assert lost_after(State()) == 900.0
    assert lost_after(State(cold_starts=(started(95.0),) * 2)) == 900.0
    assert lost_after(State(cold_starts=(started(95.0),) * 3)) == 190.0
    assert lost_after(State(cold_starts=(started(10.0),) * 3)) == 60.0
    ten = tuple(started(float(n)) for n in range(91, 101))
    assert lost_after(State(cold_starts=ten)) == 2 * 99.0
    assert horizon(State(cold_starts=ten)) == 99.0
    assert horizon(State()) is None


def test_starts_on_free_gpus_say_nothing_of_how_long_a_node_takes() -> None:
    quick = (started(20.0),) * 5
    assert node_lost_after(State(cold_starts=quick)) == 900.0
    assert node_lost_after(State(cold_starts=(*quick, started(300.0, 240.0)))) == 600.0


def test_quantiles_are_nearest_ranks() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile(map(float, range(1, 11)), 0.9) == 9.0
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_how_long_a_replica_counts_as_on_its_way_follows_the_measured_starts() -> None:
    for starts, arriving in (((started(20.0),) * 3, 0.0), ((), 1.0)):
        story = Story(policy=replace(POLICY, capacity=None), current=3)
        story.state = State(replicas=3, cold_starts=starts)
        sees(story, on_its_way("slow", story.now - 120, node="n", scheduled_at=story.now - 119))
        assert story.last.figures["arriving"] == arriving  # type: ignore[attr-defined]


def test_progress_starts_the_patience_anew() -> None:
    # 5 minutes for a node, 50 s for the image since: with 20 s starts known it is not lost yet.
    story = Story(current=3)
    story.state = State(replicas=3, cold_starts=(started(20.0),) * 3)
    sees(story, on_its_way("slow", story.now - 350, node="n", scheduled_at=story.now - 45))
    assert story.last.figures["arriving"] == 1.0  # type: ignore[attr-defined]
