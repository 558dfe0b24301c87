"""One hand on the wheel: another autoscaler, a person, a pause, a rollout, a quota."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.decide.contest import sent
from autoscaler.model import (
    Bounds,
    Cooldown,
    Decision,
    Hands,
    Replicas,
    State,
    WhenContested,
)
from tests.unit.decide.fleets import POLICY, Story

SCALING = replace(POLICY, mode="scale")
HPA = Hands(others=("HorizontalPodAutoscaler default/flower",))
NOBODY = Hands()
KUBECTL = "kubectl, Update of scale, 2026-11-21T08:00:00Z"


def scaling(current: int, **changes: object) -> Story:
    return Story(policy=replace(SCALING, **changes), current=current)  # type: ignore[arg-type]


def sees(story: Story, *rates: float, hands: Hands = NOBODY, after: float = 5.0) -> Decision:
    """One tick with these hands on the wheel."""
    story.now += after
    seen = replace(story.observation(*rates), hands=hands)
    return story.sees(observed=seen, after=0.0)


def test_an_hpa_on_the_target_is_named_and_nothing_moves() -> None:
    story = scaling(2)
    decision = sees(story, 155, 155, hands=HPA)
    assert (decision.desired, decision.binding) == (2, "hands")
    assert decision.sentence.startswith(
        "Stay at 2, not 4: HorizontalPodAutoscaler default/flower also sets the replicas"
    )
    assert "mode: recommend" in decision.flip


def test_an_hpa_is_told_of_although_nothing_is_wanted_just_now() -> None:
    decision = sees(scaling(2), 75, 75, hands=HPA)
    assert decision.binding == "hands"
    assert decision.hold is not None
    assert decision.sentence.startswith("Stay at 2: HorizontalPodAutoscaler")


@pytest.mark.parametrize("mode", ["observe", "recommend"])
def test_where_an_hpa_is_expected_it_holds_nothing(mode: str) -> None:
    story = scaling(2, mode=mode)
    assert sees(story, 155, 155, hands=replace(HPA, paused="annotation")).desired == 4


def test_a_pause_stops_even_a_correction_and_names_who() -> None:
    story = scaling(12)
    who = "annotation triton-autoscaler/paused (by kubectl-annotate): incident 42"
    decision = sees(story, *[20] * 12, hands=Hands(paused=who))
    assert decision.desired == 12
    assert "scaling is paused, annotation triton-autoscaler/paused" in decision.sentence
    assert "incident 42" in decision.sentence


def test_the_first_sight_of_a_target_is_no_contest() -> None:
    story = scaling(2)
    hands = Hands(writer="helm, Update, 2026-01-01T00:00:00Z")
    assert sees(story, 155, 155, hands=hands).desired == 4
    assert story.state.contest is None


def test_our_own_change_is_no_contest() -> None:
    story = scaling(2)
    sees(story, 155, 155)
    assert sees(story, 75, 75, 75, 75).desired == 4
    assert story.state.contest is None
    assert story.state.written is not None
    assert story.state.written.replicas == 4


def test_a_change_by_hand_is_left_alone_for_as_long_as_the_policy_yields() -> None:
    story = scaling(2, when_contested=WhenContested("yield", 600.0))
    sees(story, 75, 75)
    story.current = 3
    decision = sees(story, 155, 155, 155, hands=Hands(writer=KUBECTL))
    assert (decision.desired, decision.binding) == (3, "hands")
    assert f"{KUBECTL} changed the replicas from 2 to 3" in decision.sentence
    assert "the policy yields for 10m" in decision.sentence
    assert decision.flip == "scaling goes on in 10m"
    assert sees(story, 155, 155, 155, after=590).desired == 3
    assert sees(story, 155, 155, 155, after=10).desired == 6
    assert story.state.contest is None


def test_a_person_who_writes_right_after_us_gives_the_wheel_back_at_our_size() -> None:
    story = scaling(2, when_contested=WhenContested("refuse", 0.0))
    sees(story, 155, 155)
    assert story.state.order is not None
    story.state = sent(story.state)  # 2 → 4 by us, 4 → 6 by hand before anybody looked
    story.current = 6
    decision = sees(story, *[75] * 6, hands=Hands(writer=KUBECTL))
    assert f"{KUBECTL} changed the replicas from 4 to 6" in decision.sentence
    story.current = 4
    sees(story, *[75] * 4)
    assert story.state.contest is None


def test_a_size_set_by_hand_past_the_maximum_goes_before_the_limits_while_it_lasts() -> None:
    story = scaling(10, when_contested=WhenContested("yield", 600.0))
    sees(story, *[75] * 10)
    story.current = 12
    decision = sees(story, *[75] * 12, hands=Hands(writer=KUBECTL))
    assert decision.desired == 12
    assert "a change by hand goes before the maximum of 10" in decision.sentence
    ended = sees(story, *[75] * 12, after=600)
    assert (ended.desired, ended.binding) == (10, "limits")


def test_a_policy_that_refuses_waits_until_its_own_size_is_back() -> None:
    story = scaling(2, when_contested=WhenContested("refuse"))
    sees(story, 155, 155)
    sees(story, 75, 75, 75, 75)  # ours: 4
    story.current = 3
    for _ in range(5):
        decision = sees(story, 155, 155, 155, after=3600)
        assert decision.desired == 3
    assert "the policy refuses to write over that" in decision.sentence
    assert decision.flip == "set them back to 4, or edit the policy"
    story.current = 4
    assert sees(story, 155, 155, 155, 155).desired == 8


def test_an_edited_policy_ends_a_refusal() -> None:
    story = scaling(2, when_contested=WhenContested("refuse"), hash="a")
    sees(story, 75, 75)
    story.current = 3
    assert sees(story, 155, 155, 155).desired == 3
    story.with_policy(hash="b")
    assert sees(story, 155, 155, 155).desired == 6


def test_a_size_taken_over_after_a_yield_is_defended_like_any_other() -> None:
    story = scaling(3, when_contested=WhenContested("yield", 60.0))
    sees(story, 75, 75, 75)
    story.current = 4
    sees(story, 75, 75, 75, 75)
    assert sees(story, 75, 75, 75, 75, after=60).binding != "hands"
    story.current = 3
    assert sees(story, 75, 75, 75).binding == "hands"


def test_zero_set_by_hand_is_a_switch_and_the_way_back_an_invitation() -> None:
    story = scaling(2, when_contested=WhenContested("refuse"))
    sees(story, 75, 75)
    story.current = 0
    off = sees(story)
    assert off.desired == 0
    assert "somebody switched it off" in off.sentence
    story.current = 2
    assert sees(story, 155, 155).desired == 4


def test_an_answer_that_was_lost_does_not_make_us_fight_ourselves() -> None:
    # The write of 4 is not seen at the next tick (a late watch), and then it is.
    story = scaling(2, cooldown=Cooldown(0.0, 600.0))
    story.follow = False
    assert sees(story, 155, 155).desired == 4
    first = story.now
    assert sees(story, 155, 155).desired == 4
    story.policy = replace(story.policy, paused=True)  # nothing is ordered meanwhile
    sees(story, 155, 155)
    story.current = 4
    sees(story, 75, 75, 75, 75)
    assert story.state.contest is None
    assert story.state.written is not None
    assert story.state.written.replicas == 4
    assert first <= (story.state.scaled_at or 0) <= story.now - 5


def test_a_size_of_ours_that_somebody_else_writes_is_theirs() -> None:
    # Our order of 4 failed; a minute later a person sets 4: named as the writer, it is no echo.
    story = scaling(2)
    story.follow = False
    sees(story, 155, 155)
    story.policy = replace(story.policy, paused=True)
    sees(story, 75, 75)
    story.current = 4
    assert sees(story, 75, 75, 75, 75, hands=Hands(writer=KUBECTL)).binding == "hands"


def test_a_restart_after_days_of_nothing_is_the_first_sight_too() -> None:
    story = scaling(3)
    sees(story, 75, 75, 75)
    story.state = State()  # forgotten
    story.current = 5
    assert sees(story, *[75] * 5).binding != "hands"
    assert story.state.contest is None


def test_an_answer_that_was_lost_long_ago_does_not_claim_a_change_of_today() -> None:
    story = scaling(2)
    story.follow = False
    sees(story, 155, 155)
    sees(story, 75, 75)
    sees(story, 75, 75, after=3600)
    story.current = 4
    assert sees(story, 75, 75, 75, 75).binding == "hands"


def test_production_stack_903_who_sets_the_size_back_within_a_tick_is_noticed() -> None:
    # An operator owns replicas through its custom resource and puts them back at once.
    story = scaling(2)
    story.follow = False
    story.state = State(replicas=2)
    operator = "operator, Update, 2026-11-21T08:0{}:00Z"
    decisions = [
        sees(story, 155, 155, hands=Hands(writer=operator.format(n)), after=15) for n in range(5)
    ]
    assert [d.binding == "hands" for d in decisions] == [False, False, True, True, True]
    assert "operator, Update, 2026-11-21T08:02:00Z changed the replicas" in decisions[2].sentence


def test_an_operator_that_writes_scale_names_no_time_and_is_noticed_all_the_same() -> None:
    # Writes of /scale leave no time in managedFields: the same words each time.
    story = scaling(2)
    story.follow = False
    story.state = State(replicas=2)
    bound = []
    for _ in range(5):
        operator = Hands(writer="operator, Update of scale")
        bound.append(sees(story, 155, 155, hands=operator, after=15).binding == "hands")
        story.state = sent(story.state)
    assert bound == [False, False, True, True, True]


def test_a_write_that_a_late_watch_shows_a_tick_later_is_no_contest() -> None:
    story = scaling(2)
    story.follow = False
    helm = Hands(writer="helm, Update, 2026-01-01T00:00:00Z")
    sees(story, 155, 155, hands=helm)
    story.state = sent(story.state)
    sees(story, 155, 155, hands=helm)  # not seen yet; the second write finds 4 and is refused
    sees(story, 155, 155, hands=helm)
    story.current = 4
    sees(story, 75, 75, 75, 75)
    assert story.state.contest is None


def test_who_takes_over_what_we_wrote_is_noticed_at_once() -> None:
    story = scaling(2)
    sees(story, 155, 155)
    sees(story, 155, 155, 155, 155)  # ours: 4, and 8 are ordered
    story.current = 4  # not carried out: set back before anybody looked
    argo = Hands(writer="argocd-controller, Apply, 2026-11-21T08:00:00Z")
    decision = sees(story, 155, 155, 155, 155, hands=argo)
    assert decision.binding == "hands"
    assert "changed the replicas from 8 to 4" in decision.sentence


def test_an_edit_of_the_image_while_a_write_fails_is_no_contest() -> None:
    story = scaling(2)
    story.follow = False
    apply = "kubectl-client-side-apply, Update, 2026-11-21T08:0{}:00Z"
    sees(story, 155, 155, hands=Hands(writer=apply.format(0)))
    decision = sees(story, 155, 155, hands=Hands(writer=apply.format(1)))
    assert decision.desired == 4


def test_dynamo_4420_a_manual_edit_wedges_nothing() -> None:
    story = scaling(2, when_contested=WhenContested("yield", 300.0))
    sees(story, 75, 75)
    for size in (5, 3, 6):  # somebody tries things out
        story.current = size
        assert sees(story, *[75] * size, hands=Hands(writer=KUBECTL)).desired == size
    assert sees(story, *[150] * 6, after=301).desired == 10


def test_wva_1044_two_installs_do_not_see_saw() -> None:
    # Another autoscaler writes under a name of its own: one of the two yields.
    story = scaling(2)
    sizes = []
    for n in range(20):
        size = sees(story, *[75] * story.current, hands=Hands(writer=f"other {n}")).desired
        sizes.append(size)
        story.current = 5 if n % 2 else 3  # the other one's mind
    assert len(set(sizes[2:])) <= 2
    assert story.state.contest is not None


def test_a_dry_run_is_no_contest_with_itself() -> None:
    story = scaling(2)
    story.follow = False
    hands = Hands(writer="helm, Update, 2026-01-01T00:00:00Z")
    assert {sees(story, 155, 155, hands=hands).desired for _ in range(20)} == {4}


def test_a_change_while_others_scale_is_not_held_against_anybody_later() -> None:
    story = scaling(2, mode="recommend")
    sees(story, 75, 75)
    story.current = 3  # the HPA
    sees(story, 75, 75, 75)
    story.with_policy(mode="scale")
    assert sees(story, 155, 155, 155).desired == 6


def test_sizes_counted_from_series_are_nobodys_change() -> None:
    story = scaling(4)
    story.follow = False
    for size in (4, 3, 4, 4):
        seen = story.observation(*[75] * size)
        story.sees(observed=replace(seen, replicas=Replicas(size, size, source="series")))
    assert story.state.contest is None


def test_no_scale_in_during_a_rollout_and_growth_goes_on() -> None:
    rollout = Hands(rollout="1 of 4 pods are of the new version")
    story = scaling(4)
    story.lasts(600, 75, 75, 75, 75)
    for _ in range(30):
        decision = sees(story, 20, 20, 20, 20, hands=rollout, after=15)
    assert (decision.desired, decision.binding) == (4, "rollout")
    assert "1 of 4 pods are of the new version" in decision.sentence
    grown = sees(story, 155, 155, 155, 155, hands=rollout)
    assert grown.desired == 8
    assert any("scaling out goes on" in note for note in grown.notes)


def test_a_rollout_binds_in_recommend_too() -> None:
    story = scaling(4, mode="recommend")
    story.lasts(600, 75, 75, 75, 75)
    for _ in range(30):
        decision = sees(story, 20, 20, 20, 20, hands=Hands(rollout="it is stuck"), after=15)
    assert decision.desired == 4


def test_a_quota_that_makes_no_more_pods_is_not_asked_for_more() -> None:
    refused = Hands(refused="exceeded quota: gpus, used: 4, limited: 4")
    story = scaling(4)
    decision = sees(story, 155, 155, 155, 155, hands=refused)
    assert (decision.desired, decision.binding) == (4, "hands")
    assert "Kubernetes makes no more pods of it: exceeded quota" in decision.sentence
    assert decision.figures["arriving"] == 0


def test_what_a_quota_refuses_is_not_on_its_way() -> None:
    story = scaling(6)
    seen = replace(
        story.observation(75, 75, starting=1), hands=Hands(refused="exceeded quota: gpus")
    )
    assert story.sees(observed=seen).figures["arriving"] == 1


def test_who_applies_replicas_from_git_is_told_of_before_it_bites() -> None:
    hands = Hands(writer="argocd-controller, Apply, 2026-11-21T08:00:00Z")
    decision = sees(scaling(2), 75, 75, hands=hands)
    assert any("take replicas out of what it applies" in note for note in decision.notes)


def test_a_bound_raised_by_hand_below_the_minimum_is_left_too() -> None:
    story = scaling(4, replicas=Bounds(3, 10))
    sees(story, 75, 75, 75, 75)
    story.current = 2
    decision = sees(story, 75, 75, hands=Hands(writer=KUBECTL))
    assert decision.desired == 2
    assert "goes before the minimum of 3" in decision.sentence
