"""Rendered once a tick, however often it is asked for; 10,000 pods; memory that is bounded."""

from __future__ import annotations

import asyncio
import gzip
import threading
from typing import Any

import pytest

from autoscaler.serve.metrics_api import answers as answers_module
from autoscaler.serve.metrics_api import routes as routes_module
from tests.unit.decide.fleets import model
from tests.unit.kube.scripted import eventually
from tests.unit.metrics_api.served import (
    CUSTOM,
    NOW,
    OLD,
    PODS,
    QUEUE,
    Answer,
    Fleet,
    Served,
    fleet,
    flower,
    pod,
    statuses,
)

SELECTED = f"{PODS}?labelSelector=app%3Dflower"


def large(pods: int) -> Fleet:
    same = (model(NOW, 30.0), model(NOW, 10.0, 0.010, name="bert"))
    return fleet("flower", *[pod(f"flower-5cf8b78894-{n:05d}", *same) for n in range(pods)])


async def test_a_hundred_askers_between_two_ticks_cost_one_rendering(flowers: Served) -> None:
    found = await asyncio.gather(*(flowers.get(SELECTED) for _ in range(100)))
    assert statuses(found) == [200] * 100
    assert flowers.api.answers.rendered == 1


async def test_selectors_that_mean_the_same_share_an_answer(flowers: Served) -> None:
    for query in ("app%3Dflower,!x", "%21x,app==flower", "!x+,+app%3Dflower"):
        assert (await flowers.get(f"{PODS}?labelSelector={query}")).status == 200
    assert flowers.api.answers.rendered == 1


async def test_each_tick_is_seen_at_once(flowers: Served) -> None:
    assert set((await flowers.get(PODS)).values) == {"flower-a", "flower-b"}
    flowers.tick(fleet("flower", pod("flower-c", model(NOW, 1.0))))
    assert set((await flowers.get(PODS)).values) == {"flower-c"}


async def test_what_is_asked_for_again_and_again_is_rendered_before_it_is_asked_for(
    flowers: Served,
) -> None:
    await flowers.get(SELECTED)
    flowers.tick(flower())
    await flowers.get(SELECTED)
    flowers.tick(flower())
    before = flowers.api.answers.rendered
    await eventually(lambda: flowers.api.answers.rendered == before + 1)
    await flowers.get(SELECTED)
    assert flowers.api.answers.rendered == before + 1


async def test_the_tick_before_answers_until_the_next_one_is_rendered(
    flowers: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await flowers.get(SELECTED)
        flowers.tick(flower())
    await flowers.get(SELECTED)
    rendering, release = threading.Event(), threading.Event()
    renders = answers_module.render_all

    def slow(*arguments: Any) -> Any:
        rendering.set()
        assert release.wait(20)
        return renders(*arguments)

    monkeypatch.setattr(answers_module, "render_all", slow)
    flowers.tick(fleet("flower", pod("flower-c", model(NOW, 1.0))))
    await eventually(rendering.is_set)
    flowers.tick(fleet("flower", pod("flower-d", model(NOW, 1.0))))
    assert set((await flowers.get(SELECTED)).values) == {"flower-a", "flower-b"}
    release.set()
    await eventually(lambda: flowers.api.answers._next is None)
    assert set((await flowers.get(SELECTED)).values) == {"flower-d"}


async def test_a_rendering_that_fails_holds_up_no_tick(
    flowers: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await flowers.get(SELECTED)
        flowers.tick(flower())
    await flowers.get(SELECTED)
    with monkeypatch.context() as broken:
        broken.setattr(answers_module, "look_up", lambda *_: 1 / 0)
        flowers.tick(fleet("flower", pod("flower-c", model(NOW, 1.0))))
        await eventually(lambda: flowers.api.answers._next is None)
        assert (await flowers.get(SELECTED)).status == 500
    assert set((await flowers.get(SELECTED)).values) == {"flower-c"}
    assert [type(one) for one in flowers.broken] == [ZeroDivisionError]


async def test_what_nobody_asks_for_any_more_is_not_rendered(flowers: Served) -> None:
    for _ in range(2):
        await flowers.get(SELECTED)
        flowers.tick(flower())
    flowers.clock._now += 61
    await asyncio.sleep(0.01)
    before = flowers.api.answers.rendered
    flowers.tick(flower())
    await asyncio.sleep(0.01)
    assert flowers.api.answers.rendered == before


async def test_selectors_tried_once_are_never_rendered_ahead(flowers: Served) -> None:
    for number in range(20):
        await flowers.get(f"{PODS}?labelSelector=x!={number}")
    flowers.tick(flower())
    await asyncio.sleep(0.01)
    assert flowers.api.answers.rendered == 20


async def test_what_is_kept_is_bounded(flowers: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "MAX_ANSWERS", 8)
    monkeypatch.setattr(routes_module, "MAX_PLANS", 8)
    for number in range(40):
        assert (await flowers.get(f"{PODS}?labelSelector=x!={number}")).status == 200
    answers = flowers.api.answers
    assert len(answers._kept) == len(answers._asked) == 8
    assert answers._bytes == sum(one.size for one in answers._kept.values())
    assert len(flowers.api._routes._plans) <= 8
    monkeypatch.setattr(answers_module, "MAX_BYTES", 1000)
    await flowers.get(PODS)
    assert answers._bytes <= 1000


async def test_ten_thousand_pods(api: Served) -> None:
    api.tick(large(10_000))
    answer = await api.get(SELECTED)
    assert len(answer.json["items"]) == 10_000
    assert len(answer.body) < 2.5e6
    assert answer.values["flower-5cf8b78894-09999"] == "8500"  # (30 x 8 + 10 x 10) ms / 40
    zipped = await api.get(SELECTED, Accept_Encoding="gzip")
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == answer.body
    assert len(zipped.body) < len(answer.body) / 8
    assert api.api.answers.rendered == 1


async def test_one_pod_of_ten_thousand(api: Served) -> None:
    api.tick(large(10_000))
    one = await api.get(f"{CUSTOM}/namespaces/default/pods/flower-5cf8b78894-00077/{QUEUE}")
    assert one.values == {"flower-5cf8b78894-00077": "8500"}


async def test_both_versions_and_a_short_answer_uncompressed(flowers: Served) -> None:
    old: Answer = await flowers.get(
        f"{OLD}/namespaces/default/pods/*/{QUEUE}", Accept_Encoding="gzip"
    )
    assert "Content-Encoding" not in old.headers
    assert old.json["apiVersion"].endswith("v1beta1")
