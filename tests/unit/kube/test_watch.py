"""The watch cache against a server that breaks, forgets, refuses and goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from autoscaler.clock import SystemClock, WalkingClock
from autoscaler.kube import watch
from autoscaler.kube.client import KubeClient
from autoscaler.kube.watch import WatchCache
from tests.unit.kube.scripted import ScriptedApi, eventually

PODS = "/api/v1/namespaces/default/pods"
START = 1_795_248_926.0


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.01)


def pod(name: str, phase: str = "Running") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "annotations": {"much": "x" * 100}},
        "status": {"phase": phase},
    }


def phase(item: Any) -> str:
    return str(item["status"]["phase"])


@asynccontextmanager
async def following(
    client: KubeClient, clock: Any = None, **options: Any
) -> AsyncIterator[WatchCache[str]]:
    cache = WatchCache(client, PODS, phase, clock=clock or SystemClock(), **options)
    task = asyncio.create_task(cache.run())
    try:
        yield cache
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def names(cache: WatchCache[str]) -> list[str]:
    return sorted(name for _, name in cache.items)


async def test_list_then_events(api: ScriptedApi, client: KubeClient) -> None:
    for name in "abc":
        api.put(PODS, pod(name))
    changes: list[int] = []
    async with following(client, changed=lambda: changes.append(1)) as cache:
        assert await cache.first_answer(5)
        assert names(cache) == ["a", "b", "c"]
        await eventually(lambda: api.watching(PODS))
        api.put(PODS, pod("d", "Pending"))
        api.delete(PODS, "a")
        api.put(PODS, pod("b", "Failed"))
        await eventually(lambda: cache.items[("default", "b")] == "Failed")
        assert names(cache) == ["b", "c", "d"]
        assert cache.items["default", "d"] == "Pending"
        assert len(changes) == cache.version == 4
        assert api.count("list") == 1


async def test_pages_become_one_list(api: ScriptedApi, client: KubeClient) -> None:
    api.page = 2
    for number in range(5):
        api.put(PODS, pod(f"p{number}"))
    async with following(client) as cache:
        assert await cache.first_answer(5)
        assert len(cache.items) == 5
        assert api.count("list") == 3


async def test_a_list_whose_next_page_expired_begins_again(
    api: ScriptedApi, client: KubeClient
) -> None:
    api.page = 1
    api.put(PODS, pod("a"))
    api.put(PODS, pod("b"))
    listed = api._list

    def compacting(request: Any) -> Any:
        answer = listed(request)
        if api.count("list") == 1:
            api.forget()
        return answer

    api._list = compacting  # type: ignore[method-assign]
    async with following(client) as cache:
        await eventually(lambda: cache.synced)
        assert names(cache) == ["a", "b"]
        assert cache.problem is None


async def test_a_dropped_connection_resumes_where_it_was(
    api: ScriptedApi, client: KubeClient
) -> None:
    api.put(PODS, pod("a"))
    async with following(client) as cache:
        await eventually(lambda: api.watching(PODS))
        api.put(PODS, pod("b"))
        await eventually(lambda: "b" in names(cache))
        api.drop()
        api.put(PODS, pod("c"))
        await eventually(lambda: "c" in names(cache))
        assert api.count("list") == 1


async def test_half_an_event_is_asked_for_again(api: ScriptedApi, client: KubeClient) -> None:
    api.put(PODS, pod("a"))
    async with following(client) as cache:
        await eventually(lambda: api.watching(PODS))
        api.send_raw(PODS, b'{"type":"ADDED","object":{"metadata":{"name":"b"\n')
        await eventually(lambda: api.count("watch") == 2)
        api.put(PODS, pod("b"))
        await eventually(lambda: names(cache) == ["a", "b"])


async def test_410_lists_again_and_forgets_what_is_gone(
    api: ScriptedApi, client: KubeClient
) -> None:
    api.put(PODS, pod("a"))
    api.put(PODS, pod("b"))
    async with following(client) as cache:
        await eventually(lambda: api.watching(PODS))
        api.objects[PODS].pop("a")  # deleted while nobody watched
        api.forget()
        api.drop()
        await eventually(lambda: names(cache) == ["b"])
        assert api.count("list") == 2


async def test_bookmarks_alone_keep_a_quiet_watch_resumable(
    api: ScriptedApi, client: KubeClient
) -> None:
    """Without the bookmark's version the resume would be from before `oldest`: a relist."""
    api.put(PODS, pod("a"))
    async with following(client) as cache:
        await eventually(lambda: api.watching(PODS))
        api.bookmark(PODS)
        marked = api.version
        await eventually(lambda: cache._resume == str(marked))
        api.oldest = marked
        api.drop()
        await eventually(lambda: api.count("watch") == 2 and api.watching(PODS))
        assert api.count("list") == 1
        assert cache.version == 1, "a bookmark changes nothing"


async def test_a_watch_that_the_server_ends_in_time_goes_on(
    api: ScriptedApi, client: KubeClient
) -> None:
    api.put(PODS, pod("a"))
    async with following(client) as cache:
        await eventually(lambda: api.watching(PODS))
        assert "timeoutSeconds=30" in api.asked[-1][1]
        assert "allowWatchBookmarks=true" in api.asked[-1][1]
        api.put(PODS, pod("b"))
        api.send_raw(PODS, b"END")
        await eventually(lambda: api.count("watch") == 2)
        assert cache.problem is None


