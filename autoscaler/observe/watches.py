"""The watches of one reader: begun when first needed, waited for once, ended together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from autoscaler.clock import Clock
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient
    from autoscaler.kube.watch import WatchCache

# Twice the 30 s after which a healthy watch is renewed: older than that is not known to be true.
STALE_AFTER = 60.0


class Watches:
    """By path: two watches of one path would only cost twice."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._caches: dict[str, WatchCache[Any]] = {}

    def follow(
        self, path: str, trim: Callable[[Any], Any], query: Mapping[str, str] | None = None
    ) -> WatchCache[Any]:
        from autoscaler.kube.watch import WatchCache

        known = self._caches.get(path)
        if known is not None:
            return known
        cache: WatchCache[Any] = WatchCache(
            self._client, path, trim, clock=self._clock, query=query
        )
        self._caches[path] = cache
        self._tasks.add(asyncio.create_task(cache.run(), name=f"watch {path}"))
        return cache

    def get(self, path: str) -> WatchCache[Any] | None:
        return self._caches.get(path)

    async def first_answers(self, within: float) -> None:
        """Until each new watch was answered or refused, at most so many seconds."""
        fresh = [one for one in self._caches.values() if not one.synced and one.problem is None]
        await asyncio.gather(*(one.first_answer(within) for one in fresh))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._caches.clear()


def unread(cache: WatchCache[Any] | None) -> str | None:
    """Why what a watch holds is not known to be true; None where it is."""
    if cache is None:
        return "not read yet"
    if not cache.synced:
        return cache.problem or cache.why()
    if cache.age > STALE_AFTER:
        return f"{cache.why()}; older than {format_duration(STALE_AFTER)} is not trusted"
    return None


def gone(cache: WatchCache[Any] | None) -> bool:
    """The kind itself is not there (any more): there is none of it, and that is certain."""
    return cache is not None and cache.status == 404
