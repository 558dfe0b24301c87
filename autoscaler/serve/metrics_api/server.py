"""The listener: connections that are bounded in number, in bytes and in time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from aiohttp import web

from autoscaler.clock import Clock
from autoscaler.model import Decision, Observation, Policy, Target
from autoscaler.serve.board import Verdict
from autoscaler.serve.metrics_api.answers import Answers
from autoscaler.serve.metrics_api.catalog import Catalog
from autoscaler.serve.metrics_api.ports import Gate
from autoscaler.serve.metrics_api.routes import Routes, status_response
from autoscaler.serve.metrics_api.views import TargetLabels, build
from autoscaler.serve.server import ListenError

# A selector of a few hundred names fits; the aggregator adds its headers to the client's.
MAX_LINE = 16 * 1024
MAX_FIELD = 16 * 1024
MAX_FIELDS = 128
MAX_CONNECTIONS = 512
# Without a client certificate (whoever reaches the port): the aggregator must find room.
MAX_STRANGERS = 256
# Seconds for the handshake; from then to the end of the first request's headers; between requests.
HANDSHAKE = 10.0
FIRST_REQUEST = 10.0
IDLE = 120.0  # Go's client drops idle connections after 90 s
LINGER = 5.0  # for the rest of a body that nobody reads
CLOSE_WITHIN = 2.0


Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """aiohttp's own, with a deadline for the first request and a Status for broken HTTP."""

    __slots__ = ("_first",)
    _first: asyncio.TimerHandle | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._first = None
        most = MAX_CONNECTIONS if _certified(transport) else MAX_STRANGERS
        if isinstance(self._manager, Listener) and len(self._manager.open) > most:
            self.force_close()
            return
        self._first = self._loop.call_later(FIRST_REQUEST, self._overdue)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._first is not None:
            self._first.cancel()
        super().connection_lost(exc)

    def _overdue(self) -> None:
        """Later ones fall under the keep-alive timeout, which runs while they are incomplete."""
        if self._request_count == 0:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer is half sent")
        said = " ".join((message or str(exc) or "broken request").split())[:200]
        response = status_response(status, f"not a request that can be read: {said}")
        response.force_close()
        return response


def _certified(transport: asyncio.BaseTransport) -> bool:
    """Over plain HTTP, which only tests have, everybody is."""
    tls = transport.get_extra_info("ssl_object")
    return tls is None or tls.getpeercert(binary_form=True) is not None


class Listener(web.Server):
    """Makes the connections, and knows which are open until their sockets are closed."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(
            handler,
            access_log=None,
            keepalive_timeout=IDLE,
            lingering_time=LINGER,
            max_line_size=MAX_LINE,
            max_field_size=MAX_FIELD,
            max_headers=MAX_FIELDS,
        )
        self.open: dict[web.RequestHandler, asyncio.Transport] = {}
        self._empty = asyncio.Event()

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self.open[handler] = transport
        super().connection_made(handler, transport)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        super().connection_lost(handler, exc)
        self.open.pop(handler, None)
        if not self.open:
            self._empty.set()

    async def end(self) -> None:
        """Requests under way may finish; who does not say goodbye in time is cut off."""
        self.pre_shutdown()
        await self.shutdown(CLOSE_WITHIN)
        for patience in (CLOSE_WITHIN, CLOSE_WITHIN):
            if not self.open:
                return
            self._empty.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._empty.wait()
            for transport in list(self.open.values()):
                transport.abort()


class MetricsApi:
    """The whole room: publish what each tick came to; answer until closed.

    `now` of the clock decides what is stale. Everything runs on the loop that calls `start`,
    but for what is rendered ahead of a view.
    """

    def __init__(
        self,
        gate: Gate,
        clock: Clock,
        *,
        catalog: Catalog | None = None,
        live: Callable[[], Verdict] = lambda: Verdict(True, ""),
        ready: Callable[[], Verdict] = lambda: Verdict(True, ""),
        told: Callable[[str, int, float], None] = lambda *_: None,
        broken: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self._catalog = catalog or Catalog()
        self.answers = Answers(clock.now)
        self._routes = Routes(self.answers, gate, live, ready, told, broken)
        self._listener: Listener | None = None
        self._server: asyncio.Server | None = None
        self.host = ""
        self.port = 0

    def publish(
        self,
        at: float,
        policies: Sequence[Policy],
        observations: Mapping[str, Observation],
        decisions: Sequence[Decision],
        labels: Mapping[Target, TargetLabels],
    ) -> None:
        """After each tick; a target without labels can only be asked for without labelSelector."""
        self.answers.publish(build(at, policies, observations, decisions, labels, self._catalog))

    def listener(self) -> Listener:
        """The factory of connections, for whoever accepts them (`access.tls`, or `start`)."""
        return Listener(self._routes.handle)

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Listen (port 0: any free one, see `port`); raises ListenError. None: plain HTTP."""
        self._listener = self.listener()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._listener,
                host,
                port,
                ssl=tls,
                backlog=MAX_CONNECTIONS,
                ssl_handshake_timeout=HANDSHAKE if tls else None,
                ssl_shutdown_timeout=CLOSE_WITHIN if tls else None,
            )
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ListenError(
                f"the metrics API cannot listen on {host}:{port}: {reason}; type another "
                "--metrics-api HOST:PORT"
            ) from error
        self.host = host
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def connections(self) -> int:
        """Open ones, of the listener that `start` made."""
        return len(self._listener.open) if self._listener else 0

    async def close(self) -> None:
        """Requests under way have two seconds."""
        await self.answers.close()
        if self._server is None or self._listener is None:
            return
        self._server.close()
        await self._listener.end()
        await self._server.wait_closed()
