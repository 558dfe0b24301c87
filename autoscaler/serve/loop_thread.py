"""An event loop on a thread of its own: what runs there does not wait for a tick to end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

START_WITHIN = 5.0
JOIN_WITHIN = 5.0
LOOK_EVERY = 1.0


class LoopThread:
    """From `start` to `close`. `broken` hears, on that thread, of what nobody there caught.

    The thread is a daemon: one that hangs must not keep the process from its end.
    """

    def __init__(self, name: str, broken: Callable[[BaseException], None]) -> None:
        self._name = name
        self._broken = broken
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started = threading.Event()

    def start(self) -> None:
        self._thread.start()
        if not self._started.wait(START_WITHIN):
            raise RuntimeError(f"thread {self._name} did not start within {START_WITHIN:.0f} s")

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it there and wait here; a cancelled wait cancels it there."""
        if self._loop is None or not self.alive:
            coroutine.close()
            raise RuntimeError(f"thread {self._name} does not run")
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))
        try:
            while not future.done():
                await asyncio.wait({future}, timeout=LOOK_EVERY)
                if not future.done() and not self.alive:  # nobody will ever answer
                    raise RuntimeError(f"thread {self._name} ended meanwhile")
        finally:
            future.cancel()
        return future.result()

    def soon(self, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call it there, in the order of these calls; nobody waits. Nothing once it has ended."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: work(*args, **kwargs))

    async def close(self) -> None:
        """Cancels what is left there, and waits for the thread's end for five seconds."""
        self.soon(self._stop.set)
        if self.alive:
            await asyncio.to_thread(self._thread.join, JOIN_WITHIN)

    def _run(self) -> None:
        try:
            asyncio.run(self._until_stopped())
        except BaseException as error:  # noqa: BLE001 -- a thread's end is otherwise silent
            self._broken(error)

    async def _until_stopped(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._uncaught)
        self._started.set()
        await self._stop.wait()

    def _uncaught(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._broken(context.get("exception") or RuntimeError(context["message"]))
