"""Memory of the watch caches at 10,000 pods, 1,000 Deployments and 1,250 nodes in 50 namespaces.

An API-server-shaped server in a process of its own answers with pods of 10 kB, as real ones are,
in pages of 500, and then changes every pod twice. What is measured is one process with the
daemon's own readers: targets, pods, other hands and node pools.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from autoscaler.clock import SystemClock
from autoscaler.kube.client import KubeClient
from autoscaler.kube.watch import WATCH_SECONDS
from autoscaler.model import Nodes, ScaledPool
from autoscaler.observe.cluster import TargetReading
from autoscaler.observe.pools import KubernetesPools
from autoscaler.observe.watched import WatchedCluster
from bench.figures import figure, resident_mb, say
from bench.observe_scale import NOW, PODS_PER_NODE, PODS_PER_TARGET, fleet, names

ROUNDS = 2  # of changes to every pod
KINDS = {"pods", "deployments", "horizontalpodautoscalers", "nodes", "nodepools", "nodeclaims"}
POOL = ScaledPool("karpenter.sh/v1", "NodePool", "gpu")


# --- the server ----------------------------------------------------------------------------------


class Api:
    """Lists in pages; a watch sends ROUNDS changes of every pod once told to, and nothing more."""

    def __init__(self, pods: int) -> None:
        self.rows = [(ns, target, pod, n) for n, (ns, target, pod) in enumerate(names(pods))]
        self.busy = asyncio.Event()
        self.requests = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if request.path == "/busy":
            self.busy.set()
            return web.json_response({})
        parts = request.path.strip("/").split("/")
        kind, namespace = parts[-1], parts[-2] if "namespaces" in parts else None
        if kind == "configmaps":
            rows: list[Any] = []
        elif kind in KINDS:
            rows = self.of(kind, namespace)
        else:
            return web.json_response({"message": "not here"}, status=404)
        if request.query.get("watch"):
            return await self.watch(request, kind, rows)
        start = int(request.query.get("continue", "0"))
        page = rows[start : start + 500]
        more = {"continue": str(start + 500)} if start + 500 < len(rows) else {}
        metadata = orjson.dumps({"resourceVersion": "1"} | more)
        items = b",".join([body(kind, row) for row in page])
        answer = b'{"metadata":%b,"items":[%b]}' % (metadata, items)
        return web.Response(body=answer, content_type="application/json")

    def of(self, kind: str, namespace: str | None) -> list[Any]:
        rows = [row for row in self.rows if namespace in {None, row[0]}]
        if kind == "nodes":
            return rows[::PODS_PER_NODE]
        if kind in {"deployments", "horizontalpodautoscalers"}:
            return rows[::PODS_PER_TARGET]
        if kind in {"nodepools", "nodeclaims"}:
            return rows[:1] if kind == "nodepools" else []
        return rows

    async def watch(self, request: web.Request, kind: str, rows: list[Any]) -> web.StreamResponse:
        response = web.StreamResponse()
        with suppress(ConnectionError):  # the end of the bench
            await response.prepare(request)
            if kind == "pods":
                await self.busy.wait()
                for n in range(ROUNDS):
                    for row in rows:
                        changed = body(kind, row, version=str(2 + n))
                        await response.write(b'{"type":"MODIFIED","object":%b}\n' % changed)
            await asyncio.sleep(3600)
        return response


def body(kind: str, row: tuple[str, str, str, int], version: str = "1") -> bytes:
    namespace, target, pod, n = row
    metadata: dict[str, Any] = {
        "resourceVersion": version,
        "uid": f"uid-{n}",
        "namespace": namespace,
    }
    make: dict[str, Callable[[], dict[str, Any]]] = {
        "pods": lambda: pod_body(target, pod, n),
        "deployments": lambda: deployment_body(target),
        "horizontalpodautoscalers": lambda: hpa_body(target),
        "nodes": lambda: node_body(n),
        "nodepools": lambda: {"metadata": {"name": "gpu"}, "spec": {"replicas": 1250}},
    }
    made = make[kind]()
    made["metadata"] = metadata | made["metadata"]
    if kind in {"nodes", "nodepools"}:
        del made["metadata"]["namespace"]
    return orjson.dumps(made)


def pod_body(target: str, pod: str, n: int) -> dict[str, Any]:
    """About 10 kB: environment, volumes, probes and managedFields are what a pod is made of."""
    stamp = "2026-11-21T08:00:00Z"
    owner = {"kind": "ReplicaSet", "name": pod.rsplit("-", 1)[0], "controller": True}
    labels = {"app": target, "pod-template-hash": "5cf8b78894", "team": "vision"}
    resources = {"limits": {"nvidia.com/gpu": "1", "cpu": "8", "memory": "32Gi"}}
    filler: dict[str, Any] = {
        f"f:field-{i}": {f"f:part-{j}": {} for j in range(8)} for i in range(24)
    }
    container = {
        "name": "triton",
        "image": "nvcr.io/nvidia/tritonserver:24.10-py3",
        "resources": resources,
        "env": [{"name": f"SETTING_{i}", "value": "x" * 40} for i in range(24)],
    }
    running = {"name": "triton", "ready": True, "restartCount": 0, "image": container["image"]}
    conditions = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "metadata": {
            "name": pod,
            "labels": labels,
            "annotations": {f"example.com/note-{i}": "y" * 60 for i in range(8)},
            "creationTimestamp": stamp,
            "ownerReferences": [owner],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": filler}],
        },
        "spec": {"nodeName": f"node-{n // PODS_PER_NODE}", "containers": [container]},
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": one, "status": "True", "lastTransitionTime": stamp} for one in conditions
            ],
            "containerStatuses": [running | {"state": {"running": {"startedAt": stamp}}}],
        },
    }


def deployment_body(target: str) -> dict[str, Any]:
    fields = [
        {
            "manager": "triton-autoscaler",
            "operation": "Update",
            "subresource": "scale",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        }
    ]
    size = PODS_PER_TARGET
    return {
        "metadata": {"name": target, "generation": 1, "managedFields": fields},
        "spec": {"replicas": size, "selector": {"matchLabels": {"app": target}}},
        "status": {"observedGeneration": 1, "replicas": size, "updatedReplicas": size},
    }


def hpa_body(target: str) -> dict[str, Any]:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"other-{target}"}
    return {"metadata": {"name": target}, "spec": {"scaleTargetRef": ref}}


def node_body(n: int) -> dict[str, Any]:
    name = f"node-{n // PODS_PER_NODE}"
    labels = {f"example.com/label-{i}": "z" * 20 for i in range(20)}
    return {
        "metadata": {
            "name": name,
            "labels": labels | {"karpenter.sh/nodepool": "gpu", "kubernetes.io/hostname": name},
            "creationTimestamp": "2026-11-21T07:00:00Z",
        },
        "spec": {},
        "status": {
            "allocatable": {"nvidia.com/gpu": str(PODS_PER_NODE)},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def serve(pods: int, port: Connection) -> None:
    async def run() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", Api(pods).answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.send(runner.addresses[0][1])
        await asyncio.sleep(3600)

    asyncio.run(run())


# --- the measured process ------------------------------------------------------------------------


async def measure(url: str, pods: int, scratch: Path) -> None:
    plain, _ = fleet(pods)
    policies = [replace(one, mode="scale", nodes=Nodes(POOL)) for one in plain]
    targets = [one.target for one in policies]
    client = await KubeClient.connect(kubeconfig(url, scratch))
    clock = SystemClock()
    cluster, pools = WatchedCluster(client, clock), KubernetesPools(client, clock)
    own = multiprocessing.current_process().pid or 0
    await client.get("/api/v1/namespaces/none/configmaps")  # imports and connects
    before = resident_mb(own)

    async def read() -> float:
        """Until everything is known: on a busy machine the first lists take several reads."""
        began = time.perf_counter()
        while not await known():
            assert time.perf_counter() - began < 300, "the lists do not come"
        return time.perf_counter() - began

    async def known() -> bool:
        ours = frozenset(targets)
        found, pool = await asyncio.gather(
            cluster.read(targets, NOW, 300.0, ours), pools.read(policies, NOW, 300.0)
        )
        return len(pool.nodes or {}) == max(1, pods // PODS_PER_NODE) and all(
            isinstance(one, TargetReading) and not one.hands.others
            for one in found.targets.values()
        )

    size = f"{len(policies)} policies x {pods} pods"
    figure("watch_first_read", await read(), "s", size)
    figure("watch_memory", resident_mb(own) - before, "MiB", size)
    figure("watch_memory_per_pod", (resident_mb(own) - before) * 1024 / pods, "KiB", size)
    figure("watch_read_unchanged", min([await read() for _ in range(3)]), "s", size)
    await changes(client, cluster, pools, pods)
    figure("watch_read_changed", await read(), "s", size)
    figure("watch_memory_after_changes", resident_mb(own) - before, "MiB", size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figure("watch_peak_of_process", peak, "MiB", size)
    watches = [task for task in asyncio.all_tasks() if task.get_name().startswith("watch ")]
    figure("watches", len(watches), "watches", size)
    figure("watch_requests_idle", len(watches) * 3600 / WATCH_SECONDS, "requests/h", size)
    await cluster.close()
    await pools.close()
    await client.close()


async def changes(
    client: KubeClient, cluster: WatchedCluster, pools: KubernetesPools, pods: int
) -> None:
    """Until every pod's last change was seen by both readers, or nothing comes any more."""

    def versions() -> int:
        caches = [namespace.pods for namespace in cluster._namespaces.values()]
        everywhere = pools._watches.get("/api/v1/pods")
        assert everywhere is not None
        return sum(cache.version for cache in caches) + everywhere.version

    before = versions()
    began, cpu = time.perf_counter(), time.process_time()
    await client.get("/busy")
    while versions() - before < 2 * ROUNDS * pods:
        await asyncio.sleep(0.05)
        assert time.perf_counter() - began < 300, "the changes do not come"
    seen = 2 * ROUNDS * pods
    figure("watch_event_cpu", (time.process_time() - cpu) / seen, "s", f"of {seen} events")


def kubeconfig(url: str, scratch: Path) -> Path:
    path = scratch / "kubeconfig"
    context = {"name": "here", "context": {"cluster": "c", "user": "u"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [context],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
    }
    path.write_text(json.dumps(config))
    return path


def one_size(pods: int) -> None:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")  # a forked server would count as our memory
    server = context.Process(target=serve, args=(pods, theirs), daemon=True)
    server.start()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            asyncio.run(measure(f"http://127.0.0.1:{ours.recv()}", pods, Path(scratch)))
    finally:
        server.terminate()
        server.join()


def main() -> None:
    say(f"watch-memory: every pod listed by two watches, then changed {ROUNDS} times")
    for pods in (1_000, 10_000):
        subprocess.run([sys.executable, "-m", "bench.watch_memory", str(pods)], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one_size(int(sys.argv[1]))
    else:
        main()
