"""Running until told to stop: signals, the HTTP side, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from autoscaler.run.app import App
from autoscaler.run.leadership import Leadership
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
            async with elected(app.leadership) as electing:
                await until_stopped(
                    app.loop.run, signals.stop, lambda: app.loop.ticking, beside=electing
                )
            if signals.received:
                log.info("stopped", signal=signals.received, ticks=app.board.ticks)
    finally:
        if server is not None:
            await server.close()


@contextlib.asynccontextmanager
async def elected(leadership: Leadership) -> AsyncIterator[asyncio.Future[None]]:
    """Competes meanwhile; at the end, when nothing is written any more, gives leadership up.

    Yields the competing itself, for one who watches that it goes on.
    """
    electing = asyncio.ensure_future(leadership.run())
    try:
        yield electing
    finally:
        electing.cancel()
        await asyncio.wait({electing})
        await leadership.release()


async def until_stopped(
    run: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    ticking: Callable[[], bool],
    grace: float = GRACE,
    beside: asyncio.Future[None] | None = None,
) -> None:
    """Run until it ends or `stop` is set; then let a tick under way finish, for `grace` seconds.

    A tick that does not finish is abandoned. Nothing is torn by that: state and journal are
    written whole or not at all. What goes on `beside` must not end before: a daemon that no longer
    competes would stand by for ever, so its end is ours, with its exception.
    """
    running = asyncio.ensure_future(run())
    stopping = asyncio.ensure_future(stop.wait())
    watched = {running, stopping} | ({beside} if beside is not None else set())
    try:
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        ends = asyncio.get_running_loop().time() + grace
        while not running.done() and ticking() and asyncio.get_running_loop().time() < ends:
            await asyncio.wait({running}, timeout=0.05)
    finally:
        stopping.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    if beside is not None and beside.done():
        beside.result()
        raise RuntimeError("the election ended although the daemon goes on")
