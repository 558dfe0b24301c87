"""The pull: every question over the whole range, piece by piece, kept as it arrives.

A piece that is too much for Prometheus (samples, bytes, time) is asked again in halves. One that
fails for good does not stop the others: what can be had is on disk before anybody is told. Only a
Prometheus that has stopped answering is given up: 54 pieces of 120 s each, halved, would take days.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any

from autoscaler.observe.answer import QueryError, read_result
from autoscaler.sim.backtest import interrupt
from autoscaler.sim.backtest.chunks import Chunk, chunks
from autoscaler.sim.backtest.findings import BacktestError, Finding, between
from autoscaler.sim.backtest.questions import Question
from autoscaler.sim.backtest.range_api import Body, RangeApi

# Numbers kept in memory, about 50 bytes each while they are put in order, 2 GB in all: 10 pods of
# 2 models over 14 days at 15 s are 6 million.
MOST_SAMPLES = 40_000_000
SILENT = 12  # pieces in a row without an answer, three to a worker: up to 6 minutes
_TOO_MUCH = re.compile(
    r"is over|too slowly|in time|timed out|timeout|too many|exceed|limit|HTTP (413|422|503|504)"
)
# A limit on series (Mimir, Cortex, Thanos) stands however short the piece is.
_SERIES = re.compile(r"series.*(limit|exceed)|(limit|exceed|many|max).*series")
_AWAY = re.compile(r"no connection|no answer|too slowly")
Labels = tuple[tuple[str, str], ...]
# Numbers of the steps since 1970, rising, and the values there.
Column = tuple["array[int]", "array[float]"]


@dataclass(slots=True)
class Rows:
    """A question's answer over the whole range, by the labels of its series."""

    series: dict[Labels, Column] = field(default_factory=dict)
    samples: int = 0

    def add(self, body: bytes, step: int) -> int:
        """Raises QueryError for what is no full matrix. Returns the number of samples."""
        result = read_result(body)
        if result.kind != "matrix":
            raise QueryError(f"its answer is a {result.kind}, not a matrix")
        count = 0
        for row in result.rows:
            key = tuple(sorted(row["metric"].items()))
            steps, values = self.series.setdefault(key, (array("q"), array("d")))
            points = row["values"]
            steps.extend([round(at / step) for at, _ in points])
            values.extend([float(text) for _, text in points])
            count += len(points)
        self.samples += count
        return count


@dataclass(slots=True)
class Progress:
    """How far a pull is. `done` and `of` in pieces; `bytes` of JSON as it came."""

    done: int = 0
    of: int = 0
    cached: int = 0
    bytes: int = 0


def pull(
    api: RangeApi,
    asked: Sequence[Question],
    start: int,
    end: int,
    step: int,
    series: int,
    told: Callable[[Progress], None] = lambda _: None,
    progress: Progress | None = None,
) -> tuple[dict[str, Rows], list[Finding]]:
    """Question.name → Rows. Raises BacktestError where a needed one has holes of our own making;
    of the others that becomes a Finding. KeyboardInterrupt passes: what came is kept. `progress`
    is counted up, and told after each piece.
    """
    work = _Work(api, progress or Progress(), told)
    pieces = chunks(start, end, step, series)
    with interrupt.deferred() as interrupted:
        for question in asked:
            for chunk in pieces:
                work.send(question, chunk)
        work.run(interrupted)
    if interrupted():
        raise KeyboardInterrupt
    return _in_order(work, asked)


