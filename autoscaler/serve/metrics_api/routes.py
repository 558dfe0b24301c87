"""From a request to its answer: method, Accept, gate, and then bytes that lie ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import hdrs, web

from autoscaler.serve.board import Verdict
from autoscaler.serve.metrics_api import documents
from autoscaler.serve.metrics_api.answers import Answer, Answers, as_answer
from autoscaler.serve.metrics_api.catalog import Catalog
from autoscaler.serve.metrics_api.ports import Denied, Gate
from autoscaler.serve.metrics_api.requests import NO_PATH, Plan, Refused, read, wants
from autoscaler.serve.metrics_api.views import MetricsView
from autoscaler.wire import to_json

# Of targets whose plan is remembered: a few per HPA.
MAX_PLANS = 2048
MAX_TARGET = 1024
# A client has this long to take a body off the wire; then its connection is cut.
SEND_WITHIN = 30.0
# What asyncio's and the kernel's buffers take at once needs no watching.
WATCHED = 64 * 1024

JSON = {
    hdrs.CONTENT_TYPE: "application/json",
    hdrs.CACHE_CONTROL: "no-cache, private",
    hdrs.SERVER: "triton-autoscaler",
}
GZIPPED = JSON | {hdrs.CONTENT_ENCODING: "gzip", hdrs.VARY: "Accept-Encoding"}
PLAIN = JSON | {hdrs.CONTENT_TYPE: "text/plain; charset=utf-8"}


class Routes:
    """Called for each request. `told` hears what was asked for, the code and the seconds."""

    def __init__(
        self,
        answers: Answers,
        gate: Gate,
        live: Callable[[], Verdict],
        ready: Callable[[], Verdict],
        told: Callable[[str, int, float], None],
        broken: Callable[[Exception], None],
    ) -> None:
        self._answers = answers
        self._gate = gate
        self._verdicts = {"livez": live, "healthz": live, "readyz": ready}
        self._told = told
        self._broken = broken
        self._plans: dict[str, Plan] = {}
        self._documents: dict[tuple[str, ...], Answer] = {}
        self._documents_of: MetricsView | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        began = loop.time()
        kind, response = await self._respond(request)
        self._told(kind, response.status, loop.time() - began)
        if response.content_length and response.content_length > WATCHED:
            await _send(request, response)
        return response

    async def _respond(self, request: web.BaseRequest) -> tuple[str, web.Response]:
        target = request.raw_path
        plan = self._plans.get(target)
        try:
            if request.method != "GET":
                return "refused", _not_allowed(request.method)
            if plan is None:
                plan = read(target)
            if plan.kind == "health":
                return plan.kind, self._health(plan)
            await self._gate.admit(request, plan.attributes)
            self._remember(target, plan)
            answer = self._answer(plan, wants(request.headers.get(hdrs.ACCEPT, "")))
        except Denied as denied:
            return "refused", _status(denied.status, denied.message)
        except Refused as refused:
            return "refused", _status(400, str(refused))
        except Exception as error:  # noqa: BLE001 -- contained: one request, named to the log
            self._broken(error)
            return "broken", _status(500, "an internal error, which the log of the daemon names")
        return plan.kind, _respond(answer, request.headers.get(hdrs.ACCEPT_ENCODING, ""))

    def _remember(self, target: str, plan: Plan) -> None:
        """Only what was admitted: strangers fill no memory."""
        if target not in self._plans and len(target) <= MAX_TARGET:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[target] = plan

    def _answer(self, plan: Plan, wanted: str) -> Answer:
        if wanted == "aggregated" and plan.kind == "discovery":
            # The aggregator then reads /apis/G/V. A 200 whose document lacked a group would
            # unpublish that group.
            return _said(404, "no aggregated discovery here: read /apis/GROUP/VERSION")
        if wanted != "json":
            return _said(406, "only application/json is served")
        if plan.query is not None:
            return self._answers.answer(plan.query)
        if plan.kind == "discovery":
            return self._discovery(plan.names)
        if plan.kind == "decision":
            return self._decision(*plan.names)
        return _said(404, NO_PATH)

    def _health(self, plan: Plan) -> web.Response:
        """Anybody may ask, so nothing is told; the reason is on the daemon's own page."""
        good = self._verdicts[plan.names[0]]().good
        text = "ok" if good else "not ok"
        return web.Response(status=200 if good else 503, body=text.encode(), headers=PLAIN)

    def _discovery(self, names: tuple[str, ...]) -> Answer:
        """Never waits: before the first tick the static list is as good."""
        view = self._answers.view or _EMPTY
        if view is not self._documents_of:
            self._documents, self._documents_of = {}, view
        if names not in self._documents:
            match names:
                case ():
                    found = as_answer(200, documents.groups())
                case (group,) if group in documents.VERSIONS:
                    found = as_answer(200, documents.group(group))
                case (group, version) if version in documents.VERSIONS.get(group, ()):
                    found = as_answer(200, documents.resources(group, version, view))
                case _:
                    return _said(404, NO_PATH)
            self._documents[names] = found
        return self._documents[names]

    def _decision(self, namespace: str, name: str) -> Answer:
        """The decision as it is journaled, for scalers that poll."""
        view = self._answers.view
        if view is None:
            return _said(503, "nothing was decided yet: the first tick is still under way")
        decision = view.decisions.get(f"{namespace}/{name}")
        if decision is None:
            return _said(404, f'policies "{name}" not found in namespace {namespace}')
        stale = view.stale(decision.at, self._answers.now())
        if stale is not None:
            return _said(503, f"the decision of {namespace}/{name} is {stale}")
        return Answer(200, to_json(decision) + b"\n")


_EMPTY = MetricsView(0.0, Catalog())


def status_response(code: int, message: str) -> web.Response:
    """For what never becomes a request: broken HTTP, headers too long."""
    return _status(code, message)


def _said(code: int, message: str) -> Answer:
    return Answer(code, documents.status(code, message))


def _status(code: int, message: str) -> web.Response:
    return web.Response(status=code, body=documents.status(code, message), headers=JSON)


def _not_allowed(method: str) -> web.Response:
    response = _status(405, f"{method[:20]} is not supported: metrics are read with GET")
    response.headers[hdrs.ALLOW] = "GET"
    return response


def _respond(answer: Answer, accept_encoding: str) -> web.Response:
    if answer.compressed is not None and "gzip" in accept_encoding:
        return web.Response(status=answer.code, body=answer.compressed, headers=GZIPPED)
    return web.Response(status=answer.code, body=answer.body, headers=JSON)


async def _send(request: web.BaseRequest, response: web.Response) -> None:
    """Who takes too long is cut off: what waits for it is memory."""
    try:
        async with asyncio.timeout(SEND_WITHIN):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError(f"took over {SEND_WITHIN:.0f} s to read an answer") from None
