"""Events on the targets, for `kubectl describe`: posted beside the loop, never in its way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from autoscaler.act.news import News, NewsDesk
from autoscaler.clock import Clock
from autoscaler.model import Action, Decision, Target

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient, KubeError

COMPONENT = "triton-autoscaler"
WITHIN = 5.0
# The pace, in seconds from one post to the next: a thousand policies that all begin to hold take
# the API server 10 requests a second for 100 s.
PACE = 0.1
# What waits beyond that is dropped, the oldest first, and counted.
WAITING = 1000
# Known Events, to count a repetition instead of posting a second one.
KNOWN = 4000
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# An Event later than this tells of a world that is gone.
TOO_LATE = 600.0
# What is left at the end gets this long.
LAST_WORDS = 2.0
NOTE_BYTES = 1024  # the API's limit


@dataclass(frozen=True, slots=True)
class _Letter:
    news: News
    at: float  # Unix time
    uid: str


class EventRecorder:
    """`tell` it each tick; it posts from a task of its own until `close`.

    `uid_of`: of a target; without it `kubectl describe` does not find the Event. `problem` says
    why none is being posted now, `lost` how many never were.
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        component: str = COMPONENT,
        *,
        uid_of: Callable[[Target], str] = lambda _: "",
    ) -> None:
        self.problem: str | None = None
        self.lost = 0
        self._client = client
        self._clock = clock
        self._component = component
        self._instance = f"{component}-{os.environ.get('HOSTNAME') or socket.gethostname()}"[:128]
        self._uid_of = uid_of
        self._desk = NewsDesk()
        self._waiting: deque[_Letter] = deque()
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def tell(
        self, decisions: Iterable[Decision], done: Iterable[Action], failed: Mapping[str, str]
    ) -> None:
        """Choose what is news and leave it to be posted. Asks nobody, waits for nothing."""
        now = self._clock.now()
        for news in self._desk.select(decisions, done, failed, now):
            if len(self._waiting) == WAITING:
                self._waiting.popleft()
                self.lost += 1
            self._waiting.append(_Letter(news, now, self._uid_of(news.target)))
        if self._waiting:
            self._more.set()
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="events")

    async def close(self) -> None:
        """Post what is left, for LAST_WORDS seconds at most."""
        if self._task is None:
            return
        ends = self._clock.monotonic() + LAST_WORDS
        while self._waiting and self.problem is None and self._clock.monotonic() < ends:
            await self._clock.sleep(0.02)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        failures = 0
        while True:
            self._more.clear()
            while self._waiting:
                # Taken out only when it is done with: what `tell` drops meanwhile is another one.
                letter = self._waiting[0]
                delivered = await self._deliver(letter)
                failures = 0 if delivered else failures + 1
                if delivered and self._waiting and self._waiting[0] is letter:
                    self._waiting.popleft()
                pause = min(FIRST_PAUSE * 2.0 ** min(failures - 1, 10), LONGEST_PAUSE)
                await self._clock.sleep(PACE if delivered else pause)
            await self._more.wait()

    async def _deliver(self, letter: _Letter) -> bool:
        """Whether it is done with, posted or given up."""
        from autoscaler.kube.client import KubeError

        if self._clock.now() - letter.at > TOO_LATE:
            self.lost += 1
            return True
        try:
            await self._post(letter)
        except KubeError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 -- contained: an Event is never worth a tick
            self.problem = f"internal error: {type(error).__name__}: {error}"
            self.lost += 1
            return True
        self.problem = None
        return True

    def _failed(self, error: KubeError) -> bool:
        # Nobody there, or busy: later. Everything else would be answered the same again.
        if error.status in {0, 429} or error.status >= 500:
            self.problem = f"Events are not posted: {error}; they wait"
            return False
        self.lost += 1
        self.problem = f"an Event was refused: {error}"
        if error.status == 403:
            self.problem += "; apply manifests/components/scale and bind its ClusterRole"
        return True

    async def _post(self, letter: _Letter) -> None:
        """A new Event, or one more of it: the name is made of what it says, so that a restart
        and a change of leader count on.
        """
        from autoscaler.kube.client import KubeError

        name = _name(letter)
        path = f"/apis/events.k8s.io/v1/namespaces/{letter.news.target.namespace}/events"
        if name not in self._counts:
            self._remember(name, 1)
            try:
                await self._request("POST", path, self._event(letter, name))
            except KubeError as error:
                if error.status != 409:
                    del self._counts[name]
                    raise
            else:
                return
        self._remember(name, self._counts[name] + 1)
        series = {"count": self._counts[name], "lastObservedTime": _micro(letter.at)}
        try:
            await self._request("PATCH", f"{path}/{name}", {"series": series})
        except KubeError as error:
            if error.status != 404:
                raise
            self._remember(name, 1)  # forgotten by Kubernetes after an hour
            await self._request("POST", path, self._event(letter, name))

    def _remember(self, name: str, count: int) -> None:
        self._counts[name] = count
        self._counts.move_to_end(name)
        if len(self._counts) > KNOWN:
            self._counts.popitem(last=False)

    async def _request(self, method: str, path: str, body: Any) -> None:
        from autoscaler.kube.paths import FIELD_MANAGER

        patch = method == "PATCH"
        await self._client.request(
            method,
            path,
            query={"fieldManager": FIELD_MANAGER},
            body=body,
            content_type="application/merge-patch+json" if patch else "application/json",
            within=WITHIN,
        )

    def _event(self, letter: _Letter, name: str) -> dict[str, Any]:
        news, target = letter.news, letter.news.target
        regarding = {
            "apiVersion": target.api_version,
            "kind": target.kind,
            "namespace": target.namespace,
            "name": target.name,
        }
        if letter.uid:
            regarding["uid"] = letter.uid
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": target.namespace},
            "eventTime": _micro(letter.at),
            "reportingController": self._component,
            "reportingInstance": self._instance,
            "action": news.action,
            "reason": news.reason,
            "regarding": regarding,
            "note": _short(news.note),
            "type": news.type,
        }


def _name(letter: _Letter) -> str:
    news = letter.news
    said = "\n".join((letter.uid, news.policy, news.reason, news.key))
    return f"{news.target.name[:200]}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def _micro(at: float) -> str:
    """MicroTime: 2026-11-21T10:00:00.000000Z"""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _short(note: str) -> str:
    content = note.encode()
    if len(content) <= NOTE_BYTES:
        return note
    return content[: NOTE_BYTES - 3].decode(errors="ignore") + "…"
