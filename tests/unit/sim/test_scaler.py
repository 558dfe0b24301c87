from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from autoscaler.model import CapacityBuffer, Cooldown, Nodes, ScaledPool, Sla
from autoscaler.sim.fluid import FluidWorld
from autoscaler.sim.history import History, Totals
from autoscaler.sim.result import minutes
from autoscaler.sim.scaler import PolicyScaler, Steady, drive
from autoscaler.sim.scenario import PATIENCE, NodePool, Scenario, StartTimes, scenario_for
from tests.unit.sim.fluid_parts import CURVE, POLICY, START, level, scenario, world


def test_the_real_policy_follows_the_load_and_back():
    trace = level(50, 400, 50, each=1200)
    scaler = PolicyScaler(POLICY, keep=True)
    found = drive(scenario(), trace, scaler)
    steady = drive(scenario(), trace, Steady(6))
    assert found.name == "web"
    assert found.minutes == 60
    assert found.peak_replicas in (6, 7)  # 400 / (90 × 0.8) = 5.6, and the backlog
    assert 1 <= found.miss_minutes <= 3  # until the new ones are ready
    assert found.history.wanted[-1] == 1
    assert found.gpu_hours < 0.7 * steady.gpu_hours
    assert found.scale_ups >= 1
    assert found.scale_downs >= 1
    assert steady.miss_minutes == 0
    assert (steady.name, steady.scale_events) == ("always 6", 1)
    assert steady.gpu_hours == pytest.approx(6 * 1, rel=0.02)


def test_refused_requests_are_late_ones_too():
    found = drive(scenario(), level(150, each=600), Steady(1), replicas=1)
    assert found.refused > 0.3 * found.requests
    assert found.late_share > 0.98
    assert found.miss_minutes == found.minutes == 10


def test_a_policy_that_only_observes_or_is_paused_is_simulated_as_if_it_wrote():
    trace = level(400, each=600)
    idle = replace(POLICY, mode="observe", paused=True)
    assert drive(scenario(), trace, PolicyScaler(idle), replicas=1).peak_replicas > 1


def test_kept_are_the_decisions_that_a_report_tells():
    trace = level(50, 400, each=600)
    scaler = PolicyScaler(POLICY, keep=True)
    drive(scenario(), trace, scaler)
    assert 2 <= len(scaler.decisions) < 60  # of 80
    without = PolicyScaler(POLICY)
    drive(scenario(), trace, without)
    assert without.decisions == []


def test_wishes_beyond_the_bounds_are_not_carried_out():
    trace = level(50, each=60)
    assert drive(scenario(max=3), trace, Steady(7), replicas=1).history.wanted[-1] == 3
    assert drive(scenario(min=2), trace, Steady(0), replicas=2).history.wanted[-1] == 2


@pytest.mark.parametrize("driver", [ScaledPool("v1", "NodePool", "g"), CapacityBuffer("b")])
def test_the_node_pool_follows_the_policys_wish(driver):
    nodes = Nodes(driver=driver, gpus_per_node=1, spare=1, max_nodes=12)
    policy = replace(POLICY, nodes=nodes, cooldown=Cooldown(scale_down=60.0))
    made = scenario_for(policy, CURVE, starts=scenario().starts)
    assert made.pool is not None
    assert made.pool.autoscaled == isinstance(driver, CapacityBuffer)
    quick = replace(made, pool=replace(made.pool, booting=30.0, idle=60.0))
    fleet = FluidWorld(quick, level(50, 300, 50, each=1200), 1, replicas=1)
    scaler = PolicyScaler(policy)
    most = 0
    for tick in range(240):
        now = START + 15 * tick
        fleet.scale(scaler.wants(fleet, now))
        fleet.advance(now + 15)
        most = max(most, len(fleet.supply.nodes))
    assert fleet.ready == 1
    assert 6 <= most <= 8  # 5 replicas and a spare one, or what the trend asked for
    if made.pool.autoscaled:  # of a pool that nobody owns it may be unknown which node would go
        assert len(fleet.supply.nodes) <= 3


def test_a_scenario_is_what_the_policy_says():
    from autoscaler.model import Cost

    made = scenario_for(replace(POLICY, cost=Cost(2.5, "EUR")), CURVE, scrape=30.0)
    assert (made.min, made.max, made.scrape) == (1, 10, 30.0)
    assert (made.gpu_hour, made.currency, made.pool) == (2.5, "EUR", None)
    found = drive(made, level(50, each=3600), Steady(2), replicas=2)
    assert found.cost == pytest.approx(5.0)
    assert found.month == pytest.approx(2 * 720)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": 0.0}, "more than 0 and at most 15"),
        ({"step": 20.0}, "more than 0 and at most 15"),
        ({"tick": 7.0}, "the tick \\(7 s\\) is no multiple of 5 s"),
        ({"scrape": 2.0}, "the scrape interval \\(2 s\\) is no multiple"),
        ({"resolution": 4.0}, "the resolution \\(4 s\\) is no multiple"),
        ({"min": 5, "max": 4}, "min 5 and max 4"),
    ],
)
def test_a_scenario_that_cannot_be(changes, words):
    with pytest.raises(ValueError, match=words):
        scenario(**changes)


def test_patience_is_what_the_sla_leaves_to_the_queue():
    assert scenario().patience == 0.05
    assert scenario(sla=Sla(latency=((0.99, 0.1), (0.5, 0.2)))).patience == pytest.approx(0.06)
    assert scenario(sla=Sla(latency=((0.99, 0.02),))).patience == pytest.approx(0.002)
    assert scenario(sla=Sla(rejected=0.01)).patience == PATIENCE


def test_a_missed_minute_has_more_than_one_percent_late_refused_or_lost():
    def history(*rows: tuple[float, float, float, float], resolution: float = 60.0) -> History:
        made, totals = History(0.0, resolution), Totals()
        for sent, late, refused, lost in rows:
            totals.sent += sent
            totals.late += late
            totals.refused += refused
            totals.lost += lost
            made.add(totals, 1, 1, 0)
        return made

    assert minutes(history((100, 1, 0, 0))) == (1, 0)
    assert minutes(history((100, 1.1, 0, 0))) == (1, 1)
    assert minutes(history((100, 0.5, 0.3, 0.3))) == (1, 1)
    assert minutes(history((0, 0, 0, 0), (100, 0, 2, 0))) == (1, 1)
    halves = ((100, 3, 0, 0), (200, 0, 0, 0))
    assert minutes(history(*halves, resolution=30.0)) == (1, 0)  # 3 of 300
    assert minutes(history(*halves)) == (2, 1)


def test_the_last_minute_counts_even_if_it_is_not_whole():
    fleet = world(level(50, each=90), replicas=1)
    fleet.advance(START + 90)
    assert len(fleet.history) == 1
    fleet.finish()
    fleet.finish()
    assert len(fleet.history) == 2
    assert sum(fleet.history.sent) == pytest.approx(fleet.totals.sent)
    assert sum(fleet.history.gpu_seconds) == 90


def test_runs_travel_between_processes():
    found = drive(scenario(), level(50, each=120), Steady(1))
    for thing in (scenario(pool=NodePool()), level(1, each=60), found, StartTimes()):
        again = pickle.loads(pickle.dumps(thing))
        assert type(again) is type(thing)
    assert isinstance(pickle.loads(pickle.dumps(scenario())), Scenario)
