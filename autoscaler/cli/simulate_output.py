"""A simulation as a table, as JSON and as a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from autoscaler.cli import RuntimeTrouble
from autoscaler.cli.simulate_parts import Parts, Result
from autoscaler.sim import fleet_report, frontier_plot
from autoscaler.sim.frontier import Point, own
from autoscaler.sim.result import Outcome
from autoscaler.units import format_duration, format_number

_HEAD = ("", "MISSED MIN", "OF", "LATE", "GPU-HOURS", "IN 30 DAYS", "CHANGES", "QUEUE", "PEAK")


def table(parts: Parts, result: Result, points: Sequence[Point]) -> None:
    click.echo(words(parts))
    rows = [_cells(o.name, o, parts) for o in (result.outcome, result.steady)]
    _print([_HEAD, *rows])
    if points:
        click.echo()
        mine = own(parts.policy)
        found = [
            _cells(f"{'*' if p.best else ' '} {p.setting}{_mine(p, mine)}", p.outcome, parts)
            for p in points
        ]
        _print([("  SETTING", *_HEAD[1:]), *found])
        click.echo("* nobody misses fewer minutes for less")


def _mine(point: Point, mine: object) -> str:
    return " (the policy)" if point.setting == mine else ""


def words(parts: Parts) -> str:
    """`bursty: 7d, 2.1 replicas' worth on average, 9 at the peak; seed 1`"""
    trace = parts.trace
    return (
        f"{trace.name or 'trace'}: {format_duration(trace.duration)}, "
        f"{trace.mean / parts.worth:.2f} replicas' worth of {format_number(parts.worth)} "
        f"requests/s on average, {trace.peak / parts.worth:.1f} at the peak; late above "
        f"{format_duration(parts.scenario.patience)} in the queue; cold start "
        f"{format_duration(parts.scenario.starts.total)}; seed {parts.seed}"
    )


def _cells(name: str, outcome: Outcome, parts: Parts) -> tuple[str, ...]:
    queue, price = outcome.queue_time, parts.scenario.gpu_hour
    money = f"{outcome.month:,.0f} h"
    if price is not None:
        money = f"{outcome.month * price:,.0f} {parts.scenario.currency}"
    return (
        name,
        f"{outcome.miss_minutes:,}",
        f"{outcome.minutes:,}",
        _share(outcome.late_share),
        format_number(outcome.gpu_hours),
        money,
        str(outcome.scale_events),
        "-" if queue is None else f"{1e3 * queue:.1f}ms",
        str(outcome.peak_replicas),
    )


def _share(share: float) -> str:
    """0%, under 0.001%, 0.34%."""
    percent = 100 * share
    return "0%" if not percent else "<0.001%" if percent < 0.001 else f"{percent:.2g}%"


def _print(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        click.echo("  ".join(cells).rstrip())


def json_text(parts: Parts, result: Result, points: Sequence[Point]) -> str:
    """One object. Seconds, requests/s, ratios 0 to 1, GPU-hours."""
    trace, scenario = parts.trace, parts.scenario
    document: dict[str, Any] = {
        "policy": parts.policy.key,
        "trace": {
            "name": trace.name,
            "start": trace.start,
            "bin": trace.bin,
            "seconds": trace.duration,
            "mean": trace.mean,
            "peak": trace.peak,
        },
        "scenario": {
            "server": scenario.server.name,
            "requestsPerSecond": scenario.server.brink,
            "late": scenario.patience,
            "coldStart": scenario.starts.total,
            "scrapeInterval": scenario.scrape,
            "interval": scenario.tick,
            "step": scenario.step,
            "seed": parts.seed,
            "gpuHour": scenario.gpu_hour,
            "currency": None if scenario.gpu_hour is None else scenario.currency,
        },
        "notes": list(parts.notes),
        "outcome": _outcome(result.outcome),
        "steady": {"replicas": result.outcome.peak_replicas, **_outcome(result.steady)},
        "missed": [
            {"from": mark.at, "until": mark.until, "worst": mark.label}
            for mark in fleet_report.missed(result.outcome.history)
        ],
    }
    if points:
        mine = own(parts.policy)
        document["frontier"] = [
            {
                "headroom": p.setting.headroom,
                "min": p.setting.minimum,
                "spare": p.setting.spare,
                "policy": p.setting == mine,
                "best": p.best,
                **_outcome(p.outcome),
            }
            for p in points
        ]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "minutes": outcome.minutes,
        "missMinutes": outcome.miss_minutes,
        "lateShare": outcome.late_share,
        "requests": round(outcome.requests),
        "refused": round(outcome.refused),
        "lost": round(outcome.lost),
        "queueTime": outcome.queue_time,
        "gpuHours": outcome.gpu_hours,
        "cost": outcome.cost,
        "scaleUps": outcome.scale_ups,
        "scaleDowns": outcome.scale_downs,
        "peakReplicas": outcome.peak_replicas,
    }


def html(path: Path, parts: Parts, result: Result, points: Sequence[Point]) -> None:
    """The run's report; with a sweep, the frontier."""
    title = f"{parts.policy.key} on {parts.trace.name or 'a trace'}"
    subtitle = f"Simulated: {words(parts)}. Server: {parts.scenario.server.name}. " + " ".join(
        f"{note[:1].upper()}{note[1:]}." for note in parts.notes
    )
    try:
        if points:
            text = frontier_plot.page(title, subtitle, points, own(parts.policy), parts.scenario)
            path.write_text(text, encoding="utf-8")
        else:
            scenario, decisions = parts.scenario, result.decisions
            fleet_report.write(path, title, subtitle, result.outcome, scenario, decisions)
    except OSError as error:
        raise RuntimeTrouble(f"{path} cannot be written: {error.strerror}") from error
