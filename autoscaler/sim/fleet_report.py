"""The plots and figures of a simulated run, for `sim.report`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from autoscaler.model import Decision
from autoscaler.sim.history import History
from autoscaler.sim.plot import Limit, Mark, Panel, Series
from autoscaler.sim.report import write_report
from autoscaler.sim.result import MISSED, Outcome
from autoscaler.sim.scenario import Scenario
from autoscaler.units import format_duration, format_number

Curve = list[tuple[float, float | None]]


def write(
    path: Path,
    title: str,
    subtitle: str,
    outcome: Outcome,
    scenario: Scenario,
    decisions: list[Decision],
) -> None:
    """One run as an HTML page that opens from disk."""
    marks = list(missed(outcome.history))
    shown = panels(outcome.history, scenario)
    write_report(path, title, shown, decisions, marks, facts(outcome, scenario), subtitle=subtitle)


def panels(history: History, scenario: Scenario) -> list[Panel]:
    """Load and capacity, replicas, queue time, who missed the SLA: over the history's rows."""
    width, capacity = history.resolution, scenario.server.capacity
    rows = range(len(history))
    at = [history.at(row) for row in rows]
    sent = [history.sent[row] / width for row in rows]
    carried = [history.ready[row] * capacity for row in rows]
    queue = [history.queue_time(row) for row in rows]
    late = [
        100 * history.missed(row) / history.sent[row] if history.sent[row] else 0.0 for row in rows
    ]
    patience = scenario.patience
    return [
        Panel(
            "Load and capacity",
            "requests/s",
            [
                Series("arrived", _curve(at, sent), "area"),
                Series("the ready replicas can answer", _curve(at, carried), "step"),
            ],
        ),
        Panel(
            "Replicas",
            "",
            [
                Series("wanted", _curve(at, list(history.wanted)), "step", dashed=True),
                Series("ready", _curve(at, list(history.ready)), "step"),
            ],
            decisions=True,
        ),
        Panel(
            "Queue time",
            "ms",
            [
                Series(
                    "mean of the answered",
                    [(t, q and 1e3 * q) for t, q in zip(at, queue, strict=True)],
                )
            ],
            "log",
            [Limit(f"SLA {format_duration(patience)}", 1e3 * patience)],
        ),
        Panel(
            "Late, refused or lost",
            "%",
            [Series("of the requests of the minute", _curve(at, late), "area")],
            limits=[Limit(f"{100 * MISSED:g} %: the minute is missed", 100 * MISSED)],
        ),
    ]


def _curve(at: list[float], values: list[float]) -> Curve:
    return list(zip(at, values, strict=True))


def missed(history: History) -> Iterator[Mark]:
    """Stretches of missed minutes; gaps of up to two minutes are bridged."""
    begun: float | None = None
    last = worst = 0.0
    for row in range(len(history)):
        sent = history.sent[row]
        if sent <= 0 or history.missed(row) <= MISSED * sent:
            continue
        at = history.at(row)
        if begun is not None and at - last > 2 * 60 + history.resolution:
            yield _stretch(begun, last, worst)
            begun, worst = None, 0.0
        begun = at if begun is None else begun
        last, worst = at + history.resolution, max(worst, history.missed(row) / sent)
    if begun is not None:
        yield _stretch(begun, last, worst)


def _stretch(begun: float, until: float, worst: float) -> Mark:
    words = f"{format_duration(until - begun)}, at worst {100 * worst:.0f} % of a minute's requests"
    return Mark("SLA missed", begun, until, words, alarm=True)


def facts(outcome: Outcome, scenario: Scenario) -> list[tuple[str, str]]:
    """The head of the page."""
    queue = outcome.queue_time
    found = [
        ("requests", f"{outcome.requests:,.0f}"),
        ("SLA-miss minutes", f"{outcome.miss_minutes:,} of {outcome.minutes:,}"),
        ("late, refused or lost", f"{100 * outcome.late_share:.3g} %"),
        ("mean queue time", "–" if queue is None else f"{1e3 * queue:.1f} ms"),
        ("GPU-hours", format_number(outcome.gpu_hours)),
        ("changes up, down", f"{outcome.scale_ups:,}, {outcome.scale_downs:,}"),
        ("most replicas ready", str(outcome.peak_replicas)),
    ]
    if outcome.cost is not None:
        found.insert(5, (f"{scenario.currency} in 30 days", f"{month(outcome, scenario):,.0f}"))
    return found


def month(outcome: Outcome, scenario: Scenario) -> float:
    """Money in 30 days; GPU-hours where no price is known."""
    return outcome.month * (1.0 if scenario.gpu_hour is None else scenario.gpu_hour)
