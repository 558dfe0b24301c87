"""The world behind the real ports: scraped by the real source, joined by the real join."""

from __future__ import annotations

import pytest

from autoscaler.act.executor import ActionError
from autoscaler.decide.coldstart import measure
from autoscaler.model import Action, Missing, Target, Windows
from autoscaler.observe.scrape import ScrapeSource
from autoscaler.sim.ports import Pages, WorldCluster, WorldExecutor
from autoscaler.sim.world import World

TARGET = Target("default", "bert-large")


def scale(after: int, target: Target = TARGET) -> Action:
    return Action("scale", target, 1, after, "because", "default/bert-large")


async def test_the_real_scrape_source_reads_what_the_world_did():
    world = World(lambda _: 2000.0, replicas=2, lead_in=60.0)
    windows = Windows(fast=20.0, slow=60.0)
    async with Pages(world) as pages:
        source = ScrapeSource(pages.endpoints, interval=5.0, windows=windows)
        for _ in range(13):
            readings = await source.read((), world.now, 5.0)
            world.advance(world.now + 5.0)
        await source.close()
    assert readings.failed is None
    models = [pod.models[0] for pod in readings.pods.values()]
    assert len(models) == 2
    assert sum(model.arrivals.value for model in models) == pytest.approx(2000, rel=0.05)
    queue_time = sum(m.queueing.value for m in models) / sum(m.completions.value for m in models)
    assert queue_time == pytest.approx(0.0069, rel=0.15)
    duty = [pod.duty_cycle.value for pod in readings.pods.values()]
    assert duty == pytest.approx([0.6, 0.6], abs=0.05)


async def test_a_dead_servers_page_breaks_off_and_says_so():
    world = World(lambda _: 1000.0, replicas=2, crashes=[1.0])
    world.advance(world.start + 2)
    async with Pages(world) as pages:
        source = ScrapeSource(pages.endpoints, interval=5.0)
        readings = await source.read((), world.now, 5.0)
        await source.close()
    failures = [pod.failed for pod in readings.pods.values() if pod.failed]
    assert len(failures) == 1
    assert "disconnected" in failures[0]


async def test_the_way_to_ready_is_told_and_measured():
    world = World(lambda _: 1000.0, replicas=1)
    world.scale(2)
    seen = []
    for _ in range(40):
        world.advance(world.now + 1.0)
        reading = (await WorldCluster(world).read([TARGET], world.now, 1.0)).targets[TARGET]
        seen.append(reading.pods[-1])
    assert [w for w in dict.fromkeys(pod.waiting for pod in seen) if w] == [
        "no node yet",
        "ContainerCreating (container triton)",
        "running, not Ready",
    ]
    start = measure(seen[-1], seen[-1].created_at)
    assert (start.scheduling, start.pulling) == (pytest.approx(1, abs=0.6), pytest.approx(4, abs=1))
    assert start.loading == pytest.approx(15, abs=1.5)


async def test_pods_are_told_as_kubernetes_tells_them():
    world = World(lambda _: 1000.0, replicas=2)
    world.scale(3)
    world.advance(world.start + 3)
    reading = (await WorldCluster(world).read([TARGET], world.now, 1.0)).targets[TARGET]
    assert (reading.replicas.desired, reading.replicas.ready) == (3, 2)
    assert [(pod.phase, pod.ready) for pod in reading.pods] == [
        ("Running", True),
        ("Running", True),
        ("Pending", False),
    ]
    world.advance(world.start + 10)
    pods = (await WorldCluster(world).read([TARGET], world.now, 1.0)).targets[TARGET].pods
    assert (pods[-1].phase, pods[-1].ready) == ("Running", False)  # loading its model
    world.scale(1)
    world.advance(world.start + 11)
    pods = (await WorldCluster(world).read([TARGET], world.now, 1.0)).targets[TARGET].pods
    assert [pod.terminating for pod in pods] == [False, True]


async def test_a_strange_target_is_missing_and_never_scaled():
    world = World(lambda _: 1000.0)
    strange = Target("default", "another")
    reading = (await WorldCluster(world).read([strange], world.now, 1.0)).targets[strange]
    assert isinstance(reading, Missing)
    with pytest.raises(ActionError, match="default/another is not in the simulated world"):
        await WorldExecutor(world).execute(scale(5, strange))


async def test_the_executor_scales():
    world = World(lambda _: 1000.0)
    await WorldExecutor(world).execute(scale(3))
    world.advance(world.start + 60)
    assert world.latest.ready == 3