class _Work:
    """Pieces under way, and what became of them."""

    def __init__(self, api: RangeApi, progress: Progress, told: Callable[[Progress], None]) -> None:
        self.api, self.progress, self._told = api, progress, told
        self.bodies: dict[str, list[tuple[Chunk, bytes]]] = {}
        self.failed: dict[str, list[tuple[Chunk, str]]] = {}
        self._under_way: dict[Future[Body], tuple[Question, Chunk]] = {}
        self._silent = 0

    def send(self, question: Question, chunk: Chunk) -> None:
        future = self.api.pool.submit(self.api.range, question.query, chunk)
        self._under_way[future] = (question, chunk)
        self.progress.of += 1

    def run(self, interrupted: Callable[[], bool]) -> None:
        while self._under_way and not interrupted():
            self._advance()

    def _advance(self) -> None:
        done, _ = wait(self._under_way, timeout=0.5, return_when=FIRST_COMPLETED)
        for future in done:
            question, chunk = self._under_way.pop(future)
            try:
                self._take(question, chunk, future.result())
            except QueryError as error:
                self._again(question, chunk, str(error))
        if self._silent >= SILENT:
            self._give_up()
        self._told(self.progress)

    def _take(self, question: Question, chunk: Chunk, body: Body) -> None:
        self._silent = self._silent if body.cached else 0
        self.progress.done += 1
        self.progress.cached += body.cached
        self.progress.bytes += len(body.content)
        self.bodies.setdefault(question.name, []).append((chunk, body.content))

    def _again(self, question: Question, chunk: Chunk, reason: str) -> None:
        self._silent += _AWAY.search(reason) is not None
        halves = chunk.halves()
        if halves is not None and _TOO_MUCH.search(reason) and not _SERIES.search(reason):
            for half in halves:
                self.send(question, half)
            self.progress.of -= 1
            return
        self._failed(question, chunk, reason)

    def _failed(self, question: Question, chunk: Chunk, reason: str) -> None:
        self.progress.done += 1
        self.failed.setdefault(question.name, []).append((chunk, reason))

    def _give_up(self) -> None:
        for future, (question, chunk) in self._under_way.items():
            future.cancel()
            self._failed(question, chunk, f"no answer to {SILENT} pieces in a row")
        self._under_way.clear()


def _in_order(work: _Work, asked: Sequence[Question]) -> tuple[dict[str, Rows], list[Finding]]:
    answers: dict[str, Rows] = {}
    findings: list[Finding] = []
    total = 0
    for question in asked:
        rows = Rows()
        for chunk, body in sorted(work.bodies.pop(question.name, ()), key=lambda one: one[0]):
            try:
                total += rows.add(body, chunk.step)
            except QueryError as error:
                work.failed.setdefault(question.name, []).append((chunk, str(error)))
            if total > MOST_SAMPLES:
                raise too_many(question.name, f"more than {MOST_SAMPLES:,} samples")
        answers[question.name] = rows
        findings += _failures(question, work)
    return answers, findings


def too_many(place: str, found: str) -> BacktestError:
    return BacktestError(
        place,
        f"{found}: more series than fit into memory",
        "backtest a shorter time (--last 3d)",
    )


def _failures(question: Question, work: _Work) -> list[Finding]:
    failed = work.failed.get(question.name, [])
    if not failed:
        return []
    chunk, reason = failed[0]  # the one that came first says why, those given up do not
    place = f"{question.name}, {between(chunk.start, chunk.end)}"
    if question.needed:
        number = work.progress.done - sum(map(len, work.failed.values()))
        kept = f"{number} of {work.progress.of} pieces are pulled and kept"
        remedy = f"{kept}: run it again for the rest"
        if _SERIES.search(reason):
            remedy = f"have that limit raised, or backtest a shorter time; {kept}"
        raise BacktestError(place, f"Prometheus: {reason} (query: {question.query})", remedy)
    remedy = "it is done without" + (f" ({len(failed)} pieces)" if len(failed) > 1 else "")
    return [Finding(place, f"Prometheus: {reason}", remedy, chunk.start, chunk.end)]


def one(api: RangeApi, question: Question, chunk: Chunk) -> list[Any]:
    """Rows of a single piece, as Prometheus sends them. Raises BacktestError."""
    try:
        return read_result(api.range(question.query, chunk).content).rows
    except QueryError as error:
        heavy = _TOO_MUCH.search(str(error)) and not _AWAY.search(str(error))
        raise BacktestError(
            f"{question.name}, {between(chunk.start, chunk.end)}",
            f"Prometheus: {error} (query: {question.query})",
            "backtest a shorter time (--last 1d)" if heavy else "check --prometheus",
        ) from error
