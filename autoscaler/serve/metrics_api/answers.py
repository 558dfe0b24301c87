"""Answers as bytes, rendered once per view and question, kept until the next view.

Ten HPAs that ask the same question between two ticks cost one rendering. What was asked for
lately is rendered before the next view takes over, so that nobody waits for it: 10,000 pods take
a tenth of a second.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from autoscaler.serve.metrics_api.documents import Form, status, values
from autoscaler.serve.metrics_api.lookups import Absent, Question, look_up
from autoscaler.serve.metrics_api.views import MetricsView

# What is kept for one view: 2.1 MB is one list of 10,000 pods.
MAX_BYTES = 64 * 2**20
MAX_ANSWERS = 4096
# An HPA asks every 15 s; what nobody asked for within this time is not rendered ahead.
REMEMBERED = 60.0
# Seconds that a new view may be held back for; what is not rendered by then waits to be asked for.
AHEAD = 0.5
TAKE_OVER_WITHIN = 3.0  # where no thread was free to render at all
# Below this a compressed body saves nothing worth its header: it fits a few packets.
LEAST_GZIP = 4096
NOT_YET = "nothing was observed yet: the first tick is still under way"


@dataclass(frozen=True, slots=True)
class Query:
    """A question, and the form that its answer takes."""

    form: Form
    question: Question


@dataclass(frozen=True, slots=True)
class Answer:
    """`compressed` is the gzip of the body, None for a short one. Good until `expires`."""

    code: int
    body: bytes
    compressed: bytes | None = None
    expires: float = float("inf")

    @property
    def size(self) -> int:
        return len(self.body) + len(self.compressed or b"")


@dataclass(slots=True)
class _Asked:
    """When a query came last, and in how many views."""

    at: float
    view: MetricsView | None
    views: int = 1


def as_answer(code: int, body: bytes, expires: float = float("inf")) -> Answer:
    # Level 1: 210 kB (1,000 pods) in about 1 ms to a fifteenth; encrypting it costs more.
    compressed = gzip.compress(body, 1, mtime=0) if len(body) >= LEAST_GZIP else None
    return Answer(code, body, compressed, expires)


class Answers:
    """The cache. All methods belong to one event loop; `now` is Unix time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.view: MetricsView | None = None
        self._next: MetricsView | None = None
        self._kept: dict[Query, Answer] = {}
        self._bytes = 0
        self._asked: dict[Query, _Asked] = {}
        self._ahead: asyncio.Task[None] | None = None
        self.rendered = 0  # so far, for telemetry

    def publish(self, view: MetricsView) -> None:
        """The newest view takes over; everything kept for the one before is forgotten. Where much
        is asked for the one before goes on until the answers for this one are rendered.
        """
        since = self.now() - REMEMBERED
        self._asked = {query: one for query, one in self._asked.items() if one.at >= since}
        self._next = view
        if self._ahead is not None and not self._ahead.done():
            return  # which takes the newest when it is through
        if self.view is None or not self._wanted():
            self._take_over(view, {})
        else:
            self._ahead = asyncio.get_running_loop().create_task(self._render_ahead())

    async def close(self) -> None:
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)

    def answer(self, query: Query) -> Answer:
        """Values, or the Status that says why there are none."""
        now = self.now()
        self._remember(query, now)
        kept = self._kept.get(query)
        if kept is not None and now <= kept.expires:
            return kept
        return self._keep(query, self._render(query, now))

    def _wanted(self) -> list[Query]:
        """Asked for in several views: nobody who tries selectors at random fills the ticks."""
        return [query for query, asked in self._asked.items() if asked.views >= 2]

    async def _render_ahead(self) -> None:
        """On another thread: a view is frozen, and this loop goes on answering."""
        while (view := self._next) is not None:
            wanted, now = self._wanted(), self.now()
            rendered: dict[Query, Answer] = {}
            with suppress(TimeoutError):  # no thread is free: rendered when they are asked for
                async with asyncio.timeout(TAKE_OVER_WITHIN):
                    rendered = await asyncio.to_thread(render_all, view, wanted, now)
            self._take_over(view, rendered)

    def _take_over(self, view: MetricsView, answers: dict[Query, Answer]) -> None:
        self.view = view
        if self._next is view:
            self._next = None
        self._kept, self._bytes = {}, 0
        self.rendered += len(answers)
        for query, answer in answers.items():
            self._keep(query, answer)

    def _remember(self, query: Query, now: float) -> None:
        asked = self._asked.get(query)
        if asked is None:
            if len(self._asked) >= MAX_ANSWERS:
                del self._asked[next(iter(self._asked))]
            self._asked[query] = _Asked(now, self.view)
            return
        asked.at = now
        if asked.view is not self.view:
            asked.view, asked.views = self.view, asked.views + 1

    def _keep(self, query: Query, answer: Answer) -> Answer:
        before = self._kept.pop(query, None)
        self._bytes += answer.size - (before.size if before else 0)
        self._kept[query] = answer
        while self._bytes > MAX_BYTES or len(self._kept) > MAX_ANSWERS:
            oldest = next(iter(self._kept))
            self._bytes -= self._kept.pop(oldest).size
        return answer

    def _render(self, query: Query, now: float) -> Answer:
        if self.view is None:
            return Answer(503, status(503, NOT_YET))
        self.rendered += 1
        return render(self.view, query, now)


def render(view: MetricsView, query: Query, now: float) -> Answer:
    asked = query.question
    try:
        found = look_up(view, asked, now)
        body = values(query.form, asked.metric, found.items, asked.series)
    except Absent as absent:
        return Answer(absent.status, status(absent.status, absent.message))
    return as_answer(200, body, found.expires)


def render_all(view: MetricsView, queries: Sequence[Query], now: float) -> dict[Query, Answer]:
    """As many as half a second allows; one that fails is left to whoever asks, and names it."""
    found = {}
    until = time.monotonic() + AHEAD
    for query in queries:
        with suppress(Exception):
            found[query] = render(view, query, now)
        if time.monotonic() > until:
            break
    return found
