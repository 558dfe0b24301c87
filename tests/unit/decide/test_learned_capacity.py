"""Learned capacity: what it is, since when, what age does to it, and when it starts anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.decide.bracket import DAY, believed, weight, when_broken, when_kept, words
from autoscaler.model import Bracket, Decision, Hands, Observation, State
from autoscaler.wire import from_json, to_json
from tests.unit.decide.fleets import POLICY, Story

NOW = 1_795_183_500.0  # 2026-11-20 14:05 UTC
LEARNING = replace(POLICY, capacity=None)
LEARNED = Bracket(kept=212, kept_at=NOW, broken=260, broken_at=NOW - DAY - 17_580)


def learner(current: int = 2, bracket: Bracket = LEARNED) -> Story:
    """Two replicas that were watched for as long as it takes."""
    story = Story(policy=LEARNING, current=current, follow=False, now=NOW)
    story.lasts(330, *[80] * current)
    story.state = replace(story.state, bracket=bracket)
    return story


def run_by(
    story: Story, *images: str | None, versions: str | None = None, **hands: str
) -> Observation:
    seen = story.observation(*[100] * len(images))
    pods = [
        replace(pod, image=image, models=(replace(pod.models[0], versions=versions),))
        for pod, image in zip(seen.pods, images, strict=True)
    ]
    return replace(seen, pods=tuple(pods), hands=Hands(**hands))


def sees(story: Story, *images: str | None, after: float = 15.0, **kwargs: str) -> Decision:
    story.now += after
    return story.sees(observed=run_by(story, *images, **kwargs), after=0.0)


# --- dates -----------------------------------------------------------------------------------


def test_the_sentence_says_when_each_end_was_seen() -> None:
    decision = learner().sees(150, 150)
    assert (
        "212/s per replica (learned: 212/s kept the SLA on 2026-11-20 14:05 UTC, "
        "260/s broke it on 2026-11-19 09:12 UTC)" in decision.sentence
    )


def test_who_has_seen_one_end_only_reads_which_one_lacks() -> None:
    first = learner(bracket=Bracket(kept=212, kept_at=NOW)).sees(150, 150)
    assert (
        "demand has no say: no capacity given, and none learned yet: 212/s kept the SLA on "
        "2026-11-20 14:05 UTC, no rate was seen to break the SLA" in first.notes
    )
    second = learner(bracket=Bracket(broken=260, broken_at=NOW)).sees(10, 10)
    assert any(
        "260/s broke the SLA on 2026-11-20 14:05 UTC, no rate was seen to keep" in note
        for note in second.notes
    )
    third = learner(bracket=Bracket()).sees(0, 0)
    assert any(note.endswith("yet: no rate was seen to break the SLA") for note in third.notes)


def test_what_those_who_stay_were_seen_to_carry_is_dated() -> None:
    story = learner(4, Bracket(kept=212, kept_at=NOW))
    step = story.lasts(600, 50, 50, 50, 50, pending=1, peak=5)[-1].trace
    assert any("212/s kept the SLA on 2026-11-20 14:05 UTC" in s.reason for s in step)


# --- age -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "counts"), [(0, 1), (14, 1), (14.1, 0.9), (21.1, 0.8), (42.1, 0.5), (9999, 0.5)]
)
def test_a_tenth_is_taken_off_for_each_week_that_nothing_confirmed_it(
    days: float, counts: float
) -> None:
    assert weight(NOW - days * DAY, NOW) == pytest.approx(counts)


def test_what_has_no_date_counts_for_the_least_and_never_for_nothing() -> None:
    assert believed(Bracket(kept=212), NOW) == 106


def test_fewer_may_go_on_the_word_of_an_old_look() -> None:
    # 200/s in all: one replica was seen to carry that, seven weeks ago; two must stay.
    def stay(days: float) -> int | None:
        story = learner(5, Bracket(kept=212, kept_at=NOW - days * DAY))
        story.follow = True
        return story.lasts(3000, *[40] * 5, pending=1, peak=5)[-1].desired

    assert (stay(1), stay(49)) == (1, 2)


def test_age_makes_the_fleet_larger_and_says_so() -> None:
    old = replace(LEARNED, kept_at=NOW - 22 * DAY)
    fresh, aged = learner().sees(160, 160), learner(bracket=old).sees(160, 160)
    assert (fresh.desired, aged.desired) == (2, 3)
    assert "not confirmed for 22 days: counted as 170/s" in aged.sentence


def test_traffic_that_the_learned_size_carries_confirms_it() -> None:
    # Half of what it sizes to, 0.5 × 0.8 × 212 × 0.5 = 42/s: two replicas where one did not do.
    aged = replace(LEARNED, kept_at=NOW - 60 * DAY)
    assert when_kept(aged, 42, 0.2, NOW) == aged
    seen = when_kept(aged, 43, 0.2, NOW)
    assert believed(seen, NOW) == 212
    assert seen.kept_at == aged.kept_at, "the date is still that of the 212/s"
    assert "212/s kept the SLA on 2026-09-21" in words(seen, NOW)


def test_confirmations_are_written_down_once_a_day() -> None:
    seen = when_kept(LEARNED, 150, 0.2, NOW + 3600)
    assert seen is LEARNED
    later = when_kept(LEARNED, 150, 0.2, NOW + DAY)
    assert later.kept_confirmed_at == NOW + DAY
    assert when_kept(later, 150, 0.2, NOW + DAY + 15) is later


def test_an_idle_night_confirms_nothing() -> None:
    story = learner(bracket=replace(LEARNED, kept_at=NOW - 30 * DAY))
    story.lasts(900, 5, 5)
    assert story.state.bracket.kept_confirmed_at is None


def test_the_rate_that_broke_it_is_not_forgotten_by_age() -> None:
    # Forgotten, no capacity would be known, and a calm fleet would come down one by one.
    old = replace(LEARNED, broken_at=NOW - 400 * DAY)
    assert "260/s broke it" in learner(bracket=old).sees(160, 160).sentence


def test_a_new_breach_takes_the_place_of_an_old_one() -> None:
    old = replace(LEARNED, broken_at=NOW - 20 * DAY)
    again = when_broken(old, 300, 5, NOW)
    assert (again.kept, again.broken, again.broken_at) == (212, 300, NOW)
    assert when_broken(LEARNED, 300, 5, NOW) is LEARNED, "the lower one, while it is fresh"


# --- a new image, a new version --------------------------------------------------------------


def test_a_new_image_starts_anew_and_says_so_for_a_day() -> None:
    story = learner()
    sees(story, "triton:1", "triton:1")
    decision = sees(story, "triton:2", "triton:2")
    assert story.state.bracket == Bracket()
    note = "image triton:1 became triton:2 on 2026-11-20 14:11 UTC: capacity is learned anew"
    assert note in decision.notes
    assert note in sees(story, "triton:2", "triton:2", after=DAY - 60).notes
    assert note not in sees(story, "triton:2", "triton:2", after=120).notes


def test_the_second_rollout_of_a_day_still_says_that_capacity_is_learned_anew() -> None:
    story = learner()
    for image in ("triton:1", "triton:2", "triton:3"):
        decision = sees(story, image, image)
    assert any("triton:2 became triton:3" in note for note in decision.notes)


def test_a_new_model_version_starts_anew_although_the_pods_stay() -> None:
    story = learner()
    sees(story, None, None)
    decision = sees(story, None, None, versions="2")
    assert story.state.bracket == Bracket()
    assert any("version 1 of resnet50 became 2" in note for note in decision.notes)


def test_nothing_of_the_old_image_is_left_in_what_is_learned_of_the_new() -> None:
    story = learner()
    sees(story, "triton:1", "triton:1")
    for _ in range(20):  # 300 s: the slow window still looks back at the old one
        sees(story, "triton:2", "triton:2")
    assert story.state.bracket == Bracket()
    sees(story, "triton:2", "triton:2")
    assert story.state.bracket.kept == 100


def test_while_two_images_serve_side_by_side_nothing_is_learned_or_forgotten() -> None:
    story = learner()
    sees(story, "triton:1", "triton:1")
    story.state = replace(story.state, bracket=replace(LEARNED, kept=90))
    for _ in range(40):
        decision = sees(story, "triton:1", "triton:2")
    assert story.state.bracket.kept == 90
    said = "images triton:1 and triton:2 serve side by side: no capacity is learned"
    assert said in decision.notes


def test_while_a_rollout_is_under_way_nothing_is_learned() -> None:
    story = learner(bracket=replace(LEARNED, kept=90))
    for _ in range(40):
        sees(story, "triton:1", "triton:1", rollout="1 of 2 updated")
    assert story.state.bracket.kept == 90
    sees(story, "triton:1", "triton:1")
    assert story.state.bracket.kept == 100


def test_pods_of_several_versions_teach_nothing() -> None:
    story = learner(bracket=replace(LEARNED, kept=90))
    seen = run_by(story, "triton:1", "triton:1")
    new = replace(seen.pods[1].models[0], versions="2")
    mixed = replace(seen, pods=(seen.pods[0], replace(seen.pods[1], models=(new,))))
    decision = story.sees(observed=mixed, after=0.0)
    assert story.state.bracket.kept == 90
    assert any("several versions of resnet50" in note for note in decision.notes)


def test_an_image_that_is_not_known_for_a_while_has_not_changed() -> None:
    story = learner()
    sees(story, "triton:1", "triton:1")
    sees(story, None, None)
    sees(story, "triton:1", "triton:1")
    assert story.state.bracket == LEARNED
    sees(story, None, None)
    sees(story, "triton:2", "triton:2")
    assert story.state.bracket == Bracket(), "nor was it forgotten"


def test_a_model_unloaded_for_the_night_is_no_new_version() -> None:
    story = learner()
    sees(story, None, None, versions="3")
    story.state = replace(story.state, bracket=LEARNED)
    seen = story.observation(100, 100)
    other = tuple(replace(pod, models=(replace(pod.models[0], model="bert"),)) for pod in seen.pods)
    story.sees(observed=replace(seen, pods=other), after=0.0)
    sees(story, None, None, versions="3")
    assert story.state.bracket == LEARNED


def test_a_first_rollout_costs_nothing_and_says_nothing() -> None:
    story = learner(bracket=Bracket())
    sees(story, "triton:1", "triton:1")
    story.state = replace(story.state, bracket=Bracket())
    assert sees(story, "triton:2", "triton:2").notes == learner(bracket=Bracket()).sees(1, 1).notes


# --- a settled fleet -------------------------------------------------------------------------


def test_who_just_came_to_look_learns_nothing_of_the_window_before() -> None:
    # 200/s were carried by four a minute ago: they are no 100/s that two replicas keep.
    story = Story(policy=LEARNING, current=2, follow=False)
    story.lasts(285, 100, 100)
    assert story.state.bracket == Bracket()
    story.lasts(60, 100, 100)
    assert story.state.bracket.kept == 100


def test_a_replica_that_just_became_ready_has_not_carried_its_share_yet() -> None:
    story = learner(3, Bracket())
    story.lasts(300, 150, 150, starting=1)
    for decision in story.lasts(285, 100, 100, 100, queue_time=0.2, pending=9, peak=9):
        assert decision.current == 3
    assert story.state.bracket.broken is None
    story.lasts(30, 100, 100, 100, queue_time=0.2, pending=9, peak=9)
    assert story.state.bracket.broken == 100


def test_states_of_before_are_read_and_the_new_ones_survive() -> None:
    old = b'{"version":1,"bracket":{"kept":212.0,"keptAt":1.0,"broken":null,"brokenAt":null}}'
    assert from_json(State, old).bracket == Bracket(kept=212.0, kept_at=1.0)
    story = learner()
    sees(story, "triton:1", "triton:1", versions="2")
    assert story.state.software is not None
    assert from_json(State, to_json(story.state)) == story.state
