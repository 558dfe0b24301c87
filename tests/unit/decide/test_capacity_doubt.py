"""A capacity in the policy that no longer holds is told of, with its evidence and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoscaler.decide.bracket import DAY
from autoscaler.model import Capacity, Decision, Pod, Policy, Sample, Sla
from tests.unit.decide.fleets import POLICY, Story, model

PROFILED = replace(POLICY, capacity=Capacity("profile flower.csv", 340.0))
NOW = 1_795_183_500.0  # 2026-11-20 14:05 UTC


def watched(policy: Policy = PROFILED, current: int = 2) -> Story:
    story = Story(policy=policy, current=current, follow=False, now=NOW)
    story.lasts(330, *[100] * current)
    return story


def broken(story: Story, rate: float = 250) -> Decision:
    return story.sees(rate, rate, queue_time=0.2, pending=20, peak=20)


def doubts(decision: Decision) -> list[str]:
    return [note for note in decision.notes if "of the capacity in the policy" in note]


def test_a_profile_that_no_longer_holds_is_told_of_with_rate_date_and_remedy() -> None:
    decision = broken(watched())
    (note,) = doubts(decision)
    assert note == (
        "250/s per replica, 73.5% of the capacity in the policy (340/s per replica (profile "
        "flower.csv)), broke the SLA on 2026-11-20 14:10 UTC: it no longer holds; measure again "
        "and read the result with `triton-autoscaler profile`, or look what holds the replicas up"
    )
    assert decision.figures["capacityBelied"] == 250 / 340


def test_what_was_not_carried_does_not_count() -> None:
    # 330/s arrive a replica and 250/s get through: 250/s broke it, and no 330/s.
    story = watched()
    story.now += 15
    seen = story.observation(250, 250, queue_time=0.2, pending=20, peak=20)
    pods = tuple(
        replace(
            pod, models=(replace(pod.models[0], arrivals_slow=Sample(330.0, story.now, 300.0)),)
        )
        for pod in seen.pods
    )
    (note,) = doubts(story.sees(observed=replace(seen, pods=pods), after=0.0))
    assert note.startswith("250/s per replica")


def test_it_says_the_same_until_there_is_other_evidence() -> None:
    story = watched()
    first = doubts(broken(story))
    assert first
    assert doubts(story.sees(100, 100, after=3600)) == first
    assert doubts(broken(story, 255)) == first, "255/s is no news where 250/s broke it"
    assert doubts(broken(story, 240)) != first


def test_it_ends_once_that_rate_keeps_the_sla_again() -> None:
    story = watched()
    assert doubts(broken(story))
    assert not doubts(story.sees(260, 260))


def test_it_ends_with_a_new_figure_in_the_policy() -> None:
    story = watched()
    assert doubts(broken(story))
    story.with_policy(capacity=Capacity("profile flower-2.csv", 240.0))
    story.current = 3  # and at once, not when the fleet stands still again
    decision = story.sees(100, 100, starting=1)
    assert not doubts(decision)
    assert "capacityBelied" not in decision.figures


def test_it_ends_with_a_new_image_and_asks_whether_the_figure_is_of_the_old_one() -> None:
    story = watched()
    images = ("triton:1", "triton:1", "triton:2")
    for image in images:
        seen = story.observation(250, 250, queue_time=0.2, pending=20, peak=20)
        pods = tuple(replace(pod, image=image) for pod in seen.pods)
        decision = story.sees(observed=replace(seen, pods=pods))
    assert not doubts(decision)
    assert any("the capacity in the policy still holds is seen anew" in n for n in decision.notes)


def test_it_ends_when_it_is_seven_weeks_old() -> None:
    story = watched()
    assert doubts(broken(story))
    assert doubts(story.sees(100, 100, after=48 * DAY))
    assert not doubts(story.sees(100, 100, after=2 * DAY))


def test_a_breach_near_the_figure_is_what_the_figure_says() -> None:
    assert not doubts(broken(watched(), 310))


def test_slow_answers_with_nobody_waiting_are_no_matter_of_capacity() -> None:
    assert not doubts(watched().sees(3, 3, queue_time=0.2))


def test_replicas_that_carry_well_more_than_the_figure_say_that_fewer_might_do() -> None:
    decision = watched().sees(420, 420)
    (note,) = doubts(decision)
    assert note.startswith("420/s per replica, 124% of the capacity")
    assert "kept the SLA on 2026-11-20 14:10 UTC: fewer replicas might do" in note
    assert not doubts(watched().sees(400, 400))


def test_short_queues_do_not_tell_that_a_latency_promise_is_kept() -> None:
    strict = replace(PROFILED, sla=Sla(0.05, latency=((0.99, 0.1),)))
    assert not doubts(watched(strict).sees(420, 420))
    assert doubts(broken(watched(strict))), "a broken one is broken"


def test_a_fleet_on_the_move_proves_nothing() -> None:
    story = watched()
    story.current = 3
    assert not doubts(story.sees(250, 250, 250, queue_time=0.2, pending=20, peak=20))


def test_a_figure_per_model_is_checked_by_the_share_of_all_of_them() -> None:
    def mixed(story: Story, **kwargs: Any) -> Decision:
        story.now += 15
        pods = tuple(
            Pod(
                f"flower-{n}",
                models=(
                    model(story.now, 100, name="resnet50", **kwargs),
                    model(story.now, 10, name="bert", **kwargs),
                ),
            )
            for n in range(2)
        )
        return story.sees(observed=replace(story.observation(1, 1), pods=pods), after=0.0)

    several = Capacity("given", models={"resnet50": 340.0, "bert": 45.0})
    story = Story(policy=replace(POLICY, capacity=several), current=2, follow=False, now=NOW)
    for _ in range(21):
        mixed(story)
    decision = mixed(story, queue_time=0.2, pending=20, peak=20)
    # 100/340 + 10/45
    assert any(note.startswith("51.6% of the capacity in the policy") for note in doubts(decision))
