"""A backtest as an HTML page: what was recorded is solid, what the model adds is dashed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from autoscaler.model import Decision
from autoscaler.sim.backtest.findings import between
from autoscaler.sim.backtest.result import Answer, Backtest
from autoscaler.sim.backtest.summary import beyond_words, columns, error_words, rows, said_words
from autoscaler.sim.plot import Limit, Mark, Panel, Points, Series
from autoscaler.sim.report import write_report
from autoscaler.units import format_duration

MODEL = "dashed: the model's, not recorded"


def write(path: Path, found: Backtest) -> None:
    target = found.target
    write_report(
        path,
        f"Backtest of {target.namespace}/{target.name}",
        panels(found),
        decisions(found),
        list(marks(found)),
        facts(found),
        subtitle=f"{between(found.start, found.end)}, a decision each "
        f"{format_duration(found.tick)}. {error_words(found.error)}",
    )


def facts(found: Backtest) -> list[tuple[str, str]]:
    """Each row of the table as one fact: the cells of all columns."""
    heads = columns(found)
    told = [
        (what, "; ".join(f"{head}: {cell}" for head, cell in zip(heads, cells, strict=True)))
        for what, cells in rows(found)
    ]
    told.append(("the model's server", found.server))
    told += [("beyond the record", beyond_words(a)) for a in found.answers if a.beyond]
    told += [("without the model", said_words(answer)) for answer in found.answers]
    return told + [("mind", str(finding)) for finding in found.findings]


def decisions(found: Backtest) -> list[Decision]:
    """Of the modelled fleets, in the order of time."""
    return sorted((one for a in found.answers for one in a.changes), key=lambda one: one.at)


def panels(found: Backtest) -> list[Panel]:
    answers = found.answers
    limit = Limit(f"SLA {format_duration(found.patience)}", 1e3 * found.patience)
    return [
        Panel("Load", "requests/s", [Series("recorded", found.load, "area")]),
        Panel(
            "Replicas",
            "",
            [Series("ran", _corners(found.replicas), "step")]
            + [
                Series(f"{a.policy.name} (model)", _corners(a.replicas), "step", dashed=True)
                for a in answers
            ],
            decisions=len(answers) == 1,
            note=MODEL,
        ),
        Panel(
            "Queue time",
            "ms",
            [Series("recorded, with what ran", _ms(found.queue_time))]
            + [Series(f"{a.policy.name} (model)", _ms(a.queue_time), dashed=True) for a in answers],
            "log",
            [limit],
            note=MODEL,
        ),
        Panel(
            "The model held against the record",
            "ms",
            [
                Series("recorded", _ms(found.queue_time)),
                Series("the model with what ran", _ms(found.queue_time_modelled), dashed=True),
            ],
            "log",
            [limit],
            note="How far the dashed curves can be trusted.",
        ),
        *(_said(found, answer) for answer in answers),
    ]


def _said(found: Backtest, answer: Answer) -> Panel:
    wanted = [
        (at, float(desired) if desired >= 0 else None)
        for at, desired in zip(answer.said.times, answer.said.desired, strict=True)
    ]
    return Panel(
        f"{answer.policy.name} on the record, without any model",
        "replicas",
        [
            Series("ran", _corners(found.replicas), "step"),
            Series("would have been wanted at that moment", _corners(wanted), "step"),
        ],
        note="As a dry run beside what ran: nothing that it says is carried out.",
    )


def _ms(points: Points) -> Points:
    return [(at, None if value is None else 1e3 * value) for at, value in points]


def _corners(points: Points) -> Points:
    """Of a step curve the points at which it moves, and the last one."""
    if len(points) < 3:
        return points
    kept = [points[0]]
    kept += [here for before, here in pairwise(points[:-1]) if here[1] != before[1]]
    return [*kept, points[-1]]


def marks(found: Backtest) -> Iterator[Mark]:
    yield from _missed("missed, what ran", found, found.missed)
    for answer in found.answers:
        yield from _missed(f"missed, {answer.policy.name} (model)", found, answer.missed)
    for finding in found.findings:
        if finding.start is not None:
            yield Mark("in the record", finding.start, finding.end, finding.reason)


def _missed(kind: str, found: Backtest, minutes: Sequence[int]) -> Iterator[Mark]:
    """Stretches of missed minutes."""
    begun = last = None
    for minute in [*minutes, None]:
        if begun is not None and last is not None and minute != last + 1:
            start, end = found.start + 60 * begun, min(found.end, found.start + 60 * (last + 1))
            yield Mark(kind, float(start), float(end), alarm=True)
            begun = None
        begun = minute if begun is None else begun
        last = minute
