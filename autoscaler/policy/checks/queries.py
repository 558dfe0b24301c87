"""PromQL of `metric` objectives, offline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from autoscaler.policy.diagnostics import Finding, Route
from autoscaler.policy.documents import MetricPart
from autoscaler.policy.entry import Entry
from autoscaler.policy.registry import check
from autoscaler.units import format_duration

# The parser is recursive native code: 10,000 nested brackets end the process, 2,000 do not.
MAX_LENGTH = 4000
_TEXT_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`|#[^\n]*')
_RANGE = re.compile(r"\[\s*([0-9a-z]+)\s*(:\s*[0-9a-z]*\s*)?\]")
_DELTA = re.compile(
    r"\b(i?delta|deriv|avg_over_time|max_over_time)\s*\(\s*"
    r"(\w+_total|nv_inference_(?!pending)\w+(?:_us|_success|_failure|_count))\b"
)


def _metrics(entry: Entry) -> Iterator[tuple[Route, MetricPart]]:
    for index, objective in enumerate(entry.spec.objectives or ()):
        if objective.metric is not None:
            yield ("spec", "objectives", index, "metric"), objective.metric


@lru_cache(maxsize=2048)
def _parse(query: str) -> tuple[str | None, str | None]:
    """(what is wrong with it, its type: `vector` for all that may stand, else the name)."""
    import promql_parser

    if len(query) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH:,} characters", None
    try:
        return None, _type(promql_parser.parse(query), promql_parser)
    except ValueError as error:
        return str(error), None
    except BaseException as error:  # a panic of native code (`x offset NaN`) is no Exception
        if type(error).__name__ != "PanicException":
            raise
        return str(error), None


def _seconds(window: str) -> float | None:
    """`1h30m` → 5400; None for what is not a plain duration."""
    import promql_parser

    try:
        return float(promql_parser.parse_duration(window).total_seconds())
    except (ValueError, OverflowError):
        return None


def _type(tree: Any, parser: Any) -> str:
    while isinstance(tree, parser.ParenExpr | parser.UnaryExpr):
        tree = tree.expr
    if isinstance(tree, parser.MatrixSelector | parser.SubqueryExpr):
        return "range vector"
    return "string" if isinstance(tree, parser.StringLiteral) else "vector"


def _code(query: str) -> str:
    """The query without its label values and comments."""
    return _TEXT_OR_COMMENT.sub('""', query)


@check(
    "metric-target",
    "a `metric` has neither or both of `averageValue` and `value`.",
    "They are two kinds of arithmetic: divide by the target per replica, or by the ratio.",
)
def metric_target(entry: Entry) -> Iterator[Finding]:
    for route, part in _metrics(entry):
        given = (part.average_value is not None) + (part.value is not None)
        if given != 1:
            message = "both averageValue and value" if given else "neither averageValue nor value"
            remedy = "averageValue for a total shared by the replicas, value for an average"
            yield Finding(route, f"metric has {message}", f"give one: {remedy}", on_key=True)


@check(
    "promql-syntax",
    "a query is not PromQL.",
    "Prometheus would refuse it on every tick, and the objective would hold for ever.",
)
def promql_syntax(entry: Entry) -> Iterator[Finding]:
    for route, part in _metrics(entry):
        wrong, _ = _parse(part.query)
        if wrong:
            remedy = "try it in Prometheus, which names the column"
            yield Finding((*route, "query"), f"not PromQL: {wrong}", remedy)


@check(
    "promql-type",
    "a query returns a range vector or a string.",
    "One number is needed.",
)
def promql_type(entry: Entry) -> Iterator[Finding]:
    for route, part in _metrics(entry):
        _, kind = _parse(part.query)
        if kind in {"range vector", "string"}:
            remedy = "wrap it: sum(rate(…[2m])) or avg_over_time(…[2m])"
            if kind == "string":
                remedy = "write a query that returns one number, unquoted inside the YAML quotes"
            yield Finding((*route, "query"), f"the query returns a {kind}", remedy)


@check(
    "promql-window",
    "a query's range is shorter than two scrapes.",
    "`rate` needs two samples: over a shorter range it returns nothing, and the objective holds.",
)
def promql_window(entry: Entry) -> Iterator[Finding]:
    shortest = 2 * entry.scrape_interval
    for route, part in _metrics(entry):
        if _parse(part.query)[0]:
            continue
        windows = {match[1] for match in _RANGE.finditer(_code(part.query)) if not match[2]}
        for window in sorted(windows):
            seconds = _seconds(window)
            if seconds is not None and seconds < shortest:
                scrape = format_duration(entry.scrape_interval)
                message = f"[{window}] is shorter than two scrapes of {scrape}"
                remedy = f"write [{format_duration(2 * shortest)}] or longer: four scrapes"
                yield Finding((*route, "query"), message, remedy)


@check(
    "promql-counter",
    "a query takes delta, deriv or an average over a counter.",
    "Counters go back to 0 when a server restarts: only rate and increase know.",
    "warning",
)
def promql_counter(entry: Entry) -> Iterator[Finding]:
    for route, part in _metrics(entry):
        match = _DELTA.search(_code(part.query))
        if match:
            message = f"{match[1]}() of the counter {match[2]} goes wrong at a restart"
            yield Finding((*route, "query"), message, "use rate() or increase()")


@check(
    "queue-time-proportional",
    "a `metric` sizes the fleet in proportion to queue time.",
    "Queue time is a cliff, not a slope: on H200s it stays at 7 to 9 ms from 0.3 to 3 replicas' "
    "worth of load and reads seconds soon after. Three replicas at 20 ms with a target of 5 ms "
    "would become twelve.",
    "warning",
)
def queue_time_proportional(entry: Entry) -> Iterator[Finding]:
    for route, part in _metrics(entry):
        if "nv_inference_queue_duration_us" in _code(part.query):
            message = "replicas in proportion to queue time oscillate"
            yield Finding((*route, "query"), message, "use `- queueTime`, which grows by steps")
