"""A node is about to go: Spot notice, a drain, a NotReady."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import Cap, Decision
from tests.unit.decide.fleets import POLICY, Story

WHY = "node gpu-0 is being disrupted: spot interruption"


def sees(
    story: Story, *rates: float, leaving: int = 1, after: float = 5.0, queue: float = 0.008
) -> Decision:
    story.now += after
    seen = story.observation(*rates, queue_time=queue)
    pods = tuple(
        replace(pod, leaving=WHY) if n < leaving else pod for n, pod in enumerate(seen.pods)
    )
    return story.sees(observed=replace(seen, pods=pods), after=0.0)


def test_a_replacement_is_asked_for_while_the_pod_still_serves_and_once() -> None:
    # 4 carry 310/s with headroom, and one of them is going
    story = Story(current=4)
    decision = sees(story, 77, 77, 77, 77)
    assert (decision.desired, decision.binding) == (5, "leaving")
    assert "flower-0 is about to be lost (node gpu-0 is being disrupted" in decision.sentence
    assert "a replacement is asked for" in decision.sentence
    for _ in range(10):
        assert sees(story, 77, 77, 77, 77).desired == 5
    assert any("about to be lost, not counted on: flower-0" in note for note in decision.notes)


def test_once_holds_where_no_capacity_is_known() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=4)
    sizes = [sees(story, 60, 60, 60, 60).desired for _ in range(20)]
    assert sizes == [5] * 20


def test_the_next_one_to_leave_gets_one_of_its_own() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=4)
    assert sees(story, 60, 60, 60, 60).desired == 5
    assert sees(story, 60, 60, 60, 60, 60, leaving=2).desired == 6
    assert sees(story, 60, 60, 60, 60, 60, 60, leaving=2).desired == 6


def test_where_the_others_can_carry_the_load_nothing_is_ordered() -> None:
    story = Story(current=4)
    assert sees(story, 40, 40, 40, 40).desired == 4


def test_the_leaving_one_is_not_counted_among_those_who_stay() -> None:
    # 240/s need 3; with one of 4 about to go, none can be let go.
    story = Story(current=4)
    sees(story, 60, 60, 60, 60, leaving=0)
    for _ in range(60):
        decision = sees(story, 60, 60, 60, 60, after=15)
        assert decision.desired == 4
    for _ in range(21):  # it was wished for until now: the stabilization window
        sees(story, *[240 / story.current] * story.current, leaving=0, after=15)
    assert story.current == 3


def test_a_budget_takes_nothing_that_the_leaving_one_leaves_needed() -> None:
    # 240/s need 3 of the 4, one is going: a cap of 3 has to wait until it is gone
    story = Story(current=4)
    for _ in range(60):
        story.now += 15
        seen = story.observation(60, 60, 60, 60)
        pods = (replace(seen.pods[0], leaving=WHY), *seen.pods[1:])
        decision = story.sees(observed=replace(seen, pods=pods, cap=Cap(3, "b")), after=0.0)
        assert decision.desired == 4


def test_a_replacement_that_was_not_written_is_ordered_again() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=4, follow=False)
    assert sees(story, 60, 60, 60, 60).desired == 5
    assert sees(story, 60, 60, 60, 60).desired == 5


def test_the_one_too_many_is_let_go_afterwards() -> None:
    story = Story(current=4)
    sees(story, 77, 77, 77, 77)
    assert story.current == 5
    for _ in range(30):
        sees(story, 62, 62, 62, 62, 62, leaving=0, after=15)
    assert story.current == 4
