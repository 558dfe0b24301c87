"""Flows, queues, refusals and what is lost, in a world of round numbers (`fluid_parts`)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.sim.curve import h200
from autoscaler.sim.fleet import Hosting
from autoscaler.sim.fluid import FluidWorld, initial
from autoscaler.sim.scenario import NodePool, Scenario, StartTimes
from autoscaler.sim.trace import Trace
from autoscaler.sim.world import World
from tests.unit.sim.fluid_parts import START, level, scenario, world


def held(fleet: FluidWorld) -> float:
    """Requests that wait in a backlog: sent, and neither answered, refused nor lost."""
    return sum(group.count * group.backlog for group in fleet.groups)


def test_with_room_to_spare_nobody_is_late():
    fleet = world(level(150), replicas=2)
    fleet.advance(START + 300)
    totals = fleet.totals
    assert totals.sent == pytest.approx(45_000, rel=0.02)
    assert totals.answered == pytest.approx(totals.sent)
    assert totals.missed == 0
    assert totals.queued / totals.answered == pytest.approx(0.010)
    assert totals.gpu_seconds == 600


def test_too_few_servers_queue_then_refuse():
    """150/s on 100/s: the queue of 200 (99 % of it backlog) is full after 4 s, then 50/s are
    refused; who waits behind 199 waits 2 s.
    """
    fleet = world(level(150), replicas=1, step=1.0)
    fleet.advance(START + 100)
    totals = fleet.totals
    assert totals.refused == pytest.approx(50 * 96, rel=0.05)
    assert totals.answered == pytest.approx(100 * 100, rel=0.01)
    assert fleet.groups[0].pending == pytest.approx(200, abs=3)
    history = fleet.history
    fleet.advance(START + 120)
    assert history.queue_time(1) == pytest.approx(2.0, rel=0.03)
    assert history.missed(1) == pytest.approx(history.sent[1], rel=0.01)
    assert totals.sent == pytest.approx(totals.answered + totals.refused + held(fleet))


def test_a_backlog_drains_at_what_is_left_of_the_capacity():
    """After 2 s at 180/s about 160 wait; at 80/s the queue is empty 8 s later."""
    counts = (180.0,) * 2 + (80.0,) * 58
    fleet = world(Trace(START, 1.0, counts), replicas=1, step=1.0)
    fleet.advance(START + 2)
    assert held(fleet) == pytest.approx(fleet.totals.sent - 200)
    fleet.advance(START + 5)
    assert 50 < held(fleet) < 150
    fleet.advance(START + 15)
    assert held(fleet) == 0
    assert fleet.totals.answered == pytest.approx(fleet.totals.sent)


def test_a_new_replica_answers_only_when_it_is_ready():
    fleet = world(level(150), replicas=1)
    fleet.scale(2)
    ready, late = [], 0.0
    for second in range(5, 45, 5):
        fleet.advance(START + second)
        ready.append(fleet.ready)
        late = fleet.totals.late if second == 25 else late
    assert ready == [1, 1, 1, 1, 2, 2, 2, 2]  # 20 s, from the step after on
    assert fleet.totals.late > late  # the old one has a queue to serve out, and nobody helps it
    fleet.advance(START + 300)
    assert fleet.totals.gpu_seconds == pytest.approx(2 * 300, abs=6)


def test_a_replica_that_goes_keeps_its_gpu_while_it_drains():
    fleet = world(level(50), replicas=2, drain=30.0)
    fleet.scale(1)
    fleet.advance(START + 5)
    assert (fleet.ready, len(fleet.pods)) == (1, 2)
    fleet.advance(START + 60)
    assert len(fleet.pods) == 1
    assert fleet.totals.gpu_seconds == pytest.approx(60 + 30)
    assert fleet.totals.lost == 0


def test_the_newest_and_those_that_are_not_ready_go_first():
    fleet = world(level(50), replicas=2)
    first, second = (pod.name for pod in fleet.pods)
    fleet.scale(3)
    fleet.advance(START + 10)
    fleet.scale(2)
    fleet.advance(START + 15)
    assert [pod.name for pod in fleet.pods] == [first, second]
    fleet.scale(1)
    fleet.advance(START + 60)
    assert [pod.name for pod in fleet.pods] == [first]


def test_deletion_costs_say_who_goes_first():
    fleet = world(level(50), replicas=2)
    first, second = (pod.name for pod in fleet.pods)
    fleet.supply.prefer({first: -100})
    fleet.scale(1)
    fleet.advance(START + 60)
    assert [pod.name for pod in fleet.pods] == [second]


def test_without_a_server_everybody_is_lost():
    fleet = world(level(50), replicas=0)
    fleet.advance(START + 60)
    assert fleet.totals.lost == fleet.totals.sent > 0
    assert fleet.totals.answered == 0


def test_a_crash_loses_what_is_inside_and_what_is_sent_until_it_is_noticed():
    fleet = world(level(100), replicas=2, step=1.0, detection=2.0)
    fleet.advance(START + 30)
    fleet.kill(fleet.pods[0])
    assert fleet.totals.lost == pytest.approx(0.5, abs=0.2)  # 50/s × 10 ms
    fleet.advance(START + 40)
    assert fleet.totals.lost == pytest.approx(100, rel=0.2)  # 50/s for 2 s
    assert fleet.ready == 1
    fleet.advance(START + 50)
    assert fleet.ready == 2  # the kubelet started it again: 15 s of loading


def test_starts_that_fail_begin_again():
    starts = StartTimes(scheduling=1, pulling=4, loading=15, spread=0, failing=0.6, backoff=10)
    fleet = world(level(50), replicas=1, starts=starts, max=30)
    fleet.scale(21)
    fleet.advance(START + 25)
    soon = fleet.ready - 1
    assert 3 <= soon <= 13  # 40 % of 20
    seen = fleet.observe(None, fleet.now)
    failing = [pod for pod in seen.pods if pod.waiting and "CrashLoopBackOff" in pod.waiting]
    assert len(failing) == 20 - soon
    fleet.advance(START + 300)
    assert fleet.ready == 21


def test_a_spot_node_takes_its_pods_with_it_after_a_notice():
    pool = NodePool(gpus_per_node=1, booting=30, spread=0, spot_life=120.0, notice=30.0)
    fleet = world(level(60, each=3600), replicas=2, pool=pool)
    noticed = lost = 0
    for second in range(5, 3600, 5):
        before = {pod.name for pod in fleet.pods}
        fleet.advance(START + second)
        seen = fleet.observe(None, fleet.now)
        noticed += any(pod.leaving for pod in seen.pods)
        lost += len(before - {pod.name for pod in fleet.pods})
        assert fleet.desired == 2
    assert lost > 20
    assert noticed > 50
    assert 0 < fleet.totals.lost < fleet.totals.sent
    assert fleet.totals.gpu_seconds > 2 * 3600


def test_a_pod_without_a_node_waits_for_one_and_spare_room_is_there_at_once():
    took = {}
    for spare in (0, 1):
        pool = NodePool(gpus_per_node=1, booting=100, spread=0, spare=spare, initial=spare)
        fleet = world(level(50), replicas=1, pool=pool)
        fleet.advance(START + 10)
        fleet.scale(2)
        fleet.advance(START + 200)
        (pod,) = (pod for pod in fleet.pods if pod.created_at > START)
        took[spare] = pod.ready_at - pod.created_at
        assert len(fleet.supply.nodes) == 2 + spare
    assert took == {0: pytest.approx(120, abs=6), 1: pytest.approx(20, abs=1)}


def test_a_pool_that_nobody_scales_stays_as_it_was_asked():
    pool = NodePool(gpus_per_node=2, booting=60, spread=0, autoscaled=False)
    fleet = world(level(50), replicas=2, pool=pool)
    fleet.scale(3)
    fleet.advance(START + 200)
    assert (fleet.ready, len(fleet.supply.nodes)) == (2, 1)
    fleet.supply.resize(nodes=2)
    fleet.advance(START + 300)
    assert (fleet.ready, len(fleet.supply.nodes)) == (3, 2)
    fleet.supply.resize(nodes=1)  # both are busy: neither goes
    fleet.advance(START + 320)
    assert len(fleet.supply.nodes) == 2
    fleet.scale(2)
    fleet.advance(START + 400)
    assert len(fleet.supply.nodes) == 1


def test_an_empty_node_of_an_autoscaled_pool_goes_after_a_while_and_is_paid_until_then():
    pool = NodePool(gpus_per_node=1, idle=60, autoscaled=True)
    fleet = world(level(50), replicas=2, pool=pool, drain=0.0)
    fleet.scale(1)
    fleet.advance(START + 50)
    assert len(fleet.supply.nodes) == 2
    fleet.advance(START + 100)
    assert len(fleet.supply.nodes) == 1
    assert fleet.totals.gpu_seconds == pytest.approx(100 + 60, abs=10)


def test_the_same_seed_is_the_same_world_whoever_scales():
    trace = level(100, 400, 50)
    one, other = world(trace, 1), world(trace, 1)
    for second in range(15, 900, 15):
        one.scale(1 + second % 5)
        other.scale(4)
        one.advance(START + second)
        other.advance(START + second)
    assert one.totals.sent == other.totals.sent
    assert list(one.history.sent) == list(other.history.sent)
    again = world(trace, 1)
    for second in range(15, 900, 15):
        again.scale(1 + second % 5)
        again.advance(START + second)
    assert again.totals == one.totals


def test_bins_of_more_than_a_minute_hide_a_swing():
    coarse = Trace(START, 600.0, (600.0 * 1000,) * 12)
    scatter = {}
    for swing in (0.0, 0.2):
        fleet = FluidWorld(scenario(swing=swing, max=30), coarse, 1, replicas=20)
        fleet.advance(START + 7200)
        minutes = fleet.history.sent
        mean = sum(minutes) / len(minutes)
        variance = sum((m - mean) ** 2 for m in minutes) / len(minutes)
        scatter[swing] = variance**0.5 / mean
        assert mean == pytest.approx(60_000, rel=0.05)
    assert scatter[0.0] < 0.01
    assert 0.1 < scatter[0.2] < 0.25


def test_counts_by_the_minute_show_their_scatter_and_get_none_on_top():
    fleet = FluidWorld(
        scenario(swing=0.2, max=30), Trace(START, 60.0, (60_000.0,) * 30), 1, replicas=20
    )
    fleet.advance(START + 1800)
    sent = list(fleet.history.sent)
    assert max(sent) / min(sent) < 1.03


def test_it_starts_with_what_its_first_minutes_call_for():
    assert initial(scenario(), level(10)) == 1
    assert initial(scenario(), level(300)) == 4  # 300 / 75
    assert initial(scenario(max=3), level(300)) == 3
    assert initial(scenario(min=2), level(1)) == 2


@settings(deadline=None, max_examples=60)
@given(
    rates=st.lists(st.floats(0, 1500), min_size=1, max_size=20),
    sizes=st.lists(st.integers(0, 10), min_size=1, max_size=20),
    step=st.sampled_from([1.0, 5.0, 15.0]),
)
def test_every_request_is_answered_refused_lost_or_waiting(rates, sizes, step):
    trace = Trace(START, 15.0, tuple(15 * rate for rate in rates))
    fleet = world(trace, replicas=2, step=step, drain=0.0)
    gone = 0.0  # the backlog of those that are taken away is served while they drain
    for index, size in enumerate(sizes):
        before = {id(group): group.count for group in fleet.groups}
        fleet.scale(size)
        backlogs = {id(group): group.backlog for group in fleet.groups}
        fleet.supply.step(fleet.now)
        fleet._regroup(fleet.now)
        after = {id(group): group.count for group in fleet.groups}
        gone += sum((n - after.get(key, 0)) * backlogs[key] for key, n in before.items())
        fleet.advance(START + 15 * (index + 1))
        totals = fleet.totals
        known = totals.answered + totals.refused + totals.lost + held(fleet) + gone
        assert known == pytest.approx(totals.sent, rel=1e-6, abs=1e-3)
        assert 0 <= totals.late <= totals.sent + 1e-6
        assert all(group.backlog >= 0 for group in fleet.groups)


def test_it_misses_what_the_request_level_world_misses():
    """The same H200s, the same overload of 90 s: flows against single executions."""

    def load(t: float) -> float:
        return 4000.0 if 60 <= t < 150 else 1400.0

    single = World(load, replicas=2, patience=0.05, hosting=Hosting(gpus=2, warm_gpus=2), seed=3)
    single.advance(single.start + 240)
    trace = Trace(START, 5.0, tuple(5 * load(5 * i) for i in range(48)))
    from autoscaler.model import Sla

    quick = Scenario(h200(), Sla(queue_time=0.05))
    flows = FluidWorld(quick, trace, 1, replicas=2)
    flows.advance(START + 240)
    mine, real = flows.totals, single.totals
    assert mine.refused == pytest.approx(real.refused, rel=0.05)
    assert mine.missed == pytest.approx(real.late + real.refused, rel=0.05)
    assert mine.queued / mine.answered == pytest.approx(real.queued / real.answered, rel=0.1)
