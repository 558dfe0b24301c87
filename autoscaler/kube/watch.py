"""List and watch: the objects of one path kept in memory, trimmed to what is used of them."""

from __future__ import annotations

import asyncio
import math
import random
import sys
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import orjson

from autoscaler.clock import Clock
from autoscaler.kube.client import KubeClient, KubeError
from autoscaler.units import format_duration

T = TypeVar("T")
Key = tuple[str, str]  # namespace, name

PAGE = "500"
PAGE_WITHIN = 15.0
# The server ends each watch after so long, and the next one resumes where it ended: a connection
# that died without a word is found out 35 s after its last byte, and a quiet one is fresh.
WATCH_SECONDS = 30
SILENCE = WATCH_SECONDS + 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
GONE = 410


class WatchCache(Generic[T]):
    """What `path` lists, as `trim` keeps it; followed by `run` until that is cancelled.

    `items` is replaced at a relist and changed in place by events, always between two awaits of
    the reader. `trim` may return None for an object of no interest. `changed` is called after
    each change. Nothing here raises for what the API server does: see `problem` and `age`.
    """

    def __init__(
        self,
        client: KubeClient,
        path: str,
        trim: Callable[[Any], T | None],
        *,
        clock: Clock,
        query: Mapping[str, str] | None = None,
        changed: Callable[[], None] = lambda: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.path = path
        self.items: dict[Key, T] = {}
        self.version = 0  # grows with each change of `items`
        self.synced = False  # a whole list has been read at least once
        self.problem: str | None = None  # why there is no contact now, in words
        self.status = 0  # HTTP's, of `problem`
        self.unreadable = 0  # objects that `trim` could not make sense of
        self._client = client
        self._trim = trim
        self._clock = clock
        self._query = dict(query or {})
        self._changed = changed
        self._jitter = jitter
        self._contact = -math.inf
        self._resume: str | None = None  # resourceVersion; None: list first
        self._failures = 0
        self._answered = asyncio.Event()

    @property
    def age(self) -> float:
        """Seconds since the API server was last heard of; infinite before the first time."""
        return self._clock.monotonic() - self._contact

    async def first_answer(self, within: float) -> bool:
        """Wait until the first list was read or refused, at most so many seconds (of the event
        loop's clock); whether it was read.
        """
        try:
            async with asyncio.timeout(within):
                await self._answered.wait()
        except TimeoutError:
            return False
        return self.synced

    def why(self) -> str:
        """The state of the contact in words, for a reason that a reader gives."""
        since = "never" if self.age == math.inf else f"{format_duration(round(self.age))} ago"
        said = f" ({self.problem})" if self.problem else ""
        return f"the API server was last heard of {since} on {self.path}{said}"

    async def run(self) -> None:
        """Follow until cancelled: list, watch, resume; back off where the server fails."""
        while True:
            try:
                if self._resume is None:
                    await self._list()
                await self._watch()
            except KubeError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 -- contained: a strange answer, or our bug
                self._failed(KubeError(f"{self.path} cannot be followed: {error!r}"))
            else:
                continue
            await self._clock.sleep(self._pause())

    def _failed(self, error: KubeError) -> None:
        self._failures += 1
        self.status = error.status
        if error.status == GONE:
            # Normal after a long absence: the server has forgotten the changes since.
            self._resume = None
            return
        self.problem = str(error)
        self._answered.set()
        # 400, 403, 404: not of this moment, and what is known may be wrong. A list says more,
        # and where only watching is forbidden, listing again and again is what is left.
        if 400 <= error.status <= 499 and error.status != 429:
            self._resume = None

    def _pause(self) -> float:
        """0, then 0.5 s, 1 s, … 15 s, each shortened by up to half: replicas must not march."""
        if self.status == GONE and self._failures == 1:
            return 0.0
        longest = min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10), LONGEST_PAUSE)
        return longest * (1.0 - self._jitter() / 2)

    async def _list(self) -> None:
        """All pages, then everything at once: nobody ever reads half a list."""
        items: dict[Key, T] = {}
        query = self._query | {"limit": PAGE}
        while True:
            page = await self._client.get(self.path, query, within=PAGE_WITHIN)
            self._contact = self._clock.monotonic()
            if not isinstance(page, dict):
                raise KubeError(f"{self._client.host} answered {self.path} with no list")
            for item in page.get("items") or ():
                self._put(items, item)
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        self.items = items
        self._resume = str(metadata.get("resourceVersion") or "")
        self.synced = True
        if self.status not in {403, 405}:  # forbidden to watch: that remains to be said
            self.problem = None
        self._answered.set()
        self._notify()

    async def _watch(self) -> None:
        query = self._query | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._resume or "",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        opened = self._clock.monotonic()
        heard = False
        async with aclosing(self._client.lines(self.path, query, silence=SILENCE)) as lines:
            async for line in lines:
                self._contact = self._clock.monotonic()
                self.problem, self.status = None, 0
                if line.strip():
                    self._event(line)
                    heard = True
                    self._failures = 0
        if not heard and self._clock.monotonic() - opened < 1.0:
            # Cut at once: to resume without a pause would be a busy loop against the server.
            raise KubeError(f"{self._client.host} ended the watch of {self.path} at once")
        self._contact = self._clock.monotonic()
        self._failures = 0

    def _event(self, line: bytes) -> None:
        try:
            event = orjson.loads(line)
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                raise KubeError(str(item.get("message")), int(item.get("code") or 0))
            metadata = item["metadata"]
            version = str(metadata["resourceVersion"])
        except (ValueError, TypeError, KeyError, AttributeError):
            # The connection broke inside a line; the next watch brings the event again.
            raise KubeError(f"{self._client.host} sent half an event of {self.path}") from None
        if kind == "DELETED":
            self.items.pop(_key(metadata), None)
        elif kind in {"ADDED", "MODIFIED"}:
            self._put(self.items, item)
        self._resume = version
        if kind != "BOOKMARK":
            self._notify()

    def _put(self, items: dict[Key, T], item: Any) -> None:
        try:
            key = _key(item["metadata"])
            kept = self._trim(item)
        except (KeyError, TypeError, ValueError, AttributeError):
            self.unreadable += 1
            return
        if kept is None:
            items.pop(key, None)
        else:
            items[key] = kept

    def _notify(self) -> None:
        self.version += 1
        self._changed()


def _key(metadata: Any) -> Key:
    return sys.intern(metadata.get("namespace") or ""), metadata["name"]
