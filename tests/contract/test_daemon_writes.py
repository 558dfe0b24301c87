"""The whole daemon against a real API server: what it does when its writes get into trouble."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autoscaler.act.live import LiveExecutor
from tests.contract.scaling_daemon import Daemon, daemon, policy
from tests.contract.writing import Interposed, deployment, path_of, size, within
from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.kwok import Kwok
from tests.testbed.parts import ControlPlaneBinaries

pytestmark = pytest.mark.real


def interpose(running: Daemon, before: Callable[[], object]) -> Interposed:
    executor = running.app.executor
    assert isinstance(executor, LiveExecutor)
    between = Interposed(executor._client, before=before)
    executor._client = between  # type: ignore[assignment]
    return between


def generation(plane: ControlPlane, namespace: str) -> int:
    """One more for each change of spec.replicas."""
    return int(plane.api.get(path_of(namespace))["metadata"]["generation"])


def faults(running: Daemon) -> list[str]:
    return [fault.text for tick in running.ticks for fault in tick.problems if fault.cause == "act"]


def events(plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    return [
        one
        for one in plane.api.get(path)["items"]
        if one.get("reportingController") == "triton-autoscaler"
    ]


def ready(plane: ControlPlane, namespace: str, count: int) -> None:
    def check() -> bool:
        status = plane.api.get(path_of(namespace)).get("status", {})
        return bool(status.get("readyReplicas", 0) == count)

    eventually(check, f"{count} Ready pods")


def test_a_writer_that_hammers_delays_us_and_loses_nothing(
    control_plane: ControlPlane,
    kwok: Kwok,
    fresh_namespace: str,
    tmp_path: Path,
) -> None:
    """A conflict at every write for as long as it lasts: a named fault each tick, a bounded number
    of requests, one Event; the state is kept, and when the storm is over the step is made once.
    """
    plane, path = control_plane, path_of(fresh_namespace)
    plane.apply(deployment(fresh_namespace, 1))
    ready(plane, fresh_namespace, 1)
    storm = iter(range(10))

    def hammer() -> None:
        gust = next(storm, None)
        if gust is not None:
            plane.api.patch(path, {"metadata": {"annotations": {"hammered": str(gust)}}})

    async def story() -> None:
        async with daemon(
            plane,
            tmp_path,
            fresh_namespace,
            policy(fresh_namespace),
            own=fresh_namespace,
        ) as running:
            between = interpose(running, hammer)
            await running.until(lambda: running.ticks and running.ticks[-1].led, "it leads")
            running.source.load = 220.0
            await running.until(lambda: size(plane, path) == 3, "three replicas after the storm")
            said = faults(running)
            assert len(between.writes) == 11, "10 in the storm and one after it"
            assert len(said) == 10, "a look and a try a tick, and then a fault"
            assert all("changed meanwhile" in text for text in said)
            await running.until(lambda: len(events(plane, fresh_namespace)) >= 2, "Events")

    asyncio.run(story())
    reasons = sorted(one["reason"] for one in events(plane, fresh_namespace))
    assert reasons == ["FailedWrite", "ScaledUp"], "ten failures of one kind are one Event"
    maps = f"/api/v1/namespaces/{fresh_namespace}/configmaps"
    assert plane.api.get(f"{maps}/triton-autoscaler-state")


def test_the_annotation_and_the_freeze_stop_writes_at_once_and_say_who(
    control_plane: ControlPlane, kwok: Kwok, fresh_namespace: str, tmp_path: Path
) -> None:
    plane, path, here = control_plane, path_of(fresh_namespace), ("-n", fresh_namespace)
    plane.apply(deployment(fresh_namespace, 1))
    ready(plane, fresh_namespace, 1)
    home = within(plane.kubeconfig, fresh_namespace)
    pause = ("annotate", "deployment/flower", *here)
    freeze = ("configmap", "triton-autoscaler-freeze", *here)

    def told(words: str) -> bool:
        return any(words in one["note"] for one in events(plane, fresh_namespace))

    async def story() -> None:
        async with daemon(
            plane,
            tmp_path,
            fresh_namespace,
            policy(fresh_namespace),
            own=fresh_namespace,
            kubeconfig=home,
        ) as running:
            await running.until(lambda: running.ticks and running.ticks[-1].led, "it leads")
            plane.kubectl(*pause, "triton-autoscaler/paused=incident 7")
            await running.until(lambda: told("incident 7"), "an Event that it is paused")
            running.source.load = 220.0
            plane.kubectl("create", *freeze, "--from-literal=reason=incident 8")
            plane.kubectl(*pause, "triton-autoscaler/paused-")
            await running.until(
                lambda: "incident 8" in (running.ticks[-1].decisions[0].hold or ""), "the freeze"
            )
            assert size(plane, path) == 1
            plane.kubectl("delete", *freeze)
            await running.until(lambda: size(plane, path) == 3, "three replicas")

    asyncio.run(story())


@pytest.fixture(scope="module")
def own_plane(
    control_plane_binaries: ControlPlaneBinaries, kwok_binary: Path
) -> Iterator[ControlPlane]:
    """One to be killed."""
    with ControlPlane(control_plane_binaries) as plane, Kwok(kwok_binary, plane) as kwok:
        kwok.add_gpu_nodes(1)
        yield plane


def test_an_api_server_that_dies_in_mid_write_costs_time_and_no_second_step(
    own_plane: ControlPlane, tmp_path: Path
) -> None:
    plane, path = own_plane, path_of("default")
    plane.apply(deployment("default", 1))
    ready(plane, "default", 1)
    killed = []

    def kill() -> None:
        if not killed:
            killed.append(True)
            plane.stop_apiserver(crash=True)

    async def story() -> None:
        async with daemon(plane, tmp_path, "default", policy("default"), own="default") as running:
            await running.until(lambda: running.ticks and running.ticks[-1].led, "it leads")
            began = generation(plane, "default")
            interpose(running, kill)
            running.source.load = 220.0
            await running.until(lambda: faults(running), "a fault")
            assert "whether it was written is not known" in faults(running)[0]
            await asyncio.to_thread(plane.start_apiserver)
            await running.until(lambda: size(plane, path) == 3, "three replicas")
            ticks = len(running.ticks)
            await running.until(lambda: len(running.ticks) > ticks + 10, "ten more ticks")
            assert generation(plane, "default") == began + 1

    asyncio.run(story())


def test_the_journal_and_the_events_tell_the_same_story(
    control_plane: ControlPlane,
    kwok: Kwok,
    fresh_namespace: str,
    tmp_path: Path,
) -> None:
    plane, path = control_plane, path_of(fresh_namespace)
    plane.apply(deployment(fresh_namespace, 1))
    ready(plane, fresh_namespace, 1)
    steps: list[str] = []

    async def story() -> None:
        async with daemon(
            plane,
            tmp_path,
            fresh_namespace,
            policy(fresh_namespace),
            own=fresh_namespace,
        ) as running:
            await running.until(lambda: running.ticks and running.ticks[-1].led, "it leads")
            for load, wanted in ((220.0, 3), (380.0, 5), (40.0, 1)):
                running.source.load = load
                await running.until(lambda wanted=wanted: size(plane, path) == wanted, "a step")
            done = [action for tick in running.ticks for action in tick.actions]
            steps.extend(f"{one.before} → {one.after}" for one in done if one.kind == "scale")

    asyncio.run(story())
    told = sorted(events(plane, fresh_namespace), key=lambda one: one["eventTime"])
    scaled = [one["note"].partition(":")[0] for one in told if one["reason"].startswith("Scaled")]
    assert [words.split(maxsplit=2)[2] for words in scaled] == steps
    assert steps[0] == "1 → 3"
    assert steps[-1].endswith("→ 1")
    seen = plane.kubectl("get", "events", "-n", fresh_namespace, "-o", "json")
    reasons = {one["reason"] for one in json.loads(seen)["items"]}
    assert {"ScaledUp", "ScaledDown"} <= reasons
