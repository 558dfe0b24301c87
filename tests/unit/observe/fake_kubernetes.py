"""An API-server-shaped HTTP server of the tests: scales, pods in pages, and refusals."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

PAGE = 2  # pods a page


def pod(name: str, **changes: Any) -> dict[str, Any]:
    """A Ready pod of the Deployment flower."""
    ready = "True" if changes.pop("ready", True) else "False"
    owner = changes.pop("owner", ("ReplicaSet", name.rsplit("-", 1)[0]))
    metadata: dict[str, Any] = {
        "name": name,
        "creationTimestamp": "2026-11-21T08:00:00Z",
        "ownerReferences": [{"kind": owner[0], "name": owner[1], "controller": True}],
    }
    if owner == ("", ""):
        del metadata["ownerReferences"]
    return {
        "metadata": metadata | changes.pop("metadata", {}),
        "spec": {"nodeName": "node-1", "containers": None},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
        | changes,
    }


class FakeKubernetes:
    def __init__(self) -> None:
        self.scales: dict[str, dict[str, Any]] = {}  # namespace/plural/name → Scale
        # By path of the collection. A collection that is not in here may not be listed.
        self.collections: dict[str, list[dict[str, Any]]] = {}
        self.pods: dict[str, list[dict[str, Any]]] = {}  # namespace → pods
        self.refusals: dict[str, tuple[int, str]] = {}  # part of a path → status, message
        self.hanging: set[str] = set()  # parts of a path that never answer
        self.token = "first"
        self.asked: list[str] = []
        self.url = ""

    def add(self, name: str, replicas: int, *pods: dict[str, Any]) -> None:
        self.scales[f"default/deployments/{name}"] = {
            "metadata": {"name": name, "resourceVersion": "41"},
            "spec": {"replicas": replicas} if replicas else {},
            "status": {"replicas": len(pods), "selector": f"app={name}"},
        }
        self.pods.setdefault("default", []).extend(pods)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"message": "Unauthorized"}, status=401)
        if any(part in request.path for part in self.hanging):
            import asyncio

            await asyncio.sleep(30)
        for part, (status, message) in self.refusals.items():
            if part in request.path:
                return web.json_response({"message": message}, status=status)
        parts = request.path.strip("/").split("/")
        if parts[-1] == "pods":
            return self._page(request, self.pods.get(parts[-2], []))
        if parts[-1] == "scale":
            scale = self.scales.get(f"{parts[-4]}/{parts[-3]}/{parts[-2]}")
            if scale is not None:
                return web.json_response(scale)
        if parts[-2:-1] == ["default"] or request.path in self.collections:
            return self._list(request)
        if request.path == "/apis/argoproj.io/v1alpha1":
            names = (
                {"kind": "Rollout", "name": "rollouts/status"},
                {"kind": "Rollout", "name": "rollouts"},
            )
            return web.json_response({"resources": names})
        return web.json_response({"message": f"{request.path} not found"}, status=404)

    def _list(self, request: web.Request) -> web.Response:
        items = self.collections.get(request.path)
        if items is None:
            return web.json_response({"message": f"{request.path} is forbidden"}, status=403)
        name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        found = [one for one in items if not name or one["metadata"]["name"] == name]
        return web.json_response({"metadata": {}, "items": found})

    def _page(self, request: web.Request, pods: list[dict[str, Any]]) -> web.Response:
        start = int(request.query.get("continue", "0"))
        more = {"continue": str(start + PAGE)} if start + PAGE < len(pods) else {}
        return web.json_response({"metadata": more, "items": pods[start : start + PAGE]})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeKubernetes]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig whose token is in a file, as clusters that rotate tokens have."""
        (folder / "token").write_text("first")
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [
                {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}}
            ],
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"tokenFile": str(folder / "token")}}],
        }
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))  # JSON is YAML
        return path
