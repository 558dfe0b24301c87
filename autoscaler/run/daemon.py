"""Running until told to stop: signals, the HTTP side, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from autoscaler.run.app import App
from autoscaler.run.signals import Signals

# Kubernetes kills 30 s after SIGTERM; a tick under way gets this long to end by itself.
GRACE = 5.0


async def serve_until_stopped(app: App, log: Any, listen: tuple[str, int] | None) -> None:
    """Tick on the beat until SIGTERM or SIGINT; raises ListenError when the port is taken."""
    from autoscaler.serve.server import start

    server = None
    if listen is not None:
        server = await start(app.board, app.telemetry.registry, app.clock, *listen)
        log.info("listening", address=f"http://{server.host}:{server.port}/")
    try:
        if app.metrics is not None:
            await app.metrics.open()
        with Signals(reload=app.force_reload) as signals:
            await until_stopped(app.loop.run, signals.stop, lambda: app.loop.ticking)
            if signals.received:
                log.info("stopped", signal=signals.received, ticks=app.board.ticks)
    finally:
        if server is not None:
            await server.close()


async def until_stopped(
    run: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    ticking: Callable[[], bool],
    grace: float = GRACE,
) -> None:
    """Run until it ends or `stop` is set; then let a tick under way finish, for `grace` seconds.

    A tick that does not finish is abandoned. Nothing is torn by that: state and journal are
    written whole or not at all.
    """
    running = asyncio.ensure_future(run())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        ends = asyncio.get_running_loop().time() + grace
        while not running.done() and ticking() and asyncio.get_running_loop().time() < ends:
            await asyncio.wait({running}, timeout=0.05)
    finally:
        stopping.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
