from __future__ import annotations

import pytest

from autoscaler.sim.fleet import ColdStart, Hosting
from autoscaler.sim.world import World


def quiet(_: float) -> float:
    return 1000.0


def phases(world: World) -> list[str]:
    return [pod.phase for pod in world.fleet.present()]


def test_a_new_replica_is_scheduled_pulled_loaded_then_serves():
    world = World(quiet)
    world.scale(2)
    seen = []
    for second in range(25):
        world.advance(world.start + second + 1)
        seen.append(world.fleet.present()[-1].phase)
    assert list(dict.fromkeys(seen)) == ["scheduling", "pulling", "loading", "ready"]
    pod = world.fleet.present()[-1]
    assert pod.ready_at - pod.created_at == pytest.approx(20, abs=1.5)


def test_the_first_pull_on_a_node_is_slow_and_the_next_quick():
    world = World(quiet, hosting=Hosting(gpus=2, warm_gpus=1))
    took = []
    for _ in range(2):
        world.scale(2)
        world.advance(world.now + 80)
        pod = world.fleet.present()[-1]
        took.append(pod.ready_at - pod.created_at)
        world.scale(1)
        world.advance(world.now + 20)
    assert took[0] == pytest.approx(56, abs=2)
    assert took[1] == pytest.approx(20, abs=2)


def test_without_a_free_gpu_a_pod_waits():
    world = World(quiet, hosting=Hosting(gpus=1, warm_gpus=1))
    world.scale(2)
    world.advance(world.start + 300)
    assert phases(world) == ["ready", "scheduling"]
    assert world.totals.gpu_seconds == pytest.approx(300, abs=1)


def test_scale_in_ends_the_newest_and_loses_nothing():
    world = World(lambda _: 3000.0, replicas=3)
    oldest = world.fleet.present()[0].name
    world.advance(world.start + 10)
    world.scale(1)
    world.advance(world.start + 12)
    assert phases(world) == ["ready", "draining", "draining"]
    world.advance(world.start + 30)
    assert [pod.name for pod in world.fleet.present()] == [oldest]
    assert world.totals.lost == 0


def test_a_pod_that_is_not_ready_yet_goes_first():
    world = World(quiet, replicas=2)
    world.scale(3)
    world.advance(world.start + 8)
    world.scale(2)
    world.advance(world.start + 9)
    assert phases(world) == ["ready", "ready"]


def test_a_crash_loses_what_is_inside_and_what_is_still_sent_and_is_replaced():
    world = World(lambda _: 2400.0, replicas=2, crashes=[10.0])
    world.advance(world.start + 11)
    assert phases(world) == ["dead", "ready"]
    assert world.totals.lost > 600  # half the load goes to the dead one for the while
    world.advance(world.start + 40)
    assert phases(world) == ["ready", "ready"]
    assert 0.9 * 2 * 1200 < world.totals.lost < 1.2 * 2 * 1200
    kinds = [event.kind for event in world.fleet.events if event.at > world.start]
    assert kinds == ["crashed", "gone", "created", "ready"]


def test_every_request_is_somewhere():
    world = World(lambda t: 1200 + 30 * t, replicas=2, crashes=[60.0])
    for second in range(0, 200, 20):
        world.advance(world.start + second)
        world.scale(2 + second // 60)
    totals = world.totals
    inside = sum(pod.server.in_flight for pod in world.fleet.present() if pod.server)
    assert totals.sent == totals.answered + totals.refused + totals.lost + inside
    assert totals.refused > 0
    assert totals.lost > 0


def test_with_no_replica_all_requests_are_lost():
    world = World(quiet, replicas=0)
    world.advance(world.start + 10)
    assert world.totals.sent == world.totals.lost == pytest.approx(10_000, rel=0.05)
    assert world.points[-1].queue_time is None  # unknown, not 0


def test_time_moves_only_forward_and_only_when_asked():
    world = World(quiet)
    world.advance(world.start + 5)
    before = world.totals
    world.advance(world.start + 3)
    assert world.now == world.start + 5
    assert world.totals == before


def test_cold_starts_are_configurable():
    instant = Hosting(cold_start=ColdStart(schedule=0, pull=0, load=0, load_spread=0))
    world = World(quiet, hosting=instant)
    world.scale(4)
    world.advance(world.start + 1)
    assert phases(world) == ["ready"] * 4