async def test_watches_cut_at_once_do_not_become_a_busy_loop(
    api: ScriptedApi, client: KubeClient
) -> None:
    api.put(PODS, pod("a"))
    api.cut_watches = True
    clock = WalkingClock(START)
    async with following(client, clock) as cache:
        await eventually(lambda: clock.now() >= START + 60)
        # 0.01 s doubling to 15 s, halved at most: some 11 to reach 15 s, and one in 7.5 s.
        assert api.count("watch") <= 12 + (clock.now() - START) / 7.5
        assert "at once" in (cache.problem or "")


async def test_a_silent_connection_is_taken_for_dead(
    api: ScriptedApi, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENCE", 0.05)
    api.put(PODS, pod("a"))
    async with following(client) as cache:
        await eventually(lambda: api.count("watch") >= 3)
        assert names(cache) == ["a"]
        assert api.count("list") == 1


async def test_an_api_server_that_is_away_for_a_minute(
    api: ScriptedApi, client: KubeClient
) -> None:
    api.put(PODS, pod("a"))
    clock = WalkingClock(START)
    async with following(client, clock) as cache:
        await eventually(lambda: api.watching(PODS))
        assert cache.age == 0
        api.away = True
        api.drop()
        before = api.count("watch")
        await eventually(lambda: clock.now() >= START + 60)
        assert names(cache) == ["a"], "what is known stays readable; its age says what it is worth"
        assert cache.age >= 60
        assert "cannot be reached" in cache.why() or "broke off" in cache.why()
        # aiohttp tries each twice; then one in 7.5 s at least.
        assert api.count("watch") - before <= 24 + 2 * (clock.now() - START) / 7.5
        api.away = False
        api.put(PODS, pod("b"))
        await eventually(lambda: names(cache) == ["a", "b"])
        assert cache.age == 0
        assert cache.problem is None


async def test_no_permission_to_list_is_said(api: ScriptedApi, client: KubeClient) -> None:
    api.objects[PODS] = {}
    api.refusals["list", "/pods"] = (403, "pods is forbidden")
    async with following(client) as cache:
        assert not await cache.first_answer(5)
        assert cache.status == 403
        assert "heard of never" in cache.why()
        assert "pods is forbidden" in cache.why()
        api.refusals.clear()
        await eventually(lambda: cache.synced)


async def test_without_permission_to_watch_it_lists_again_and_again(
    api: ScriptedApi, client: KubeClient
) -> None:
    api.put(PODS, pod("a"))
    api.refusals["watch", "/pods"] = (403, "cannot watch resource pods")
    async with following(client) as cache:
        await eventually(lambda: api.count("list") >= 2)
        api.put(PODS, pod("b"))
        await eventually(lambda: names(cache) == ["a", "b"])
        assert "cannot watch resource pods" in (cache.problem or "")


async def test_a_token_that_ran_out_is_said_and_read_again(
    api: ScriptedApi, client: KubeClient, tmp_path: Path
) -> None:
    api.put(PODS, pod("a"))
    async with following(client) as cache:
        await eventually(lambda: api.watching(PODS))
        api.token = "renewed"
        api.drop()
        await eventually(lambda: cache.status == 401)
        assert "Unauthorized" in cache.why()
        (tmp_path / "token").write_text("renewed")
        await eventually(lambda: cache.problem is None)


async def test_a_watch_renews_its_token_by_itself(
    api: ScriptedApi, client: KubeClient, tmp_path: Path
) -> None:
    api.put(PODS, pod("a"))
    async with following(client) as cache:
        await eventually(lambda: api.watching(PODS))
        (tmp_path / "token").write_text("renewed")
        api.token = "renewed"
        api.drop()
        await eventually(lambda: api.count("watch") >= 3 and api.watching(PODS))
        await eventually(lambda: cache.problem is None)
        assert api.count("list") == 1, "the watch itself read the new token"


async def test_an_object_that_makes_no_sense_harms_no_other(
    api: ScriptedApi, client: KubeClient
) -> None:
    api.put(PODS, pod("a"))
    api.put(PODS, {"metadata": {"name": "odd", "namespace": "default"}, "status": None})
    async with following(client) as cache:
        assert await cache.first_answer(5)
        assert names(cache) == ["a"]
        assert cache.unreadable == 1


async def test_an_answer_that_is_no_list_is_a_problem_and_no_crash(
    api: ScriptedApi, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def strange(*_: Any, **__: Any) -> Any:
        return ["what"]

    with monkeypatch.context() as patched:
        patched.setattr(client, "get", strange)
        async with following(client) as cache:
            assert not await cache.first_answer(5)
            assert "no list" in (cache.problem or "")


async def test_a_slow_list_does_not_hold_up_who_waits_for_less(
    api: ScriptedApi, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()

    async def slow(*_: Any, **__: Any) -> Any:
        await release.wait()
        return {"metadata": {"resourceVersion": "1"}, "items": []}

    monkeypatch.setattr(client, "get", slow)
    async with following(client) as cache:
        assert not await cache.first_answer(0.01)
        release.set()
        assert await cache.first_answer(5)
