"""Verdicts on load sweeps, as a table, as JSON and as a page."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from autoscaler.cli.output import colors, say, shorten, wrap
from autoscaler.cli.profile_reading import Found
from autoscaler.policy.profile import Answer, Bound, Point, Profile, Refusal, percentile
from autoscaler.policy.profile.choose import Verdict, by_setting, dollars_per_million
from autoscaler.policy.profile.duty_cycle import DutyCycle
from autoscaler.policy.profile.words import capacity_words, duty_words, notes, title
from autoscaler.policy.report import render
from autoscaler.units import format_duration, format_number, format_share

INDENT = "    "
# Rows of one model in the plain table; -o wide has all of them
ROWS = 5
_HEADER = ("SWEEP", "LOOP", "LOADS", "BATCH", "REQ/S", "DUTY", "$/MILLION")
_RIGHT = {2, 3, 4, 5, 6}


def table(found: Found, *, wide: bool, headers: bool) -> None:
    """A row a sweep, beneath it how the number came about: of all, or of each model's best."""
    shown: list[tuple[list[str], list[str]]] = []
    for model in dict.fromkeys(v.profile.configuration.model for v in found.verdicts):
        group = [v for v in found.verdicts if v.profile.configuration.model == model]
        rows = group if wide or len(group) <= ROWS + 1 else group[:ROWS]
        for verdict in rows:
            told = wide or verdict is found.best.get(model)
            shown.append((_cells(verdict, found), _lines(verdict) if told else []))
        shown[-1][1].extend(_group_lines(group, len(group) - len(rows), found))
    widths = [len(name) for name in _HEADER]
    for cells, _ in shown:
        widths = [max(width, len(cell)) for width, cell in zip(widths, cells, strict=True)]
    for file, tool in found.tools.items():
        say(f"{file}: {tool}")
    if headers and shown:
        click.echo(_row(_HEADER, widths))
    for cells, lines in shown:
        click.echo(_row(cells, widths))
        for line in lines:
            click.echo("\n".join(wrap(line, INDENT)))


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if index in _RIGHT else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _cells(verdict: Verdict, found: Found) -> list[str]:
    profile, rate = verdict.profile, verdict.requests_per_second
    duty = verdict.duty_cycle
    cost = _dollars(rate, found)
    return [
        shorten(title(profile), 64),
        profile.mode,
        str(len(profile.points)),
        str(profile.batch),
        "-" if rate is None else format_number(rate),
        format_share(duty.target) if isinstance(duty, DutyCycle) else "-",
        "-" if cost is None else f"{cost:.3g}",
    ]


def _lines(verdict: Verdict) -> list[str]:
    lines = [f"{capacity_words(verdict.profile, verdict.answer)}."]
    if isinstance(verdict.answer, Answer):
        lines += [f"{line}." for line in duty_words(verdict.duty_cycle)]
        lines += [f"Note: {note}." for note in notes(verdict)]
    return lines


def _group_lines(group: Sequence[Verdict], left: int, found: Found) -> list[str]:
    """What the sweep over configurations says, and what was left out."""
    lines = [f"… {left} more sweeps: -o wide"] if left > 0 else []
    for setting, name in (("instances", "instances"), ("max_batch", "max batch")):
        rates = by_setting(group, setting)
        if len(rates) > 1:
            each = ", ".join(f"{value}: {format_number(rate)}/s" for value, rate in rates.items())
            lines.append(f"Most by {name}: {each}.")
    if len({verdict.profile.mode for verdict in group}) > 1:
        lines.append(
            "Note: closed and open loops are not comparable: a closed loop sends less when answers "
            "are slow, and so reads higher."
        )
    silent = sum(verdict.requests_per_second is None for verdict in group)
    if silent and len(group) > 1:
        lines.append(f"{silent} of {len(group)} sweeps have no answer.")
    rate = max((v.requests_per_second or 0.0 for v in group), default=0.0)
    if found.gpu_hour is not None and rate:
        used = dollars_per_million(rate * (1 - found.headroom), found.gpu_hour, found.gpus)
        share = format_share(found.headroom)
        lines.append(f"With {share} kept free a million requests cost {used:.3g}.")
    return lines


def _dollars(rate: float | None, found: Found) -> float | None:
    if rate is None or found.gpu_hour is None or rate <= 0:
        return None
    return dollars_per_million(rate, found.gpu_hour, found.gpus)


def complain(found: Found) -> None:
    """The problems on stderr, as `validate` shows them."""
    sources = {file: text for file, text in found.texts.items() if not file.endswith(".json")}
    color = colors() and sys.stderr.isatty()
    click.echo(render(found.problems, sources, "text", color), nl=False, err=True)


def html(found: Found) -> str:
    from autoscaler.sim.profile_plot import page

    bounds = [Bound(quantile, limit) for quantile, limit in found.sla.latency]
    bounds += [Bound(None, found.sla.queue_time)] if found.sla.queue_time is not None else []
    within = ", ".join(f"{bound.name} within {format_duration(bound.limit)}" for bound in bounds)
    return page(found.verdicts, found.sla, f"What one replica carries: {within}")


def json_text(found: Found) -> str:
    """One object. Seconds, requests/s, ratios 0 to 1."""
    document = {
        "sla": {
            "latency": {percentile(q): limit for q, limit in found.sla.latency},
            "queueTime": found.sla.queue_time,
        },
        "files": dict(found.tools),
        "profiles": [_profile(verdict, found) for verdict in found.verdicts],
        "best": {model: title(verdict.profile) for model, verdict in found.best.items()},
        "problems": [
            {
                "file": p.file,
                "line": p.line,
                "check": p.check,
                "message": p.message,
                "remedy": p.remedy,
            }
            for p in found.problems
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _profile(verdict: Verdict, found: Found) -> dict[str, Any]:
    profile = verdict.profile
    settings = profile.configuration
    return {
        "title": title(profile),
        "file": profile.source,
        "tool": profile.tool,
        "model": settings.model,
        "configuration": settings.name,
        "instances": settings.instances,
        "maxBatch": settings.max_batch,
        "dynamicBatching": settings.dynamic_batching,
        "loop": profile.mode,
        "clientBatch": profile.batch,
        **_answer(profile, verdict.answer),
        "dutyCycle": _duty(verdict.duty_cycle),
        "costPerMillion": _dollars(verdict.requests_per_second, found),
        "points": [_point(point) for point in profile.points],
    }


def _answer(profile: Profile, answer: Answer | Refusal) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        refusal = {"reason": answer.reason, "remedy": answer.remedy, "line": answer.line}
        return {"requestsPerSecond": None, "refusal": refusal}
    return {
        "requestsPerSecond": answer.requests_per_second,
        "how": answer.how,
        "load": answer.load,
        "endedBy": str(answer.bound) if answer.bound else None,
        "words": capacity_words(profile, answer),
        "notes": list(answer.notes),
    }


def _duty(found: DutyCycle | Refusal) -> dict[str, Any]:
    if isinstance(found, Refusal):
        return {"averageUtilization": None, "reason": found.reason, "remedy": found.remedy}
    return {
        "averageUtilization": found.target,
        "atSla": found.at_sla,
        "highest": found.highest,
        "published": list(found.published),
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "load": point.load,
        "requestsPerSecond": point.requests_per_second,
        "latency": {percentile(q): value for q, value in sorted(point.latency.items())},
        "meanLatency": point.mean_latency,
        "queueTime": point.queue_time,
        "gpuUtilization": point.gpu_utilization,
        "line": point.line,
    }
