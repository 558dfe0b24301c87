"""A profile as one HTML file that opens from disk: latency, queue time and GPU over requests/s."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files

from autoscaler.model import Sla
from autoscaler.policy.profile.capacity import Answer
from autoscaler.policy.profile.choose import Verdict
from autoscaler.policy.profile.sweep import Point, Profile, load_name, percentile
from autoscaler.policy.profile.words import capacity_words, duty_words, notes, title
from autoscaler.sim.plot import Axis, Limit, Panel, Series, Span, draw, linear_ticks
from autoscaler.units import format_duration, format_number

CURVES = 4  # as many as the style sheet has colours; more on one plot nobody tells apart


def page(verdicts: Sequence[Verdict], sla: Sla, heading: str) -> str:
    """HTML. Drawn are the first CURVES verdicts, told all of those."""
    shown = verdicts[:CURVES]
    span = Span(0.0, 1.05 * max(p.requests_per_second for v in shown for p in v.profile.points))
    style = (files("autoscaler.sim") / "report.css").read_text(encoding="utf-8")
    left = len(verdicts) - len(shown)
    more = f"<p>{left} further sweeps are not drawn.</p>" if left else ""
    body = (
        f"<header><h1>{escape(heading)}</h1>{more}{_facts(shown)}</header><main>"
        + "".join(_section(panel, shown, span, value) for panel, value in _panels(shown, sla))
        + "".join(_told(verdict) for verdict in shown)
        + "</main>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(heading)}</title><style>{style}</style></head><body>{body}</body></html>\n"
    )


Value = Callable[[Point], float | None]


def _panels(verdicts: Sequence[Verdict], sla: Sla) -> list[tuple[Panel, Value]]:
    drawn: list[tuple[Panel, Value]] = []
    for quantile, limit in sla.latency:
        name = percentile(quantile)

        def latency(point: Point, quantile: float = quantile) -> float | None:
            value = point.latency.get(quantile)
            return None if value is None else value * 1e3

        limits = [Limit(f"SLA {format_duration(limit)}", limit * 1e3)]
        drawn.append((_panel(f"{name} latency", "ms", verdicts, latency, limits, "log"), latency))

    def queue(point: Point) -> float | None:
        return None if point.queue_time is None else point.queue_time * 1e3

    def gpu(point: Point) -> float | None:
        return None if point.gpu_utilization is None else point.gpu_utilization * 100

    points = [point for verdict in verdicts for point in verdict.profile.points]
    if any(point.queue_time is not None for point in points):
        promised = sla.queue_time
        limits = [Limit(f"SLA {format_duration(promised)}", promised * 1e3)] if promised else []
        panel = _panel("Mean time in Triton's queue", "ms", verdicts, queue, limits, "linear")
        drawn.append((panel, queue))
    if any(point.gpu_utilization is not None for point in points):
        drawn.append((_panel("GPU utilisation", "%", verdicts, gpu, [], "linear"), gpu))
    return drawn


def _panel(
    name: str, unit: str, verdicts: Sequence[Verdict], value: Value, limits: list[Limit], scale: str
) -> Panel:
    series = [
        Series(
            title(verdict.profile) or "sweep",
            [(point.requests_per_second, value(point)) for point in verdict.profile.points],
        )
        for verdict in verdicts
    ]
    note = "Over requests/s answered; each dot is a measured load."
    return Panel(name, unit, series, "log" if scale == "log" else "linear", limits, note=note)


def _section(panel: Panel, verdicts: Sequence[Verdict], span: Span, value: Value) -> str:
    axis = Axis(panel)
    ticks = "".join(
        f'<span style="top:{axis.top(tick)}">{format_number(tick)}</span>' for tick in axis.ticks()
    )
    limits = "".join(
        f'<span class="limit-name" style="top:{axis.top(limit.value)}">{escape(limit.label)}</span>'
        for limit in panel.limits
    )
    dots = "".join(
        _dot(verdict.profile, point, value, axis, span, panel.unit, index)
        for index, verdict in enumerate(verdicts)
        for point in verdict.profile.points
    )
    legend = "".join(
        f'<li><svg class="swatch" viewBox="0 0 24 8" aria-hidden="true">'
        f'<path class="line s{index}" d="M0 4H24"/></svg>{escape(series.label)}</li>'
        for index, series in enumerate(panel.series)
    )
    labels = "".join(
        f'<span style="left:{span.percent(tick)}">{format_number(tick)}</span>'
        for tick in linear_ticks(0.0, span.end, 8)
    )
    answers = "".join(_answer_line(verdict, span) for verdict in verdicts)
    return (
        f'<section class="panel"><h2>{escape(panel.title)} '
        f'<span class="unit">{escape(panel.unit)}</span></h2><ul class="legend">{legend}</ul>'
        f'<p class="note">{escape(panel.note)}</p><div class="frame">'
        f'<div class="y-axis" aria-hidden="true">{ticks}</div><div class="plot">'
        f"{draw(panel, axis, span, [])}{answers}{limits}{dots}</div>"
        f'<div class="x-axis" aria-hidden="true">{labels}</div></div></section>'
    )


def _dot(
    profile: Profile, point: Point, value: Value, axis: Axis, span: Span, unit: str, index: int
) -> str:
    height = value(point)
    if height is None:
        return ""
    where = f"left:{span.percent(point.requests_per_second)};top:{axis.top(height)}"
    where += f";--up:var(--s{index})"  # the style sheet's dots have the colour of scaling up
    words = (
        f"{load_name(profile, point.load)}: {format_number(point.requests_per_second)} "
        f"requests/s, {format_number(height)} {unit}"
    )
    return f'<span class="dot" title="{escape(words)}" style="{where}"></span>'


def _answer_line(verdict: Verdict, span: Span) -> str:
    """Where the answer lies: a hair line over the height of the plot."""
    rate = verdict.requests_per_second
    if rate is None:
        return ""
    words = f"{title(verdict.profile)}: {format_number(rate)} requests/s within the SLA"
    return f'<span class="cross" style="left:{span.percent(rate)}" title="{escape(words)}"></span>'


def _facts(verdicts: Sequence[Verdict]) -> str:
    facts = []
    for verdict in verdicts:
        rate = verdict.requests_per_second
        figure = "no answer" if rate is None else f"{format_number(rate)} requests/s"
        name = title(verdict.profile) or "within the SLA"
        facts.append(f"<div><dt>{escape(name)}</dt><dd>{escape(figure)}</dd></div>")
    return f'<dl class="facts">{"".join(facts)}</dl>'


def _told(verdict: Verdict) -> str:
    lines = [capacity_words(verdict.profile, verdict.answer), *notes(verdict)]
    if isinstance(verdict.answer, Answer):
        lines += duty_words(verdict.duty_cycle)
    paragraphs = "".join(f"<p>{escape(line)}.</p>" for line in lines)
    return f'<section class="panel"><h2>{escape(title(verdict.profile))}</h2>{paragraphs}</section>'
