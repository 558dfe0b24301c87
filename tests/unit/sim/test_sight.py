"""What a scaler is told: late, averaged over the windows, and missing where nobody can know."""

from __future__ import annotations

import pytest

from autoscaler.decide.capacity import worth
from autoscaler.decide.fleet import Trust, gather, queue_time
from autoscaler.model import Capacity, Metric, Missing, Pool, Sample
from autoscaler.sim.scenario import NodePool
from tests.unit.sim.fluid_parts import POLICY, START, level, world


def test_rates_are_growth_between_scrapes_over_the_time_between_them():
    fleet = world(level(100), replicas=2)
    fleet.advance(START + 300)
    seen = fleet.observe(POLICY, START + 300)
    assert (seen.policy, seen.at, seen.source) == ("default/web", START + 300, "simulation")
    assert (seen.replicas.desired, seen.replicas.ready) == (2, 2)
    assert (seen.windows.fast, seen.windows.slow) == (60, 300)
    for pod in seen.pods:
        (model,) = pod.models
        assert model.arrivals.value == pytest.approx(50, rel=0.05)
        assert model.arrivals.window == 60
        assert model.arrivals_slow.window == 300
        assert model.queueing.value / model.completions.value == pytest.approx(0.010)
        assert model.pending.value == pytest.approx(0.5, abs=0.2)
        assert pod.duty_cycle.value == pytest.approx(0.5, abs=0.1)
        assert 0 < pod.gpu_power.value < 1


def test_a_scrape_is_as_old_as_it_is():
    fleet = world(level(100), replicas=1, scrape=30.0, tick=5.0)
    fleet.advance(START + 205)
    (pod,) = fleet.observe(POLICY, START + 205).pods
    assert pod.models[0].pending.at == START + 180
    assert pod.duty_cycle.at == START + 180


def test_the_pipeline_reads_it():
    fleet = world(level(150), replicas=2)
    fleet.advance(START + 300)
    seen = fleet.observe(POLICY, fleet.now)
    gathered = gather(seen, Trust(seen.windows, fleet.now))
    assert gathered.silent is None
    assert gathered.total.arrivals.value == pytest.approx(150, rel=0.03)
    assert worth(Capacity("given", 75.0), gathered).fast == pytest.approx(2.0, rel=0.03)
    assert queue_time(gathered.total) == pytest.approx(0.010, rel=0.01)


def test_who_was_scraped_once_has_no_rate_and_who_does_not_serve_no_signals():
    fleet = world(level(50), replicas=1)
    fleet.advance(START + 60)
    fleet.scale(2)
    fleet.advance(START + 70)
    old, new = fleet.observe(POLICY, fleet.now).pods
    assert isinstance(old.models[0].arrivals, Sample)
    assert (new.ready, new.models, new.phase, new.waiting) == (
        False,
        (),
        "Running",
        "running, not Ready",
    )
    fleet.advance(START + 95)  # ready at 80, scraped at 90
    _, new = fleet.observe(POLICY, fleet.now).pods
    assert new.ready
    assert isinstance(new.models[0].arrivals, Missing)
    fleet.advance(START + 110)
    _, new = fleet.observe(POLICY, fleet.now).pods
    assert new.models[0].arrivals.window == 15


def test_refused_requests_are_in_no_counter_and_pending_stands_at_its_ceiling():
    fleet = world(level(150), replicas=1)
    fleet.advance(START + 300)
    (pod,) = fleet.observe(POLICY, fleet.now).pods
    (model,) = pod.models
    assert fleet.totals.refused > 10_000
    assert model.arrivals.value == pytest.approx(100, rel=0.01)
    assert model.rejected.value == 0
    assert model.pending_floor.value == pytest.approx(200, rel=0.02)
    assert model.pending_peak.value == pytest.approx(200, rel=0.02)


def test_a_dead_server_is_still_called_ready_until_somebody_notices():
    fleet = world(level(50), replicas=2, step=1.0, detection=5.0)
    fleet.advance(START + 60)
    fleet.kill(fleet.pods[0])
    fleet.advance(START + 62)
    dead, alive = fleet.observe(POLICY, fleet.now).pods
    assert dead.ready
    assert not dead.models
    assert alive.models
    fleet.advance(START + 70)
    assert not fleet.observe(POLICY, fleet.now).pods[0].ready


def test_queries_of_a_policy_cannot_be_asked():
    from dataclasses import replace

    fleet = world(level(50), replicas=1)
    policy = replace(POLICY, objectives=(Metric("metric-1", "x", value=1.0),))
    (answer,) = fleet.observe(policy, fleet.now).metrics.values()
    assert isinstance(answer, Missing)


def test_the_pool_is_told_in_the_drivers_unit():
    pool = NodePool(gpus_per_node=2, booting=60, spread=0, spare=1, initial=1)
    fleet = world(level(50), replicas=2, pool=pool)
    fleet.advance(START + 10)
    seen = fleet.observe(POLICY, fleet.now).pool
    assert isinstance(seen, Pool)
    assert seen.size == 1  # spare replicas
    assert sorted(node.gpu_pods for node in seen.nodes) == [0, 2]
    fleet = world(level(50), replicas=2, pool=NodePool(gpus_per_node=2, autoscaled=False))
    assert fleet.observe(POLICY, fleet.now).pool.size == 1  # nodes


def test_groups_that_no_longer_differ_are_one():
    fleet = world(level(200, each=2000), replicas=3)
    fleet.advance(START + 60)
    fleet.scale(4)
    fleet.advance(START + 120)
    assert [group.count for group in fleet.groups] == [3, 1]
    fleet.advance(START + 600)
    assert [group.count for group in fleet.groups] == [4]
    assert all(pod.group is fleet.groups[0] for pod in fleet.pods)
    before = fleet.observe(POLICY, fleet.now).pods[-1].models[0].arrivals.value
    assert before == pytest.approx(50, rel=0.05)
