from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.model import CapacityBuffer, Nodes
from autoscaler.sim.frontier import (
    HEADROOMS,
    Setting,
    own,
    ranked,
    settings,
    sweep,
    with_setting,
)
from autoscaler.sim.frontier_plot import page
from autoscaler.sim.result import Outcome
from autoscaler.sim.scenario import scenario_for
from tests.unit.sim.fluid_parts import CURVE, POLICY, level, scenario

POOLED = replace(POLICY, nodes=Nodes(driver=CapacityBuffer("b"), spare=1))


def test_the_policys_own_setting_is_the_first():
    tried = settings(replace(POLICY, headroom=0.25))
    assert tried[0] == Setting(0.25, 1)
    assert len(tried) == 1 + 2 * len(HEADROOMS)
    assert {setting.minimum for setting in tried} == {1, 3}
    assert len(settings(POLICY)) == 2 * len(HEADROOMS)  # 20 % is one of them
    assert {setting.spare for setting in settings(POOLED)} == {0, 1, 2}
    assert own(POOLED) == Setting(0.2, 1, 1)


def test_a_setting_is_in_the_policy_and_in_the_world():
    moved, world = with_setting(POOLED, scenario_for(POOLED, CURVE), Setting(0.5, 3, 2))
    assert (moved.headroom, moved.replicas.min, moved.nodes.spare) == (0.5, 3, 2)
    assert (world.min, world.pool.spare) == (3, 2)


def test_more_headroom_costs_more_and_misses_less():
    trace = level(50, 300, 80, 500, 20, each=600)
    quick = replace(POLICY, headroom=0.0)
    points = sweep(quick, scenario(), trace, seed=1, jobs=1)
    hours = [point.outcome.gpu_hours for point in points]
    assert hours == sorted(hours)
    first, last = points[0].outcome, points[-1].outcome
    assert last.gpu_hours > 1.2 * first.gpu_hours
    assert last.miss_minutes < first.miss_minutes
    assert points[0].best


def test_on_the_frontier_is_who_misses_less_than_everybody_cheaper(outcome):
    given = [(10.0, 5), (8.0, 9), (12.0, 5), (11.0, 7), (20.0, 0)]
    outcomes = [replace(outcome, gpu_hours=hours, miss_minutes=m) for hours, m in given]
    points = ranked([Setting(0.0, i) for i in range(5)], outcomes)
    assert [(p.outcome.gpu_hours, p.best) for p in points] == [
        (8.0, True),
        (10.0, True),
        (11.0, False),
        (12.0, False),
        (20.0, True),
    ]


@pytest.mark.parametrize("price", [None, 2.0])
def test_the_page_has_every_setting_in_money_or_hours(outcome, price):
    tried = [Setting(0.2, 1), Setting(0.4, 1)]
    points = ranked(tried, [outcome, replace(outcome, gpu_hours=99.0, miss_minutes=0)])
    text = page("T<", "sub", points, tried[0], scenario(gpu_hour=price))
    assert "T&lt;" in text
    assert "headroom 20%, min 1 (the policy)" in text
    assert text.count('class="dot"') == 2
    assert ("USD in 30 days" in text) == (price is not None)
    assert "http" not in text.replace("http-equiv", "")


@pytest.fixture
def outcome() -> Outcome:
    from autoscaler.sim.scaler import Steady, drive

    return drive(scenario(), level(50, each=120), Steady(1))
