"""Answers remembered for some seconds, asked for once by however many want them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from autoscaler.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# A failure counts this long: an API server that hangs costs one request its deadline, not all.
FAILED_FOR = 1.0


class Unavailable(Exception):  # noqa: N818 -- a state of the API server, not an error of the code
    """Nobody could answer; the reason in words."""


class Remembered(Generic[K, V]):
    """At most `size` answers, the oldest go first."""

    def __init__(self, clock: Clock, seconds: float, size: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._size = size
        self._known: OrderedDict[K, tuple[float, V | Unavailable]] = OrderedDict()
        self._asked: dict[K, asyncio.Task[V]] = {}

    def __len__(self) -> int:
        return len(self._known)

    async def get(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """Raises Unavailable, as `ask` does."""
        known = self._known.get(key)
        if known is not None and self._clock.monotonic() < known[0]:
            if isinstance(known[1], Unavailable):
                raise Unavailable(*known[1].args)
            return known[1]
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(self._ask(key, ask))
            task.add_done_callback(_retrieved)
        # One who hangs up must not take the answer away from the others.
        return await asyncio.shield(task)

    async def _ask(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        try:
            answer = await ask()
        except Unavailable as error:
            self._keep(key, error, min(FAILED_FOR, self._seconds))
            raise
        else:
            self._keep(key, answer, self._seconds)
            return answer
        finally:
            del self._asked[key]

    def _keep(self, key: K, answer: V | Unavailable, seconds: float) -> None:
        self._known[key] = self._clock.monotonic() + seconds, answer
        self._known.move_to_end(key)
        while len(self._known) > self._size:
            self._known.popitem(last=False)


def _retrieved(task: asyncio.Task[V]) -> None:
    """All who asked may have hung up: an exception that nobody reads would be a warning."""
    if not task.cancelled():
        task.exception()
