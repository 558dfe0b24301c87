"""The frontier as one HTML file that opens from disk: money over SLA-miss minutes, per setting."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from autoscaler.sim.fleet_report import month
from autoscaler.sim.frontier import Point, Setting
from autoscaler.sim.plot import Axis, Panel, Series, Span, draw, linear_ticks
from autoscaler.sim.scenario import Scenario
from autoscaler.units import format_number


def page(
    title: str, subtitle: str, points: Sequence[Point], own: Setting, scenario: Scenario
) -> str:
    """HTML: the settings as dots, the frontier as a line, all of them in a table."""
    style = (files("autoscaler.sim") / "report.css").read_text(encoding="utf-8")
    body = (
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header><main>"
        f"{_plot(points, own, scenario)}{_table(points, own, scenario)}</main>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{body}</body></html>\n"
    )


def per_month(point: Point, scenario: Scenario) -> float:
    """Money in 30 days; GPU-hours where no price is known."""
    return month(point.outcome, scenario)


def misses(point: Point) -> float:
    """SLA-miss minutes in 30 days."""
    return point.outcome.miss_minutes * 30 / point.outcome.days


def unit(scenario: Scenario) -> str:
    return "GPU-hours" if scenario.gpu_hour is None else scenario.currency


def _plot(points: Sequence[Point], own: Setting, scenario: Scenario) -> str:
    best = [(misses(p), per_month(p, scenario)) for p in points if p.best]
    rest = [(misses(p), per_month(p, scenario)) for p in points if not p.best]
    panel = Panel(
        "Cost and misses",
        f"{unit(scenario)} in 30 days",
        [Series("nobody misses less for less", sorted(best)), Series("others", [])],
        note="From left to right SLA-miss minutes in 30 days. Each dot is a setting (point at it): "
        "blue and joined where nobody misses less for less, orange the policy's own, violet the "
        "others.",
    )
    axis = Axis(
        Panel(panel.title, panel.unit, [Series("", [*best, *rest])])  # scaled to every dot
    )
    span = Span(0.0, 1.05 * max(1.0, *(misses(p) for p in points)))
    ticks = "".join(
        f'<span style="top:{axis.top(tick)}">{format_number(tick)}</span>' for tick in axis.ticks()
    )
    labels = "".join(
        f'<span style="left:{span.percent(tick)}">{format_number(tick)}</span>'
        for tick in linear_ticks(0.0, span.end, 8)
    )
    dots = "".join(_dot(point, own, axis, span, scenario) for point in points)
    return (
        f'<section class="panel"><h2>{panel.title} <span class="unit">{panel.unit}</span></h2>'
        f'<p class="note">{escape(panel.note)}</p><div class="frame">'
        f'<div class="y-axis" aria-hidden="true">{ticks}</div><div class="plot">'
        f"{draw(panel, axis, span, [])}{dots}</div>"
        f'<div class="x-axis" aria-hidden="true">{labels}</div></div></section>'
    )


def _dot(point: Point, own: Setting, axis: Axis, span: Span, scenario: Scenario) -> str:
    x, y = misses(point), per_month(point, scenario)
    words = f"{point.setting}: {format_number(x)} minutes, {format_number(y)} {unit(scenario)}"
    colour = "--s1" if point.setting == own else "--s0" if point.best else "--s3"
    if point.setting == own:
        words = f"as the policy says, {words}"
    where = f"left:{span.percent(x)};top:{axis.top(y)};--up:var({colour})"
    return f'<span class="dot" title="{escape(words)}" style="{where}"></span>'


def _table(points: Sequence[Point], own: Setting, scenario: Scenario) -> str:
    heads = ["Setting", "On the frontier", "SLA-miss minutes in 30 days", "Late, refused, lost"]
    heads += ["GPU-hours in 30 days", "Changes in this run"]
    priced = scenario.gpu_hour is not None
    if priced:
        heads.insert(5, f"{scenario.currency} in 30 days")
    rows = []
    for point in points:
        run = point.outcome
        cells = [
            f"{point.setting}{' (the policy)' if point.setting == own else ''}",
            "yes" if point.best else "",
            format_number(misses(point)),
            f"{100 * run.late_share:.2g} %",
            f"{run.month:,.0f}",
            f"{run.scale_events:,}",
        ]
        if priced:
            cells.insert(5, f"{per_month(point, scenario):,.0f}")
        rows.append("".join(f"<td>{escape(cell)}</td>" for cell in cells))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        '<section class="table"><h2>All settings, the cheapest first</h2><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></section>"
    )
