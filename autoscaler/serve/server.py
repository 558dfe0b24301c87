"""The HTTP side: /livez, /readyz, /metrics, /v1/decisions and the page on /."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from autoscaler.clock import Clock
from autoscaler.serve.board import Board, Verdict, alive, ready
from autoscaler.serve.page import render
from autoscaler.wire import to_json

# Nobody sends us a body, and headers of a scraper or a probe fit in 1 kB.
MAX_BODY = 1024
MAX_HEADER = 8190
KEEPALIVE = 75.0  # longer than a usual scrape interval, so that a scraper keeps its connection


class ListenError(Exception):
    """The port cannot be had; the text says which one, why, and what to type."""


class Server:
    """Serves a board until it is closed."""

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        self._runner = runner
        self.host = host
        self.port = port

    async def close(self) -> None:
        await self._runner.cleanup()


async def start(
    board: Board, registry: CollectorRegistry, clock: Clock, host: str, port: int
) -> Server:
    """Listen on host:port (port 0: any free one, see `Server.port`); raises ListenError."""
    runner = web.AppRunner(
        application(board, registry, clock),
        access_log=None,
        keepalive_timeout=KEEPALIVE,
        max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
        shutdown_timeout=2.0,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=128).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        reason = getattr(error, "strerror", None) or str(error)
        raise ListenError(
            f"cannot listen on {host}:{port}: {reason}; type --listen {host}:{port + 1}, "
            "or --listen none to serve nothing"
        ) from error
    return Server(runner, host, runner.addresses[0][1])


def application(board: Board, registry: CollectorRegistry, clock: Clock) -> web.Application:
    async def livez(_: web.Request) -> web.Response:
        return _verdict(alive(board, clock.monotonic()))

    async def readyz(_: web.Request) -> web.Response:
        return _verdict(ready(board))

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def page(_: web.Request) -> web.Response:
        text = render(board, clock.now(), clock.monotonic())
        return web.Response(text=text, content_type="text/html", headers=PAGE_HEADERS)

    async def decisions(_: web.Request) -> web.Response:
        body = b'{"at":%b,"decisions":[%b]}\n' % (
            to_json(board.tick_at),
            b",".join(to_json(decision) for decision in board.decisions),
        )
        return web.Response(body=body, content_type="application/json")

    app = web.Application(client_max_size=MAX_BODY)
    routes: dict[str, Callable[[web.Request], object]] = {
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": metrics,
        "/v1/decisions": decisions,
        "/": page,
    }
    for path, handler in routes.items():
        app.router.add_get(path, handler)  # type: ignore[arg-type]
    return app


PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


def _verdict(verdict: Verdict) -> web.Response:
    return web.Response(status=200 if verdict.good else 503, text=verdict.reason + "\n")
