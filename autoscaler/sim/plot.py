"""Plots as inline SVG inside HTML: curves stretch with the page, letters do not.

The SVG of a panel covers 1000 × 100 units and is stretched to whatever room there is; everything
with letters in it (ticks, names, dots that can be pointed at) is HTML, placed by percentages. So
one page is readable on a phone and on a wall, without a script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeAlias

from autoscaler.units import format_number

Points: TypeAlias = Sequence[tuple[float, float | None]]

WIDTH, HEIGHT = 1000.0, 100.0
# Two points (lowest and highest) per bucket: more than a screen has columns.
BUCKETS = 800


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: (Unix time, value) in the panel's unit; None where the value is not known."""

    label: str
    points: Points
    shape: Literal["line", "step", "area"] = "line"
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """A horizontal line, for example the SLA."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot. `decisions`: whether the decisions' dots stand in this one, at their `desired`."""

    title: str
    unit: str
    series: Sequence[Series]
    scale: Literal["linear", "log"] = "linear"
    limits: Sequence[Limit] = ()
    decisions: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened: at one moment, or from `at` to `until`. `kind` names its row."""

    kind: str
    at: float
    until: float | None = None
    label: str = ""
    alarm: bool = False  # an overload or a crash; a cold start is none


@dataclass(frozen=True, slots=True)
class Span:
    """The stretch of time that all panels share; `origin` set: times are told since then."""

    start: float
    end: float
    origin: float | None = None

    def share(self, at: float) -> float:
        """0 at the left edge, 1 at the right one."""
        length = self.end - self.start
        return (at - self.start) / length if length > 0 else 0.0

    def percent(self, at: float) -> str:
        return f"{100 * min(1.0, max(0.0, self.share(at))):.3f}%"


class Axis:
    """The vertical axis of a panel: from values to shares of the height, and its ticks."""

    def __init__(self, panel: Panel) -> None:
        values = [
            value for series in panel.series for _, value in series.points if value is not None
        ]
        values += [limit.value for limit in panel.limits]
        finite = [value for value in values if math.isfinite(value)]
        self.log = panel.scale == "log" and any(value > 0 for value in finite)
        if self.log:
            positive = [value for value in finite if value > 0]
            self.low = 10 ** math.floor(math.log10(min(positive)) + 1e-9)
            self.high = max(self.low * 10, max(positive) * 1.15)
        else:
            self.low = min(0.0, *finite) if finite else 0.0
            self.high = (max(finite) * 1.08 if finite else 0.0) or 1.0
            self.high = max(self.high, self.low + 1e-9)

    def share(self, value: float) -> float:
        """0 at the bottom, 1 at the top, clipped."""
        if self.log:
            value = max(value, self.low)
            where = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            where = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, where))

    def top(self, value: float) -> str:
        return f"{100 * (1 - self.share(value)):.2f}%"

    def ticks(self) -> list[float]:
        if not self.log:
            return linear_ticks(self.low, self.high, 5)
        decades = math.log10(self.high / self.low)
        steps = (1, 2, 5) if decades < 2 else (1, 3) if decades < 3.2 else (1,)
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found = (step * 10.0**exponent for exponent in exponents for step in steps)
        return [tick for tick in found if self.low * 0.999 <= tick <= self.high]


def linear_ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, about so many of them."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(span: Span, about: int = 8) -> list[float]:
    """Round moments: of the clock, or since the origin."""
    steps = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
    length = max(span.end - span.start, 1e-9)
    step = next((float(s) for s in steps if length / s <= about), 0.0)
    if not step:
        step = 86400.0 * max(1, round(length / 86400 / about))
    zero = span.origin if span.origin is not None else 0.0
    first = math.ceil((span.start - zero) / step - 1e-9)
    last = math.floor((span.end - zero) / step + 1e-9)
    return [zero + index * step for index in range(first, last + 1)]


def thin(points: Points, span: Span, buckets: int = BUCKETS) -> list[tuple[float, float | None]]:
    """At most two points a bucket, its lowest and highest: spikes survive, files stay small."""
    if len(points) <= 2 * buckets:
        return list(points)
    kept: list[tuple[float, float | None]] = []
    bucket: list[tuple[float, float | None]] = []
    index = 0
    for at, value in points:
        here = int(span.share(at) * buckets)
        if here != index and bucket:
            kept += _extremes(bucket)
            bucket = []
        index = here
        bucket.append((at, value))
    return kept + _extremes(bucket)


def _extremes(bucket: Sequence[tuple[float, float | None]]) -> list[tuple[float, float | None]]:
    known = [(value, at) for at, value in bucket if value is not None]
    if not known:
        return [bucket[0]]
    (low, low_at), (high, high_at) = min(known), max(known)
    return [(at, value) for at, value in sorted({(low_at, low), (high_at, high)})]


def curve(series: Series, axis: Axis, span: Span) -> tuple[str, str]:
    """SVG path data: the line, and the area beneath it (empty unless it is an area)."""
    line: list[str] = []
    area: list[str] = []
    for run in _runs(thin(series.points, span)):
        spots = [(WIDTH * span.share(at), HEIGHT * (1 - axis.share(value))) for at, value in run]
        path = f"M{spots[0][0]:.2f} {spots[0][1]:.2f}"
        before = spots[0][1]
        for x, y in spots[1:]:
            path += f"H{x:.2f}" if series.shape == "step" or y == before else ""
            path += f"V{y:.2f}" if series.shape == "step" and y != before else ""
            path += f"L{x:.2f} {y:.2f}" if series.shape != "step" and y != before else ""
            before = y
        if len(spots) == 1:
            path += "h0.01"  # a lone value is still a dot
        line.append(path)
        if series.shape == "area":
            area.append(f"{path}V{HEIGHT:.0f}H{spots[0][0]:.2f}Z")
    return "".join(line), "".join(area)


def _runs(points: Points) -> Iterable[list[tuple[float, float]]]:
    """Stretches without a gap."""
    run: list[tuple[float, float]] = []
    for at, value in points:
        if value is None or not math.isfinite(value):
            if run:
                yield run
            run = []
        else:
            run.append((at, value))
    if run:
        yield run


def draw(panel: Panel, axis: Axis, span: Span, marks: Sequence[Mark]) -> str:
    """The SVG of one panel: grid, marks, curves, limits. Letters are the caller's."""
    box = f'viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" preserveAspectRatio="none"'
    parts = [f'<svg {box} role="img" aria-label="{escape(describe(panel))}">']
    for tick in axis.ticks():
        y = HEIGHT * (1 - axis.share(tick))
        parts.append(f'<path class="grid" d="M0 {y:.2f}H{WIDTH:.0f}"/>')
    parts += [_draw_mark(mark, span) for mark in marks]
    for index, series in enumerate(panel.series):
        line, area = curve(series, axis, span)
        dashed = " dashed" if series.dashed else ""
        if area:
            parts.append(f'<path class="area s{index % 4}" d="{area}"/>')
        if line:
            parts.append(f'<path class="line s{index % 4}{dashed}" d="{line}"/>')
    for limit in panel.limits:
        y = HEIGHT * (1 - axis.share(limit.value))
        parts.append(f'<path class="limit" d="M0 {y:.2f}H{WIDTH:.0f}"/>')
    parts.append("</svg>")
    return "".join(parts)


def _draw_mark(mark: Mark, span: Span) -> str:
    kind = "alarm" if mark.alarm else "event"
    x = WIDTH * min(1.0, max(0.0, span.share(mark.at)))
    if mark.until is None:
        return f'<path class="moment {kind}" d="M{x:.2f} 0V{HEIGHT:.0f}"/>'
    end = WIDTH * min(1.0, max(0.0, span.share(mark.until)))
    width = max(0.5, end - x)
    return f'<path class="stretch {kind}" d="M{x:.2f} 0h{width:.2f}V{HEIGHT:.0f}H{x:.2f}Z"/>'


def describe(panel: Panel) -> str:
    """The panel in words, for those who do not see it."""
    words = []
    for series in panel.series:
        known = [value for _, value in series.points if value is not None]
        if known:
            low, high = format_number(min(known)), format_number(max(known))
            words.append(f"{series.label} from {low} to {high} {panel.unit}".rstrip())
        else:
            words.append(f"{series.label} without any value")
    limits = [f"{limit.label} {format_number(limit.value)} {panel.unit}" for limit in panel.limits]
    return f"{panel.title}: " + "; ".join([*words, *limits])
