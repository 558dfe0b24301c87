"""The search: budgets are met, nothing is forgotten, the same for everybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.sim.search import CostKnob, Frontier, Point, at_cost, tune

KNOB = CostKnob("target", 1.0, 0.2)


class Known:
    """GPU-hours are 10 / knob, misses fall with the square; counts its runs."""

    def __init__(self) -> None:
        self.runs: list[float] = []

    def __call__(self, knob: float) -> Point:
        self.runs.append(knob)
        return Point(knob, 10 / knob, 100 * knob * knob, 7)


def test_a_knob_goes_from_cheap_to_dear():
    assert [KNOB.between(share) for share in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2])
    log = CostKnob("target", 40.0, 10.0, logarithmic=True)
    assert log.between(0.5) == pytest.approx(20.0)


@pytest.mark.parametrize("budget", [10.5, 15.0, 22.0, 45.0])
@pytest.mark.parametrize("guess", [0.0, 0.4, 1.0])
def test_a_budget_is_met_within_a_few_runs(budget: float, guess: float):
    run = Known()
    found = Frontier(run, KNOB, guess).approach(budget, refinements=2)
    exact = 100 * (10 / budget) ** 2
    assert found.reached
    assert found.gpu_hours <= budget
    assert found.missed == pytest.approx(exact, rel=0.15)
    assert len(run.runs) <= 8


def test_a_second_budget_begins_where_the_first_one_ended():
    run = Known()
    runs = Frontier(run, KNOB)
    runs.approach(15.0, 2)
    before = len(run.runs)
    runs.approach(16.0, 2)
    assert len(run.runs) - before <= 3
    assert len(set(run.runs)) == len(run.runs)


def test_who_cannot_be_that_cheap_is_told_with_what_it_costs():
    found = Frontier(Known(), KNOB).approach(9.0, 2)
    assert not found.reached
    assert (found.gpu_hours, found.missed) == (10.0, 100.0)


def test_who_cannot_spend_it_all_is_judged_at_its_dearest():
    found = Frontier(Known(), KNOB).approach(80.0, 2)
    assert found.reached
    assert (found.gpu_hours, found.missed) == pytest.approx((50.0, 4.0))


def test_between_two_runs_it_is_a_line():
    points = [Point(0.8, 10, 50, 4), Point(0.6, 20, 10, 8)]
    found = at_cost(points, 12.5)
    assert found == (40.0, 5.0, pytest.approx(0.75), 12.5, True)


def test_a_cheaper_run_that_misses_less_counts():
    """A target that never fires is cheap and misses all: no line from there means a thing."""
    points = [
        Point(0.84, 5, 900, 0),
        Point(0.7, 11, 2, 9),
        Point(0.75, 12, 300, 5),
        Point(0.6, 15, 250, 5),
    ]
    assert at_cost(points, 12.5)[:2] == (2, 9)


@given(
    st.lists(st.tuples(st.floats(1, 100), st.floats(0, 1000)), min_size=1, max_size=8),
    st.floats(1, 100),
)
def test_never_more_misses_than_the_best_run_within_the_budget(runs, budget):
    points = [Point(0.5, cost, missed, 0) for cost, missed in runs]
    found = at_cost(points, budget)
    within = [point.missed for point in points if point.gpu_hours <= budget]
    assert found.reached == bool(within)
    if within:
        assert found.missed <= min(within) + 1e-9
        assert found.gpu_hours <= budget


KNOBS = {"window": (60, 120, 300), "rate": ("fast", "slow"), "fixed": (1,)}


def scored(setting) -> tuple[float, ...]:
    distance = abs(setting["window"] - 120) + 50 * (setting["rate"] == "fast")
    return (distance, -distance)


def test_tuning_begins_with_the_defaults_and_keeps_to_its_evaluations():
    tried = tune(KNOBS, scored, 9)
    assert tried[0].setting == {"window": 60, "rate": "fast", "fixed": 1}
    assert len(tried) == 9
    assert all(set(one.setting) == set(KNOBS) for one in tried)


def test_tuning_is_the_same_for_the_same_seed():
    assert tune(KNOBS, scored, 9, seed=3) == tune(KNOBS, scored, 9, seed=3)
    assert tune(KNOBS, scored, 9, seed=3) != tune(KNOBS, scored, 9, seed=4)


def test_tuning_finds_the_best_of_few():
    best = min(tune(KNOBS, scored, 24), key=lambda one: one.scores[0])
    assert best.setting == {"window": 120, "rate": "slow", "fixed": 1}


def test_the_second_half_changes_one_knob_of_the_best():
    tried = tune(KNOBS, scored, 11)
    for number in range(6, 11):
        budget = number % 2
        best = min(tried[:number], key=lambda one: one.scores[budget]).setting
        changed = [name for name in KNOBS if tried[number].setting[name] != best[name]]
        assert len(changed) == 1
