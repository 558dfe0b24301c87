"""A report as one HTML file: plots, decisions, what happened. Opens from disk, asks no network.

It knows nothing of the simulator: give it series, decisions and marks of a demo, a replayed
recording or a backtest alike.

    write_report(path, "Title", panels, decisions, marks, summary)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from autoscaler.model import Decision
from autoscaler.sim.plot import Axis, Mark, Panel, Span, draw, thin, time_ticks
from autoscaler.units import format_number

Summary = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that moved the wish, or began to hold it for another reason."""

    at: float
    before: int
    after: int
    decision: Decision

    @property
    def moves(self) -> bool:
        return self.before != self.after


# Characters that fit a card of the head; where one figure is longer, all are told in lines.
CARD = 24


def write_report(
    path: Path,
    title: str,
    panels: Sequence[Panel],
    decisions: Sequence[Decision],
    marks: Sequence[Mark] = (),
    summary: Summary = (),
    *,
    subtitle: str = "",
    origin: float | None = None,
) -> None:
    """Write the report to `path`, whose folder is made if need be.

    `summary` is (what, figure) pairs for the head. With `origin` (Unix time) all times are told
    since then (7:35), without it in UTC.
    """
    text = render(title, panels, decisions, marks, summary, subtitle=subtitle, origin=origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def render(
    title: str,
    panels: Sequence[Panel],
    decisions: Sequence[Decision],
    marks: Sequence[Mark] = (),
    summary: Summary = (),
    *,
    subtitle: str = "",
    origin: float | None = None,
) -> str:
    """The report's HTML."""
    span = _span(panels, decisions, origin)
    told = changes(decisions)
    style = (files("autoscaler.sim") / "report.css").read_text(encoding="utf-8")
    script = (files("autoscaler.sim") / "report.js").read_text(encoding="utf-8")
    body = "".join(
        (
            f"<header><h1>{escape(title)}</h1>",
            f"<p>{escape(subtitle)}</p>" if subtitle else "",
            _summary(summary),
            "</header><main>",
            *(_panel(index, panel, span, marks, told) for index, panel in enumerate(panels)),
            _lanes(marks, span),
            _table([change for change in told if change.moves], span),
            "</main>",
        )
    )
    # The policy allows this file itself and nothing from anywhere else.
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{body}"
        f'<div id="tip" role="status" hidden></div>'
        f'<script type="application/json" id="data">{_data(panels, told, span)}</script>'
        f"<script>{script}</script></body></html>\n"
    )


def changes(decisions: Iterable[Decision]) -> list[Change]:
    """The decisions worth telling, of each policy: another wish, another stage, another hold."""
    found: list[Change] = []
    last: dict[str, Decision] = {}
    for decision in decisions:
        before = last.get(decision.policy)
        if decision.desired is None:
            continue
        if before is None or before.desired is None:
            since = decision.current if decision.current is not None else decision.desired
            found.append(Change(decision.at, since, decision.desired, decision))
        elif _gist(before) != _gist(decision):
            found.append(Change(decision.at, before.desired, decision.desired, decision))
        last[decision.policy] = decision
    return found


def _gist(decision: Decision) -> tuple[object, ...]:
    return decision.desired, decision.binding, decision.hold is None


def moment(at: float, span: Span) -> str:
    """`7:35` since the origin, else `09:41:05` UTC, with the date where the span needs it."""
    if span.origin is not None:
        seconds = round(at - span.origin)
        sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return (
            f"{sign}{hours}:{minutes:02}:{seconds:02}" if hours else f"{sign}{minutes}:{seconds:02}"
        )
    pattern = "%b %d %H:%M" if span.end - span.start > 86400 else "%H:%M:%S"
    return datetime.fromtimestamp(at, UTC).strftime(pattern)


def _span(panels: Sequence[Panel], decisions: Sequence[Decision], origin: float | None) -> Span:
    times = [decision.at for decision in decisions]
    for panel in panels:
        for series in panel.series:
            times += [at for at, _ in series.points]
    if not times:
        return Span(origin or 0.0, (origin or 0.0) + 1.0, origin)
    return Span(min(times), max(*times, min(times) + 1.0), origin)


def _summary(summary: Summary) -> str:
    if not summary:
        return ""
    facts = (
        f"<div><dt>{escape(what)}</dt><dd>{escape(figure)}</dd></div>" for what, figure in summary
    )
    told = max(len(figure) for _, figure in summary) > CARD
    return f'<dl class="{"told" if told else "facts"}">{"".join(facts)}</dl>'


def _panel(
    index: int, panel: Panel, span: Span, marks: Sequence[Mark], told: Sequence[Change]
) -> str:
    axis = Axis(panel)
    unit = f' <span class="unit">{escape(panel.unit)}</span>' if panel.unit else ""
    ticks = "".join(
        f'<span style="top:{axis.top(tick)}">{format_number(tick)}</span>' for tick in axis.ticks()
    )
    limits = "".join(
        f'<span class="limit-name" style="top:{axis.top(limit.value)}">{escape(limit.label)}</span>'
        for limit in panel.limits
    )
    dots = "".join(_dot(change, axis, span) for change in told if change.moves and panel.decisions)
    note = f'<p class="note">{escape(panel.note)}</p>' if panel.note else ""
    return (
        f'<section class="panel"><h2>{escape(panel.title)}{unit}</h2>{_legend(panel)}{note}'
        f'<div class="frame"><div class="y-axis" aria-hidden="true">{ticks}</div>'
        f'<div class="plot" data-panel="{index}">{draw(panel, axis, span, marks)}{limits}{dots}'
        f'<div class="cross" hidden></div></div>{_x_axis(span)}</div></section>'
    )


