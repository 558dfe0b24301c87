"""An API-server-shaped server in a process of its own, that counts what it is asked."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import web

PODS_PER_TARGET = 10
NODE_GPUS = 8
STAMP = "2026-11-21T08:00:00Z"
# What a request is about, by the first of these that its method and path match.
KINDS = (
    ("lease", r"leases"),
    ("state", r"configmaps/|POST .*configmaps"),
    ("scale", r"/scale"),
    ("events", r"events\.k8s\.io"),
    ("deletion cost", r"PATCH .*/pods/"),
    ("watch", r"watch=true"),
    ("list", r"GET "),
)


def targets(policies: int, namespaces: int) -> list[tuple[str, str]]:
    return [(f"ns-{n % namespaces}", f"t-{n}") for n in range(policies)]


def pod_names(target: str) -> list[str]:
    return [f"{target}-5cf8b78894-{n:05d}" for n in range(PODS_PER_TARGET)]


class Api:
    def __init__(self, policies: int, namespaces: int) -> None:
        self.counts: Counter[str] = Counter()
        self.version = 100
        self.objects: dict[str, dict[str, Any]] = {}  # by path
        self.queues: dict[str, list[asyncio.Queue[bytes]]] = {}  # watchers, by collection
        self.fixed: dict[str, list[Any]] = {}  # what is listed and never changes, by collection
        nodes = policies * PODS_PER_TARGET // NODE_GPUS
        self.fixed["/api/v1/nodes"] = [node(n) for n in range(nodes)]
        for number, (namespace, target) in enumerate(targets(policies, namespaces)):
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{target}"
            self.objects[path] = deployment(namespace, target)
            first = number * PODS_PER_TARGET
            self.fixed.setdefault(f"/api/v1/namespaces/{namespace}/pods", []).extend(
                pod(namespace, target, name, (first + n) // NODE_GPUS)
                for n, name in enumerate(pod_names(target))
            )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = f"{request.method} {request.path_qs}"
        if request.path == "/counts":
            counts, self.counts = self.counts, Counter()
            return web.json_response(dict(counts))
        self.counts[next(name for name, part in KINDS if re.search(part, asked))] += 1
        if request.method != "GET":
            return self.write(request.method, request.path, await request.json())
        if request.query.get("watch"):
            return await self.watch(request)
        if request.path.endswith("/scale"):
            return web.json_response(scale(self.objects[request.path.removesuffix("/scale")]))
        if request.path in self.objects:
            return web.json_response(self.objects[request.path])
        if re.search(r"(keda\.sh/v1alpha1|/leases/[^/]+|/configmaps/[^/]+)$", request.path):
            return web.json_response({"message": "not found"}, status=404)
        return self.listed(request)

    def listed(self, request: web.Request) -> web.Response:
        items = self.fixed.get(request.path) or [
            item for path, item in self.objects.items() if path.rpartition("/")[0] == request.path
        ]
        start = int(request.query.get("continue", "0"))
        metadata = {"resourceVersion": str(self.version)}
        if start + 500 < len(items):
            metadata["continue"] = str(start + 500)
        return web.json_response({"metadata": metadata, "items": items[start : start + 500]})

    async def watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.queues.setdefault(request.path, []).append(queue)
        try:
            async with asyncio.timeout(float(request.query["timeoutSeconds"])):
                while True:
                    await response.write(await queue.get())
        except TimeoutError:
            return response
        finally:
            self.queues[request.path].remove(queue)

    def write(self, method: str, path: str, body: Any) -> web.Response:
        self.version += 1
        if path.endswith("/scale"):
            found = self.objects[path.removesuffix("/scale")]
            found["spec"]["replicas"] = body["spec"]["replicas"]
            found["status"] |= made(body["spec"]["replicas"])
            found["metadata"]["resourceVersion"] = str(self.version)
            self.tell(path.removesuffix("/scale"), found)
            return web.json_response(scale(found))
        if "events.k8s.io" in path or "/pods/" in path:  # kept by nobody here
            return web.json_response(body, status=201)
        body["metadata"]["resourceVersion"] = str(self.version)
        at = f"{path}/{body['metadata']['name']}" if method == "POST" else path
        self.objects[at] = body
        return web.json_response(body)

    def tell(self, path: str, item: Any) -> None:
        line = json.dumps({"type": "MODIFIED", "object": item}).encode() + b"\n"
        for queue in self.queues.get(path.rpartition("/")[0], ()):
            queue.put_nowait(line)


def deployment(namespace: str, name: str) -> Any:
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "generation": 1,
        },
        "spec": {"replicas": PODS_PER_TARGET, "selector": {"matchLabels": {"app": name}}},
        "status": {"observedGeneration": 1} | made(PODS_PER_TARGET),
    }


def made(replicas: int) -> dict[str, int]:
    """All of the newest version: no rollout is under way."""
    return {"replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas}


def pod(namespace: str, target: str, name: str, node: int) -> Any:
    owner = {"kind": "ReplicaSet", "name": name.rpartition("-")[0], "controller": True}
    metadata = {"namespace": namespace, "name": name, "labels": {"app": target}, "uid": name}
    metadata |= {"creationTimestamp": STAMP, "ownerReferences": [owner], "resourceVersion": "1"}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": STAMP}
    container = {"name": "triton", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    return {
        "metadata": metadata,
        "spec": {"nodeName": f"node-{node}", "containers": [container]},
        "status": {"phase": "Running", "conditions": [ready]},
    }


def node(number: int) -> Any:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": STAMP}
    return {
        "metadata": {"name": f"node-{number}", "resourceVersion": "1"},
        "spec": {},
        "status": {"conditions": [ready], "allocatable": {"nvidia.com/gpu": str(NODE_GPUS)}},
    }


def scale(found: Any) -> Any:
    known = {key: found["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
    return {"metadata": known, "spec": {"replicas": found["spec"]["replicas"]}}


def serve(policies: int, namespaces: int, back: Connection) -> None:
    async def main() -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", Api(policies, namespaces).answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        back.send(f"http://{host}:{port}")
        await asyncio.Event().wait()

    asyncio.run(main())
