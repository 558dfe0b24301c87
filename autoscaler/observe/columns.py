"""Prometheus' answers as columns: one number for each pod, or each model in a pod.

Series without `namespace` and `pod` belong to nobody and are left out here; `sample_times` counts
them, so that somebody is told.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import orjson

from autoscaler.model import Missing, Sample, Signal
from autoscaler.observe.answer import QueryError, read_pairs, read_result
from autoscaler.observe.port import PodKey
from autoscaler.observe.query_api import Reduce
from autoscaler.observe.triton import NO_REASON, PART, REJECTED, other_versions

ModelKey = tuple[str, str, str]  # namespace, pod, model
# By row of a Table; None where the answer has no such series.
Column: TypeAlias = list[Any]

NOT_A_NUMBER = Missing("Prometheus answers NaN or Inf")


class Table:
    """One read's rows, a model in a pod each; every answer fills columns of it.

    Rows are numbered as they are met, so that a key is kept once and not with each of a dozen
    columns: 20,000 rows are 60 MB less that way.
    """

    def __init__(self) -> None:
        self.rows: dict[ModelKey, int] = {}
        self._numbers: dict[bytes, int] = {}  # by labels as they are written

    def full(self, column: Column | Missing | None, absent: Any = None) -> Column:
        """A column as long as the table; `absent` stands for a series that is not there."""
        if isinstance(column, Missing):
            return [column] * len(self.rows)
        whole = [] if column is None else column
        whole += [None] * (len(self.rows) - len(whole))
        return whole if absent is None else [absent if v is None else v for v in whole]

    def per_model(self, body: bytes) -> Column:
        return self._column(read_pairs(body))

    def parts(self, body: bytes, names: Sequence[str]) -> dict[str, Column]:
        """Several vectors in one answer, by the label PART."""
        pairs = read_pairs(body)
        own: dict[str, list[tuple[bytes, bytes]]] = {}
        for name in names:
            first = f'"{PART}":"{name}",'.encode()
            cut = len(first)
            own[name] = [(labels[cut:], v) for labels, v in pairs if labels.startswith(first)]
        if sum(map(len, own.values())) < len(pairs):  # a server that sorts labels its own way
            own = {name: [] for name in names}
            for labels, value in pairs:
                of_row = orjson.loads(b"{" + labels + b"}")
                own[of_row.pop(PART)].append((orjson.dumps(of_row)[1:-1], value))
        return {name: self._column(own[name]) for name in names}

    def failures(self, body: bytes) -> dict[str, Column]:
        """`fast` and `slow` over all reasons, and `rejected`, the fast ones with that reason."""
        columns: dict[str, Column] = {"fast": [], "slow": [], "rejected": []}
        for row in read_result(body).rows:
            labels = row["metric"]
            number = self._row(labels)
            if number is None:
                continue
            for column in columns.values():
                column.extend([None] * (number + 1 - len(column)))
            part, reason, value = labels[PART], labels.get("reason"), float(row["value"][1])
            columns[part][number] = value + (columns[part][number] or 0.0)
            if part == "fast" and reason is None:
                columns["rejected"][number] = NO_REASON
            elif part == "fast" and reason == REJECTED:
                columns["rejected"][number] = value
        return {name: _finite(column) for name, column in columns.items()}

    def _column(self, pairs: Iterable[tuple[bytes, bytes]]) -> Column:
        column: Column = [None] * len(self.rows)
        numbers = self._numbers
        for labels, text in pairs:
            try:
                column[numbers[labels]] = float(text)
            except (KeyError, IndexError):  # a new row, or one that another answer just met
                number = self._row(orjson.loads(b"{" + labels + b"}"))
                if number is not None:
                    numbers[labels] = number
                    column += [None] * (number + 1 - len(column))
                    column[number] = float(text)
        return _finite(column)

    def _row(self, labels: Mapping[str, str]) -> int | None:
        """The row's number; None for a series that belongs to no pod."""
        if "namespace" not in labels or "pod" not in labels or "model" not in labels:
            return None
        key = labels["namespace"], labels["pod"], labels["model"]
        return self.rows.setdefault(key, len(self.rows))


def _finite(column: Column) -> Column:
    # One addition tells for all of them: NaN and Inf stay in a sum.
    if math.isfinite(sum(value for value in column if isinstance(value, float))):
        return column
    return [
        NOT_A_NUMBER if isinstance(value, float) and not math.isfinite(value) else value
        for value in column
    ]


def per_pod(body: bytes) -> dict[PodKey, tuple[float, str]]:
    """The GPU's figure and the source that gave it; what is not a number is not there."""
    column = {}
    for row in read_result(body).rows:
        labels, value = row["metric"], float(row["value"][1])
        if "namespace" in labels and "pod" in labels and math.isfinite(value):
            column[labels["namespace"], labels["pod"]] = value, labels["source"]
    return column


@dataclass(frozen=True, slots=True)
class SampleTimes:
    """When each pod was last sampled, by Prometheus' clock, and what that clock reads; and which
    versions it served then, where others than 1.
    """

    pods: dict[PodKey, float]
    now: float | None
    unlabelled: int
    versions: Mapping[ModelKey, str | None] = field(default_factory=dict)


def sample_times(body: bytes) -> SampleTimes:
    pods, now, unlabelled = {}, None, 0
    versions: dict[ModelKey, set[str]] = {}
    for row in read_result(body).rows:
        labels, (now, text) = row["metric"], row["value"]
        if "version" in labels:
            if "namespace" in labels and "pod" in labels and "model" in labels:
                key = labels["namespace"], labels["pod"], labels["model"]
                versions.setdefault(key, set()).add(labels["version"])
        elif "namespace" not in labels or "pod" not in labels:
            unlabelled += 1
        elif math.isfinite(at := float(text)):
            pods[labels["namespace"], labels["pod"]] = at
    others = {key: other_versions(labels) for key, labels in versions.items()}
    return SampleTimes(pods, now, unlabelled, others)


def scrape_interval(body: bytes) -> float | None:
    """Seconds between samples, in the slowest of the series; None where none has two."""
    slowest = None
    for row in read_result(body).rows:
        times = [float(at) for at, _ in row["values"]]
        if len(times) > 1:
            typical = statistics.median(b - a for a, b in itertools.pairwise(times))
            slowest = max(slowest or 0.0, typical)
    return slowest


def one_number(body: bytes) -> float:
    """A policy's own query must give exactly one finite number; anything else is not one."""
    result = read_result(body)
    if result.kind == "matrix":
        raise QueryError("the query is a range vector: an instant vector of one series is needed")
    if not result.rows:
        raise QueryError("the query's answer is empty")
    if len(result.rows) > 1:
        raise QueryError(f"the query gives {len(result.rows)} series: aggregate, as in sum(…)")
    value = float(result.rows[0]["value"][1])
    if not math.isfinite(value):
        raise QueryError(f"the query's answer is {value}: 0/0, or a metric that is not a number")
    return value


def metric_signal(answer: float | Missing, at: float) -> Signal:
    return answer if isinstance(answer, Missing) else Sample(answer, at)


def reductions(table: Table) -> Callable[[str], Reduce]:
    """What becomes of each question's answer, by the question's name."""
    special: dict[str, Reduce] = {
        "failures": table.failures,
        "pending range": partial(table.parts, names=("floor", "peak")),
        "pending change": partial(table.parts, names=("fast", "slow")),
        "sample times": sample_times,
        "duty cycle": per_pod,
        "power": per_pod,
    }
    return lambda name: special.get(name, table.per_model)