def _legend(panel: Panel) -> str:
    items = (
        f'<li><svg class="swatch" viewBox="0 0 24 8" aria-hidden="true">'
        f'<path class="line s{index % 4}{" dashed" if series.dashed else ""}" d="M0 4H24"/></svg>'
        f"{escape(series.label)}</li>"
        for index, series in enumerate(panel.series)
    )
    dot = '<li><span class="dot sample" aria-hidden="true"></span>a decision</li>'
    return f'<ul class="legend">{"".join(items)}{dot if panel.decisions else ""}</ul>'


def _dot(change: Change, axis: Axis, span: Span) -> str:
    direction = "up" if change.after > change.before else "down"
    name = (
        f"{moment(change.at, span)}, {change.before} to {change.after} replicas: "
        f"{change.decision.sentence}"
    )
    return (
        f'<button type="button" class="dot {direction}" data-at="{change.at:.3f}" '
        f'style="left:{span.percent(change.at)};top:{axis.top(change.after)}" '
        f'aria-label="{escape(name)}"></button>'
    )


def _x_axis(span: Span) -> str:
    labels = "".join(
        f'<span style="left:{span.percent(tick)}">{moment(tick, span)}</span>'
        for tick in time_ticks(span)
    )
    return f'<div class="x-axis" aria-hidden="true">{labels}</div>'


def _lanes(marks: Sequence[Mark], span: Span) -> str:
    """One strip for each kind of mark, in the order of their first appearance."""
    if not marks:
        return ""
    lanes = []
    for kind in dict.fromkeys(mark.kind for mark in marks):
        bars = []
        for mark in (mark for mark in marks if mark.kind == kind):
            end = mark.until if mark.until is not None else mark.at
            width = max(0.0, span.share(end) - max(0.0, span.share(mark.at)))
            told = moment(mark.at, span)
            if mark.until is not None:
                told += f" to {moment(mark.until, span)}"
            text = f"{kind}, {told}: {mark.label}" if mark.label else f"{kind}, {told}"
            bars.append(
                f'<li class="{"alarm" if mark.alarm else "event"}" title="{escape(text)}" '
                f'style="left:{span.percent(mark.at)};width:{100 * width:.3f}%">'
                f"<span>{escape(text)}</span></li>"
            )
        count = f" ({len(bars)})" if len(bars) > 1 else ""
        lanes.append(f"<h3>{escape(kind)}{count}</h3><ul>{''.join(bars)}</ul>")
    return (
        f'<section class="panel lanes"><h2>What happened</h2>'
        '<p class="note">Shaded or dashed in the plots above.</p><div class="frame">'
        f'<div class="lane-box">{"".join(lanes)}</div>{_x_axis(span)}</div></section>'
    )


def _table(moves: Sequence[Change], span: Span) -> str:
    if not moves:
        return '<section class="table"><h2>Decisions</h2><p>Nothing was changed.</p></section>'
    several = len({change.decision.policy for change in moves}) > 1
    heads = ["Time", *(["Policy"] if several else []), "Replicas", "Why", "Decided by", "Otherwise"]
    rows = []
    for change in moves:
        decision = change.decision
        cells = [moment(change.at, span), f"{change.before} → {change.after}", decision.sentence]
        cells += [decision.binding, decision.flip or "–"]
        if several:
            cells.insert(1, decision.policy)
        data = "".join(
            f'<td data-head="{escape(head)}">{escape(cell)}</td>'
            for head, cell in zip(heads, cells, strict=True)
        )
        rows.append(f'<tr class="{"up" if change.after > change.before else "down"}">{data}</tr>')
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        f'<section class="table"><h2>All {len(moves)} changes</h2><table>'
        "<caption>Each change of the wanted replicas, and the smallest change of the world that "
        f"would have decided otherwise</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></section>"
    )


def _data(panels: Sequence[Panel], told: Sequence[Change], span: Span) -> str:
    """What the pointer shows. `<` is written as \\u003c: no text can close the script element."""
    content: dict[str, Any] = {
        "start": span.start,
        "end": span.end,
        "origin": span.origin,
        "panels": [
            {
                "unit": panel.unit,
                "series": [
                    {
                        "label": series.label,
                        "points": [
                            [round(at, 3), _number(value)]
                            for at, value in thin(series.points, span)
                        ],
                    }
                    for series in panel.series
                ],
            }
            for panel in panels
        ],
        "decisions": [
            {
                "at": round(change.at, 3),
                "before": change.before,
                "after": change.after,
                "sentence": change.decision.sentence,
                "binding": change.decision.binding,
                "flip": change.decision.flip,
            }
            for change in told
        ],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _number(value: float | None) -> float | None:
    """Five significant digits; what JSON cannot say (NaN, infinity) is unknown."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None
