"""The Kubernetes Engine API on loopback, as its reference documents it, for one node pool."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PATH = "/v1/projects/my-project/locations/us-central1-a/clusters/flowers/nodePools/gpu"


def error(code: int, status: str, message: str, *details: Mapping[str, Any]) -> web.Response:
    """google.rpc.Status as JSON over HTTP."""
    said = {"code": code, "message": message, "status": status, "details": list(details)}
    return web.json_response({"error": said}, status=code)


def busy() -> web.Response:
    """As GKE answers while another operation runs on the cluster."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "CLUSTER_ALREADY_HAS_OPERATION",
        "domain": "container.googleapis.com",
    }
    message = "Cluster is running incompatible operation operation-1731137433803-29e34938."
    return error(400, "FAILED_PRECONDITION", message, info)


@dataclass
class GkeApi:
    """What it answers, and what it was asked. `refusal` answers setSize instead."""

    pool: dict[str, Any] = field(
        default_factory=lambda: {
            "name": "gpu",
            "initialNodeCount": 1,
            "locations": ["us-central1-a"],
            "status": "RUNNING",
            "config": {"machineType": "a3-highgpu-8g"},
        }
    )
    look_refusal: web.Response | None = None
    refusal: web.Response | None = None
    operation: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def sizes(self) -> list[int]:
        return [body["nodeCount"] for method, _, body in self.asked if method == "POST"]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[GkeApi]:
        app = web.Application()
        app.router.add_get(PATH, self._look)
        app.router.add_post(f"{PATH}:setSize", self._set_size)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _look(self, request: web.Request) -> web.Response:
        await self._note(request)
        return self.look_refusal or web.json_response(self.pool)

    async def _set_size(self, request: web.Request) -> web.Response:
        await self._note(request)
        name = "operation-1731137433804-0000"
        begun = {"name": name, "operationType": "SET_NODE_POOL_SIZE", "status": "RUNNING"}
        return self.refusal or web.json_response({**begun, **self.operation})

    async def _note(self, request: web.Request) -> None:
        text = await request.text()
        self.asked.append((request.method, request.path, json.loads(text) if text else None))
        self.tokens.append(request.headers.get("Authorization", ""))
