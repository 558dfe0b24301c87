"""A scripted API server on loopback: lists in pages, watches that resume, and every fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from autoscaler.kube.client import KubeClient

Object = dict[str, Any]


class Review:
    """A POST that the test answers: `answer(spec)` gives the status; `asked` are the specs."""

    def __init__(self, answer: Callable[[Object], Object]) -> None:
        self.answer = answer
        self.asked: list[Object] = []
        self.refusal: tuple[int, str] | None = None
        self.gate = asyncio.Event()
        self.gate.set()


class ScriptedApi:
    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Object]] = {}  # collection path → name → object
        self.version = 100
        self.oldest = 0  # resourceVersions before this one are forgotten: 410
        self.page = 500
        self.away = False  # connections end without a byte
        self.refusals: dict[tuple[str, str], tuple[int, str]] = {}  # (verb, part of path) → …
        self.posts: dict[str, Review] = {}
        self.asked: list[tuple[str, str]] = []  # verb, path and query
        self.cut_watches = False  # every watch ends at once
        self._log: dict[str, list[tuple[int, Object]]] = {}
        self._open: dict[str, list[asyncio.Queue[bytes | None]]] = {}
        self.url = ""
        self.token = "secret"

    # --- what the cluster does ---

    def put(self, path: str, item: Object) -> Object:
        """Create or change; watchers hear of it."""
        known = self.objects.setdefault(path, {})
        name = item["metadata"]["name"]
        kind = "MODIFIED" if name in known else "ADDED"
        known[name] = item
        self._happen(path, kind, item)
        return item

    def delete(self, path: str, name: str) -> None:
        self._happen(path, "DELETED", self.objects[path].pop(name))

    def _happen(self, path: str, kind: str, item: Object) -> None:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        event = {"type": kind, "object": json.loads(json.dumps(item))}
        self._log.setdefault(path, []).append((self.version, event))
        self.send(path, event)

    def bookmark(self, path: str) -> None:
        self.version += 1
        metadata = {"resourceVersion": str(self.version)}
        self.send(path, {"type": "BOOKMARK", "object": {"metadata": metadata}})

    def send(self, path: str, event: Object) -> None:
        self.send_raw(path, json.dumps(event).encode() + b"\n")

    def send_raw(self, path: str, line: bytes) -> None:
        for queue in self._open.get(path, ()):
            queue.put_nowait(line)

    def forget(self) -> None:
        """Compaction: nobody can resume from before now."""
        self.version += 1
        self.oldest = self.version
        self._log.clear()

    def drop(self) -> None:
        """All watches break, without an end of the chunked body."""
        for queues in self._open.values():
            for queue in queues:
                queue.put_nowait(None)

    def watching(self, path: str) -> int:
        return len(self._open.get(path, ()))

    def count(self, verb: str, part: str = "") -> int:
        return sum(asked[0] == verb and part in asked[1] for asked in self.asked)

    # --- how it answers ---

    async def answer(self, request: web.Request) -> web.StreamResponse:
        watch = request.query.get("watch") == "true"
        collection = request.path in self.objects
        verb = "watch" if watch else "list" if collection and request.method == "GET" else "other"
        verb = verb if request.method == "GET" else request.method
        self.asked.append((verb, request.path_qs))
        if self.away:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        for (refused, part), (status, message) in self.refusals.items():
            if refused == verb and part in request.path:
                return _status(status, message)
        if request.method != "GET":
            return await self._write(request)
        if watch:
            return await self._watch(request)
        if collection:
            return self._list(request)
        folder, _, name = request.path.rpartition("/")
        found = self.objects.get(folder, {}).get(name)
        return web.json_response(found) if found else _status(404, f"{name} not found")

    def _list(self, request: web.Request) -> web.Response:
        items = self._selected(request)
        token = request.query.get("continue", "0@")
        start, _, version = token.partition("@")
        if version and int(version) < self.oldest:
            return _status(410, "The provided continue parameter is too old")
        first = int(start)
        metadata = {"resourceVersion": version or str(self.version)}
        if first + self.page < len(items):
            metadata["continue"] = f"{first + self.page}@{metadata['resourceVersion']}"
        return web.json_response({"metadata": metadata, "items": items[first : first + self.page]})

    def _selected(self, request: web.Request) -> list[Object]:
        items = list(self.objects[request.path].values())
        field = request.query.get("fieldSelector")
        if field:
            name = field.removeprefix("metadata.name=")
            items = [item for item in items if item["metadata"]["name"] == name]
        return items

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        since = int(request.query["resourceVersion"] or 0)
        response = web.StreamResponse()
        await response.prepare(request)
        if since < self.oldest:
            gone = {"code": 410, "message": "too old resource version"}
            await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
            return response
        if self.cut_watches:
            return response
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        for version, event in self._log.get(request.path, ()):
            if version > since:
                queue.put_nowait(json.dumps(event).encode() + b"\n")
        self._open.setdefault(request.path, []).append(queue)
        try:
            while (line := await queue.get()) is not None:
                if line == b"END":
                    return response
                await response.write(line)
            assert request.transport is not None
            request.transport.abort()
        finally:
            self._open[request.path].remove(queue)
        return response

    async def _write(self, request: web.Request) -> web.Response:
        body = await request.json()
        review = self.posts.get(request.path)
        if review is not None:
            review.asked.append(body["spec"])
            await review.gate.wait()
            if review.refusal is not None:
                return _status(*review.refusal)
            return web.json_response(body | {"status": review.answer(body["spec"])}, status=201)
        if request.method == "POST":
            name = body["metadata"]["name"]
            if name in self.objects.get(request.path, {}):
                return _status(409, f"{name} already exists")
            return web.json_response(self.put(request.path, body), status=201)
        return self._patch(request.path, body)

    def _patch(self, path: str, body: Object) -> web.Response:
        folder, _, name = path.rpartition("/")
        found = self.objects.get(folder, {}).get(name)
        if found is None:
            return _status(404, f"{name} not found")
        wanted = (body.get("metadata") or {}).pop("resourceVersion", None)
        if wanted is not None and wanted != found["metadata"]["resourceVersion"]:
            return _status(409, "the object has been modified")
        return web.json_response(self.put(folder, merge(found, body)))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedApi]:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            for queues in self._open.values():
                for queue in queues:
                    queue.put_nowait(b"END")
            await runner.cleanup()

    async def client(self, folder: Path) -> KubeClient:
        config = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"tokenFile": str(folder / "token")}}],
        }
        (folder / "token").write_text(self.token)
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return await KubeClient.connect(path)


def merge(found: Object, patch: Object) -> Object:
    """RFC 7386."""
    merged = dict(found)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = merge(merged.get(key) or {}, value)
        else:
            merged[key] = value
    return merged


def _status(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)


async def eventually(check: Callable[[], object], within: float = 30.0) -> None:
    """Until `check` is true; the limit only ends a test that has failed."""
    async with asyncio.timeout(within):
        while not check():  # noqa: ASYNC110 -- any condition, not one event
            await asyncio.sleep(0.005)
