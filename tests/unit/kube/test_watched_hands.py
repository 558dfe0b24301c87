"""Other hands over a watch that breaks, is refused, or has nothing to watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from autoscaler.clock import WalkingClock
from autoscaler.kube import watch
from autoscaler.kube.client import KubeClient
from autoscaler.model import Target
from autoscaler.observe.scalers import freeze_path, paths_of
from autoscaler.observe.watched_hands import KEDA_LOOK_EVERY, WatchedHands
from tests.unit.kube.scripted import ScriptedApi, eventually

NOW = 1_795_248_926.0
FLOWER = Target("default", "flower")
HPAS, OBJECTS = paths_of("default")
FREEZE = freeze_path("ops")


def hpa(name: str = "flower") -> dict[str, Any]:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "flower"}
    metadata = {"name": name, "namespace": "default"}
    return {"metadata": metadata, "spec": {"scaleTargetRef": ref}}


@pytest.fixture
def clock() -> WalkingClock:
    return WalkingClock(NOW)


@pytest.fixture
async def hands(
    api: ScriptedApi, client: KubeClient, clock: WalkingClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WatchedHands]:
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.01)
    api.objects[HPAS] = {}
    api.objects[FREEZE] = {}
    made = WatchedHands(client, clock, "ops")
    yield made
    await made.close()


async def others(hands: WatchedHands, *namespaces: str) -> tuple[str, ...]:
    await hands.refresh(set(namespaces or ("default",)), 4.0)
    return hands.scalers("default").others(FLOWER, None)


async def test_who_writes_nothing_watches_nothing(api: ScriptedApi, hands: WatchedHands) -> None:
    await hands.refresh(set(), 4.0)
    assert hands.scalers("default").others(FLOWER, None) == ()
    assert hands.freeze() is None
    assert api.asked == []


async def test_an_hpa_shows_at_the_next_read_and_goes_with_it(
    api: ScriptedApi, hands: WatchedHands
) -> None:
    assert await others(hands) == ()
    await eventually(lambda: api.watching(HPAS) == 1 and api.watching(FREEZE) == 1)
    asked = len(api.asked)
    api.put(HPAS, hpa())
    await eventually(lambda: hands.scalers("default").others(FLOWER, None) != ())
    assert await others(hands) == ("HorizontalPodAutoscaler default/flower",)
    assert len(api.asked) == asked, "from memory"
    api.delete(HPAS, "flower")
    await eventually(lambda: hands.scalers("default").others(FLOWER, None) == ())


async def test_a_list_that_is_refused_is_said_and_not_taken_for_empty(
    api: ScriptedApi, hands: WatchedHands
) -> None:
    api.refusals["list", HPAS] = (403, "forbidden")
    api.refusals["list", FREEZE] = (403, "forbidden")
    (said,) = await others(hands)
    assert said.startswith("cannot tell who else scales it: not allowed to list horizontal")
    assert str(hands.freeze()).startswith("cannot tell whether all is frozen: not allowed")


async def test_a_watch_that_has_long_been_silent_is_not_trusted(
    api: ScriptedApi, hands: WatchedHands, clock: WalkingClock
) -> None:
    assert await others(hands) == ()
    await eventually(lambda: api.watching(HPAS) == 1 and api.watching(FREEZE) == 1)
    api.away = True
    api.drop()
    await clock.sleep(61.0)
    (said,) = await others(hands)
    assert said.startswith("cannot tell who else scales it: horizontalpodautoscalers in namespace")
    assert "older than 1m is not trusted" in said
    assert "cannot tell whether all is frozen" in str(hands.freeze())


async def test_without_keda_its_kind_is_asked_for_once_a_minute(
    api: ScriptedApi, hands: WatchedHands, clock: WalkingClock
) -> None:
    """A watch of a kind that is not there would ask every 15 s in each of 50 namespaces."""
    for _ in range(12):
        assert await others(hands) == ()
        await clock.sleep(5.0)
    assert api.count("other", "/apis/keda.sh/v1alpha1") == 60 / KEDA_LOOK_EVERY
    assert api.count("list", "scaledobjects") == api.count("watch", "scaledobjects") == 0


async def test_keda_that_is_installed_later_is_noticed(
    api: ScriptedApi, hands: WatchedHands, clock: WalkingClock
) -> None:
    assert await others(hands) == ()
    api.objects["/apis/keda.sh"] = {"v1alpha1": {"metadata": {"name": "v1alpha1"}}}
    api.objects[OBJECTS] = {}
    scaled = {"scaleTargetRef": {"name": "flower"}}
    api.put(OBJECTS, {"metadata": {"name": "so", "namespace": "default"}, "spec": scaled})
    await clock.sleep(61.0)
    await eventually(lambda: api.watching(HPAS) >= 1)
    await hands.refresh({"default"}, 4.0)
    found = await others(hands)
    assert "ScaledObject default/so" in found


async def test_a_namespace_that_was_not_asked_for_has_no_hands(hands: WatchedHands) -> None:
    await hands.refresh({"default"}, 4.0)
    assert hands.scalers("elsewhere").others(Target("elsewhere", "x"), None) == ()


async def test_an_api_server_that_hangs_costs_no_more_than_its_share(
    api: ScriptedApi, hands: WatchedHands
) -> None:
    api.refusals["list", HPAS] = (503, "etcd is away")
    async with asyncio.timeout(30):
        (said,) = await others(hands)
    assert "etcd is away" in said
