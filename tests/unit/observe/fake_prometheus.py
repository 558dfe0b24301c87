"""A Prometheus-shaped HTTP server of the tests: answers by the question's name, and faults."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from autoscaler.model import Windows
from autoscaler.observe.gpu import gpu_queries
from autoscaler.observe.triton import queries
from autoscaler.observe.windows import windows_for

NOW = 1_795_248_926.0
INTERVAL = 15.0
WINDOWS = windows_for(INTERVAL)
POD = ("default", "flower-5cf8b78894-2qqz8")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Rows = list[dict[str, Any]]


def row(value: float | str, **labels: str) -> dict[str, Any]:
    """One series; namespace and pod are POD's unless said otherwise."""
    labels = {"namespace": POD[0], "pod": POD[1]} | labels
    return {"metric": labels, "value": [NOW, str(value)]}


def model(value: float | str, name: str = "bert", **labels: str) -> dict[str, Any]:
    return row(value, model=name, **labels)


def vector(rows: Rows, **extra: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "vector", "result": rows}, **extra}


def busy(**changed: Rows) -> dict[str, Rows]:
    """One pod, one model: 20 requests/s that each wait 25 ms; `_` for the names' spaces."""
    rows = {
        "completions": [model(20)],
        "completions slow": [model(18)],
        "queueing": [model(500_000)],
        "queueing slow": [model(360_000)],
        "failures": [],
        "pending": [model(4)],
        "pending range": [model(1, _part="floor"), model(9, _part="peak")],
        "pending change": [],
        "sample times": [row(NOW - 4)],
        "duty cycle": [row(0.6, source="util")],
        "power": [row(0.5, source="triton")],
    }
    return rows | {name.replace("_", " "): value for name, value in changed.items()}


class FakePrometheus:
    """`asked` counts every question; `faults` replace the answer to a name, "*" to all."""

    def __init__(self, rows: Mapping[str, Rows], windows: Windows = WINDOWS) -> None:
        self.rows = dict(rows)
        self.own: dict[str, Any] = {}  # PromQL → whole answer
        self.faults: dict[str, Handler] = {}
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.times: list[str | None] = []
        self.url = ""
        texts = queries(windows) | gpu_queries(windows)
        self._names = {text: name for name, text in texts.items()}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        text = request.query["query"]
        name = self._names.get(text, text)
        self.asked.append(name)
        self.headers.append(request.headers)
        self.times.append(request.query.get("time"))
        fault = self.faults.get(name) or self.faults.get("*")
        if fault is not None:
            return await fault(request)
        if name in self.own:
            return web.json_response(self.own[name])
        return web.json_response(vector(self.rows.get(name, [])))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakePrometheus]:
        app = web.Application()
        app.router.add_get("/api/v1/query", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()


def says(body: str | bytes, status: int = 200) -> Handler:
    """Always this body."""

    async def handle(_: web.Request) -> web.StreamResponse:
        raw = body.encode() if isinstance(body, str) else body
        return web.Response(body=raw, status=status, content_type="application/json")

    return handle


def refuses(status: int, kind: str, error: str) -> Handler:
    """Prometheus' own way to refuse."""
    return says(json.dumps({"status": "error", "errorType": kind, "error": error}), status)
