"""Events are posted beside the loop: paced, counted, bounded, and never in its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from autoscaler.act import events
from autoscaler.act.events import EventRecorder
from autoscaler.kube.client import KubeClient
from tests.unit.act.decisions import decided, scaled
from tests.unit.kube.scripted import ScriptedApi, eventually

PATH = "/apis/events.k8s.io/v1/namespaces/default/events"
PAUSED = "paused: by annotation"


class FastClock:
    """Unix time as a test sets it; waits are a thousand times shorter."""

    def __init__(self) -> None:
        self.wall = 1_795_248_926.25
        self.waits: list[float] = []

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(seconds / 1000)


@pytest.fixture
async def api() -> AsyncIterator[ScriptedApi]:
    async with ScriptedApi().serving() as server:
        server.objects[PATH] = {}
        yield server


@pytest.fixture
async def client(api: ScriptedApi, tmp_path: Path) -> AsyncIterator[KubeClient]:
    client = await api.client(tmp_path)
    yield client
    await client.close()


@pytest.fixture
def clock() -> FastClock:
    return FastClock()


@pytest.fixture
async def recorder(client: KubeClient, clock: FastClock) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(client, clock, uid_of=lambda target: f"uid-of-{target.name}")
    yield recorder
    await recorder.close()


def posted(api: ScriptedApi) -> list[dict[str, Any]]:
    return list(api.objects[PATH].values())


async def test_an_event_is_about_the_target_and_in_its_namespace(
    api: ScriptedApi, recorder: EventRecorder
) -> None:
    recorder.tell([decided()], [scaled(2, 3)], {})
    await eventually(lambda: posted(api))
    (event,) = posted(api)
    assert event["regarding"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": "default",
        "name": "flower",
        "uid": "uid-of-flower",
    }
    assert event["eventTime"] == "2026-11-21T08:15:26.250000Z"
    assert (event["reason"], event["type"]) == ("ScaledUp", "Normal")
    assert event["note"] == "2 → 3 replicas: demand: 310 requests/s"
    assert event["reportingController"] == "triton-autoscaler"


async def test_a_hold_that_comes_again_is_the_same_event_counted(
    api: ScriptedApi, recorder: EventRecorder, clock: FastClock
) -> None:
    for _ in range(3):
        recorder.tell([decided(PAUSED)], [], {})
        await eventually(lambda: not recorder._waiting)
        recorder.tell([decided()], [], {})
        clock.wall += 100.0
    (event,) = posted(api)
    assert event["series"] == {"count": 3, "lastObservedTime": "2026-11-21T08:18:46.250000Z"}


async def test_a_new_leader_counts_on_where_the_old_one_told_the_same(
    api: ScriptedApi, client: KubeClient, clock: FastClock
) -> None:
    for _ in range(2):
        recorder = EventRecorder(client, clock)
        recorder.tell([decided(PAUSED)], [], {})
        await eventually(lambda one=recorder: not one._waiting)
        await recorder.close()
    (event,) = posted(api)
    assert event["series"]["count"] == 2


async def test_an_event_that_kubernetes_forgot_is_posted_again(
    api: ScriptedApi, recorder: EventRecorder, clock: FastClock
) -> None:
    recorder.tell([decided(PAUSED)], [], {})
    await eventually(lambda: posted(api) and not recorder._waiting)
    api.objects[PATH].clear()
    clock.wall += 3700.0
    recorder.tell([decided(PAUSED)], [], {})
    await eventually(lambda: posted(api))
    assert "series" not in posted(api)[0]


async def test_an_api_server_that_is_away_delays_events_and_loses_none(
    api: ScriptedApi, recorder: EventRecorder, clock: FastClock
) -> None:
    api.away = True
    recorder.tell([decided()], [scaled(2, 3)], {})
    recorder.tell([decided()], [scaled(3, 4)], {})
    await eventually(lambda: recorder.problem)
    assert "they wait" in str(recorder.problem)
    await eventually(lambda: len([wait for wait in clock.waits if wait >= 1.0]) >= 2)
    api.away = False
    await eventually(lambda: len(posted(api)) == 2)
    await eventually(lambda: recorder.problem is None)
    assert recorder.lost == 0
    assert [wait for wait in clock.waits if wait >= 1.0][:2] == [1.0, 2.0]


async def test_events_of_a_world_that_is_gone_are_dropped_and_counted(
    api: ScriptedApi, recorder: EventRecorder, clock: FastClock
) -> None:
    api.away = True
    recorder.tell([decided()], [scaled(2, 3)], {})
    await eventually(lambda: recorder.problem)
    clock.wall += events.TOO_LATE + 1
    await eventually(lambda: recorder.lost == 1)
    api.away = False
    recorder.tell([decided()], [scaled(3, 4)], {})
    await eventually(lambda: posted(api))
    assert len(posted(api)) == 1


async def test_a_role_without_events_is_named_and_stops_nothing(
    api: ScriptedApi, recorder: EventRecorder
) -> None:
    api.refusals["POST", "/events"] = (403, 'cannot create resource "events"')
    recorder.tell([decided()], [scaled(2, 3)], {})
    await eventually(lambda: recorder.lost == 1)
    assert "apply manifests/components/scale" in str(recorder.problem)
    api.refusals.clear()
    recorder.tell([decided()], [scaled(3, 4)], {})
    await eventually(lambda: posted(api))
    await eventually(lambda: recorder.problem is None)


async def test_a_thousand_policies_that_begin_to_hold_are_a_trickle_and_the_rest_is_dropped(
    api: ScriptedApi, recorder: EventRecorder, clock: FastClock
) -> None:
    everyone = [decided(PAUSED, name=f"p-{n}") for n in range(1500)]
    recorder.tell(everyone, [], {})
    assert len(recorder._waiting) == events.WAITING
    assert recorder.lost == 500
    await eventually(lambda: len(posted(api)) > 20)
    assert set(clock.waits) == {events.PACE}


async def test_telling_waits_for_nobody(
    api: ScriptedApi, client: KubeClient, clock: FastClock
) -> None:
    """An API server that hangs: the tick goes on, and so does the end of the daemon."""
    recorder = EventRecorder(client, clock)
    api.away = True
    for tick in range(100):
        recorder.tell([decided()], [scaled(tick, tick + 1)], {})
    await eventually(lambda: recorder.problem)
    await recorder.close()


async def test_the_last_words_are_posted_before_the_end(
    api: ScriptedApi, client: KubeClient, clock: FastClock
) -> None:
    recorder = EventRecorder(client, clock)
    recorder.tell([decided()], [scaled(2, 3)], {})
    await recorder.close()
    assert len(posted(api)) == 1


async def test_a_note_is_never_too_long_for_the_api(
    api: ScriptedApi, recorder: EventRecorder
) -> None:
    recorder.tell([decided(f"paused: {'µ' * 2000}")], [], {})
    await eventually(lambda: posted(api))
    assert 1000 < len(posted(api)[0]["note"].encode()) <= 1024
