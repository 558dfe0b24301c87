"""Replicas and pods from the watch cache: nothing asked per read, stale is Missing, small."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from autoscaler.clock import WalkingClock
from autoscaler.kube import watch
from autoscaler.kube.client import KubeClient
from autoscaler.model import Missing, Replicas, Target
from autoscaler.observe.cluster import TargetReading
from autoscaler.observe.labels import ByLabels, kept, selector_of
from autoscaler.observe.rows import pod_row
from autoscaler.observe.watched import WatchedCluster
from tests.unit.kube.scripted import ScriptedApi, eventually

NOW = 1_795_248_926.0
FLOWER = Target("default", "flower")
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"


def deployment(name: str, replicas: int) -> dict[str, Any]:
    selector = {"matchLabels": {"app": name}}
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"team": "vision"}},
        "spec": {"replicas": replicas, "selector": selector},
    }


def pod(name: str, app: str = "flower", ready: str = "True", owner: str = "") -> dict[str, Any]:
    of_set = owner or f"{app}-5cf8b78894"
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "creationTimestamp": "2026-11-21T08:00:00Z",
            "labels": {"app": app, "pod-template-hash": "5cf8b78894"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": of_set, "controller": True}],
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": "x" * 4000}}],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "triton", "env": ["x" * 4000]}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }


@pytest.fixture
def clock() -> WalkingClock:
    return WalkingClock(NOW)


@pytest.fixture
async def cluster(
    client: KubeClient, clock: WalkingClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WatchedCluster]:
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.01)
    cluster = WatchedCluster(client, clock)
    yield cluster
    await cluster.close()


def flower(api: ScriptedApi, replicas: int = 2) -> None:
    api.put(DEPLOYMENTS, deployment("flower", replicas))
    api.put(PODS, pod("flower-5cf8b78894-2qqz8"))
    api.put(PODS, pod("flower-5cf8b78894-g679c", ready="False"))


async def read(cluster: WatchedCluster, target: Target = FLOWER) -> TargetReading:
    reading = (await cluster.read([target], NOW, 4.0)).targets[target]
    assert isinstance(reading, TargetReading), reading
    return reading


async def missing(cluster: WatchedCluster, target: Target = FLOWER) -> str:
    reading = (await cluster.read([target], NOW, 4.0)).targets[target]
    assert isinstance(reading, Missing), reading
    return reading.missing


async def test_a_read_asks_the_api_server_nothing(
    api: ScriptedApi, cluster: WatchedCluster
) -> None:
    flower(api)
    reading = await read(cluster)
    assert reading.replicas == Replicas(2, 1, "kubernetes", "101")
    assert [one.name[-5:] for one in reading.pods] == ["2qqz8", "g679c"]
    assert reading.selector == "app=flower"
    assert reading.labels == {"team": "vision"}
    assert reading.pod_labels["flower-5cf8b78894-2qqz8"]["app"] == "flower"
    await eventually(lambda: api.watching(PODS) and api.watching(DEPLOYMENTS))
    asked = len(api.asked)
    assert await read(cluster) is reading, "nothing changed: not even composed again"
    assert len(api.asked) == asked
    assert cluster.last.targets == {FLOWER: reading}


async def test_changes_show_at_the_next_read(api: ScriptedApi, cluster: WatchedCluster) -> None:
    flower(api)
    await read(cluster)
    await eventually(lambda: api.watching(PODS) and api.watching(DEPLOYMENTS))
    api.put(DEPLOYMENTS, deployment("flower", 3))
    going = pod("flower-5cf8b78894-2qqz8")
    going["metadata"]["deletionTimestamp"] = "2026-11-21T08:10:00Z"
    api.put(PODS, going)
    pods = cluster._namespaces["default"].pods
    await eventually(lambda: pods.version == 2)
    await eventually(lambda: cluster._namespaces["default"].targets("Deployment").version == 2)
    reading = await read(cluster)
    assert reading.replicas.desired == 3
    assert reading.replicas.ready == 0
    assert [one.terminating for one in reading.pods] == [True, False]


async def test_a_canary_with_the_same_labels_is_not_ours(
    api: ScriptedApi, cluster: WatchedCluster
) -> None:
    flower(api)
    api.put(PODS, pod("flower-canary-x", owner="flower-canary-5cf8b78894"))
    assert len((await read(cluster)).pods) == 2


async def test_away_for_a_minute_is_served_and_then_missing_with_the_reason(
    api: ScriptedApi, cluster: WatchedCluster, clock: WalkingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    flower(api)
    await read(cluster)
    await eventually(lambda: api.watching(PODS) and api.watching(DEPLOYMENTS))
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.02)
    api.away = True
    api.drop()
    await eventually(lambda: cluster._namespaces["default"].pods.problem)
    await read(cluster)
    clock._now += 61
    reason = await missing(cluster)
    assert "the API server was last heard of 1m" in reason
    assert "older than 1m is not trusted" in reason
    assert "cannot be reached" in reason or "broke off" in reason
    api.away = False
    await eventually(lambda: cluster._namespaces["default"].pods.age == 0)
    await eventually(lambda: cluster._namespaces["default"].targets("Deployment").age == 0)
    assert (await read(cluster)).replicas.desired == 2


async def test_a_role_without_watch_on_deployments_is_polled(
    api: ScriptedApi, cluster: WatchedCluster
) -> None:
    """The least role: deployments/scale get, pods list. The scale subresource is asked then."""
    flower(api)
    api.refusals["list", "/deployments"] = (403, "deployments.apps is forbidden")
    scale = {
        "metadata": {"name": "scale", "resourceVersion": "41"},
        "spec": {"replicas": 2},
        "status": {"selector": "app=flower"},
    }
    api.objects[f"{DEPLOYMENTS}/flower"] = {"scale": scale}
    reading = await read(cluster)
    assert reading.replicas.resource_version == "41"
    assert reading.pod_labels["flower-5cf8b78894-2qqz8"]["app"] == "flower"


async def test_a_target_that_is_not_there_says_where_to_look(
    api: ScriptedApi, cluster: WatchedCluster
) -> None:
    flower(api)
    reason = await missing(cluster, Target("default", "flour"))
    assert reason.startswith("no Deployment flour in namespace default")
    assert "`kubectl get deployments -n default`" in reason


async def test_a_namespace_that_no_policy_names_is_watched_no_more(
    api: ScriptedApi, cluster: WatchedCluster
) -> None:
    flower(api)
    await read(cluster)
    await eventually(lambda: api.watching(PODS) == 1)
    await cluster.read([], NOW, 4.0)
    await eventually(lambda: api.watching(PODS) == 0)


async def test_an_api_server_away_from_the_start_is_a_reason_within_the_deadline(
    api: ScriptedApi, cluster: WatchedCluster
) -> None:
    api.away = True
    assert "cannot be reached" in await missing(cluster)


async def test_10000_pods_stay_small() -> None:
    """About 10 kB of JSON each, 85 MB in all: kept are some 0.5 kB of each."""
    text = json.dumps(pod("flower-5cf8b78894-XXXXX"))
    kept_pods = {}
    tracemalloc.start()
    try:
        for number in range(10_000):
            item = json.loads(text.replace("XXXXX", f"{number:05}"))
            kept_pods["default", item["metadata"]["name"]] = pod_row(item)
            del item
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept_pods) == 10_000
    assert size / 10_000 < 700


def test_selectors_pick_as_the_api_server_does() -> None:
    pods = ByLabels(
        (kept(labels), name)
        for name, labels in {
            "a": {"app": "x", "tier": "front"},
            "b": {"app": "x", "tier": "back"},
            "c": {"app": "y"},
            "d": None,
        }.items()
    )

    def pick(**selector: Any) -> str:
        return "".join(sorted(pods.select(selector_of(selector))))

    def expression(operator: str, *values: str) -> list[dict[str, Any]]:
        return [{"key": "tier", "operator": operator, "values": list(values)}]

    assert pick(matchLabels={"app": "x"}) == "ab"
    assert pick(matchLabels={"app": "x"}, matchExpressions=expression("In", "back", "b")) == "b"
    assert pick(matchLabels={"app": "x"}, matchExpressions=expression("NotIn", "back")) == "a"
    assert pick(matchExpressions=expression("NotIn", "back")) == "acd"
    assert pick(matchExpressions=expression("In", "back", "front", "back")) == "ab"
    assert pick(matchExpressions=expression("Exists")) == "ab"
    assert pick(matchExpressions=expression("DoesNotExist")) == "cd"
    assert pick() == "", "an empty selector would take everybody's pods"
    words = ",".join(
        map(str, selector_of({"matchLabels": {"a": "b"}, "matchExpressions": expression("Exists")}))
    )
    assert words == "a=b,tier"


async def test_readers_never_wait_for_one_another(
    api: ScriptedApi, cluster: WatchedCluster
) -> None:
    flower(api)
    readings = await asyncio.gather(*(read(cluster) for _ in range(5)))
    assert all(reading == readings[0] for reading in readings)
    assert api.count("list", "/pods") == 1
