"""Fewer GPUs than are wanted: who gets what, and in which words."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.decide.budget import Claim, allot, capped
from autoscaler.model import Bounds, BudgetShare, Cap, GpuBudget
from tests.unit.decide.fleets import POLICY, Story, blind


def budget(gpus: int, *shares: tuple[str, int, int], name: str = "gpus") -> GpuBudget:
    return GpuBudget(
        "ml", name, gpus, tuple(BudgetShare(f"ml/{who}", prio, low) for who, prio, low in shares)
    )


def claim(who: str, wanted: int, now: int, gpus: int = 1) -> Claim:
    return Claim(f"ml/{who}", wanted, now, gpus)


def caps(budgets: list[GpuBudget], *claims: Claim) -> dict[str, int]:
    return {key.removeprefix("ml/"): cap.replicas for key, cap in allot(budgets, claims).items()}


def test_enough_for_all_caps_nobody_below_its_wish() -> None:
    got = caps([budget(8, ("a", 0, 0), ("b", 0, 0))], claim("a", 5, 2), claim("b", 3, 1))
    assert got == {"a": 5, "b": 3}


def test_floors_first_then_priority() -> None:
    shares = budget(8, ("low", 0, 2), ("high", 10, 1))
    assert caps([shares], claim("high", 9, 1), claim("low", 5, 1)) == {"high": 6, "low": 2}


def test_equals_get_one_each_in_turn() -> None:
    shares = budget(7, ("a", 0, 0), ("b", 0, 0), ("c", 0, 0))
    got = caps([shares], claim("a", 9, 0), claim("b", 9, 0), claim("c", 2, 0))
    assert got == {"a": 3, "b": 2, "c": 2}


def test_nobody_starves_behind_an_equal_that_came_first() -> None:
    shares = budget(8, ("a", 0, 0), ("b", 0, 0))
    assert caps([shares], claim("a", 8, 8), claim("b", 4, 0)) == {"a": 4, "b": 0}
    assert caps([shares], claim("a", 8, 5), claim("b", 4, 0)) == {"a": 4, "b": 3}


def test_gpus_change_hands_only_when_they_are_free() -> None:
    # low holds 6 of 8 and must go down to its floor; high gets the 2 that nobody holds until then
    shares = budget(8, ("low", 0, 1), ("high", 10, 1))
    assert caps([shares], claim("high", 7, 0), claim("low", 6, 6)) == {"high": 2, "low": 1}
    assert caps([shares], claim("high", 7, 2), claim("low", 6, 3)) == {"high": 5, "low": 1}


def test_a_lower_priority_never_pushes_a_higher_one_not_even_by_its_floor() -> None:
    shares = budget(8, ("low", 0, 2), ("high", 10, 0))
    assert caps([shares], claim("high", 8, 8), claim("low", 2, 0)) == {"high": 8, "low": 0}
    assert caps([shares], claim("high", 6, 8), claim("low", 2, 0)) == {"high": 6, "low": 0}
    assert caps([shares], claim("high", 8, 5), claim("low", 2, 0)) == {"high": 6, "low": 2}


def test_replicas_of_several_gpus_count_whole() -> None:
    shares = budget(8, ("a", 0, 0), ("b", 0, 0))
    assert caps([shares], claim("a", 3, 0, gpus=4), claim("b", 9, 0)) == {"a": 1, "b": 4}


def test_of_two_budgets_the_smaller_counts_and_the_rest_is_not_kept() -> None:
    team = budget(3, ("a", 0, 0), name="team")
    all_ = budget(8, ("a", 0, 0), ("b", 0, 0), name="all")
    assert caps([team, all_], claim("a", 6, 0), claim("b", 6, 0)) == {"a": 3, "b": 5}


def test_it_is_explained_in_one_line() -> None:
    shares = budget(8, ("flower", 10, 1), ("bert", 20, 1), ("idle", 0, 1))
    got = allot([shares], [claim("flower", 6, 3), claim("bert", 3, 3), claim("idle", 1, 1)])
    assert got["ml/flower"].reason == (
        "budget ml/gpus: 8 GPUs; flower gets 4 of 6 wanted (priority 10; bert holds 3 at priority "
        "20; idle holds 1 at priority 0; floors 1 each)"
    )


def test_who_is_to_go_down_reads_so() -> None:
    shares = budget(4, ("low", 0, 1), ("high", 10, 1))
    got = allot([shares], [claim("low", 3, 3), claim("high", 4, 1)])
    assert "low is to go down to 1 of 3 (priority 0; high holds 1" in got["ml/low"].reason


def test_growth_ends_at_the_cap_and_names_the_budget() -> None:
    story = Story(current=2)
    story.now += 5
    seen = replace(story.observation(155, 155), cap=Cap(3, "budget ml/gpus: 8 GPUs; …"))
    decision = story.sees(observed=seen, after=0.0)
    assert (decision.desired, decision.binding) == (3, "budget")
    assert decision.sentence.startswith("Scale up 2 → 3, not 4: budget ml/gpus: 8 GPUs")


def test_above_the_cap_it_comes_down_as_an_ordinary_scale_in() -> None:
    # 4 replicas with a load for 2, a cap of 2: after the stabilization window, and not before
    story = Story(current=4)
    sizes = []
    for _ in range(40):
        story.now += 15
        seen = story.observation(*[160 / story.current] * story.current)
        sizes.append(story.sees(observed=replace(seen, cap=Cap(2, "budget")), after=0.0).desired)
    assert sizes[:18] == [4] * 18
    assert sizes[-1] == 2


def test_nothing_is_taken_from_under_load() -> None:
    story = Story(current=4)
    for _ in range(60):
        story.now += 15
        seen = story.observation(75, 75, 75, 75)
        decision = story.sees(observed=replace(seen, cap=Cap(1, "budget")), after=0.0)
        assert decision.desired == 4


def test_a_cap_lowers_nothing_while_signals_are_missing() -> None:
    story = Story(policy=replace(POLICY, sla=replace(POLICY.sla, queue_time=None)), current=4)
    for _ in range(60):
        story.now += 15
        seen = replace(blind(story), cap=Cap(1, "budget"))
        assert story.sees(observed=seen, after=0.0).desired == 4


def test_a_correction_up_to_the_minimum_stays_within_the_budget() -> None:
    story = Story(policy=replace(POLICY, replicas=Bounds(4, 10)), current=2)
    decision = story.sees(observed=replace(story.observation(20, 20), cap=Cap(3, "budget")))
    assert decision.desired == 3


def test_an_older_wish_does_not_grow_past_the_cap() -> None:
    # Without a behavior the highest wish of five minutes is gone back to: not past a cap.
    story = Story(current=6)
    story.lasts(60, *[75] * 6)
    story.current = 3
    for _ in range(10):
        story.now += 15
        seen = replace(story.observation(70, 70, 70), cap=Cap(4, "budget"))
        assert (story.sees(observed=seen, after=0.0).desired or 0) <= 4


def test_the_stage_alone() -> None:
    cap = Cap(3, "b")
    assert capped(None, 2, 9, held=False) is None
    assert capped(cap, 2, 3, held=False) is None
    for current, wanted, held, after in (
        (2, 9, False, 3),
        (5, 9, False, 5),
        (5, 5, False, 3),
        (2, 9, True, 3),
    ):
        step = capped(cap, current, wanted, held=held)
        assert step is not None
        assert step.after == after
    assert capped(cap, 5, 5, held=True) is None


def test_dynamo_12428_a_budget_is_never_exceeded_by_a_burst_of_all_at_once() -> None:
    shares = budget(16, *[(f"p{n}", n % 3, 1) for n in range(8)])
    now = {f"p{n}": 1 for n in range(8)}
    for _ in range(5):
        got = caps([shares], *[claim(who, 9, size) for who, size in now.items()])
        now = {who: max(size, got[who]) for who, size in now.items()}
        assert sum(now.values()) <= 16
