"""Durations, shares and quantities: text to base units and back.

Durations are strings with a unit (`90s`, `10m`, `1h30m`, `50ms`), never bare numbers: a bare 90
is read as minutes by one and seconds by another. Shares are percentages or ratios (`20%`, `0.2`).
Quantities are Kubernetes' (`40`, `1500m`, `2k`, `1Gi`).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from functools import lru_cache

_DURATION_UNITS = {
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|µs|ms|s|m|h|d)")
_QUANTITY = re.compile(
    r"([+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?"
)
_QUANTITY_UNITS = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}
_QUANTITY_UNITS |= {"T": 1e12, "P": 1e15, "E": 1e18}
_QUANTITY_UNITS |= {f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", start=1)}

# Of a message that somebody else wrote: a scheduler on 5,000 nodes is wordy.
LONGEST = 300
_LAST_MINUTE = 253_402_300_740.0  # 9999-12-31 23:59


class UnitError(ValueError):
    """Text that is not the unit it should be; says what to write instead."""


def parse_duration(text: str) -> float:
    """`1h30m` → 5400.0 seconds, `50ms` → 0.05."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise UnitError(f"a duration needs a unit: write {text}s for seconds, or {text}m, {text}ms")
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UnitError(f"{text!r} is not a duration: write for example 50ms, 90s, 10m or 1h30m")
    scales = [_DURATION_UNITS[unit] for _, unit in parts]
    if sorted(scales, reverse=True) != scales or len(set(scales)) != len(scales):
        raise UnitError(f"{text!r} is not a duration: units go from large to small, each once")
    # 10.000000000000002ms helps nobody: nanoseconds are the finest anyone writes.
    return round(sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts), 9)


@lru_cache(maxsize=256)  # a policy's own are asked for on every tick
def format_duration(seconds: float) -> str:
    """Short and readable aloud: 0.00005 → 50us, 0.05 → 50ms, 90 → 1m30s, 5400 → 1h30m."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds == 0:
        return "0s"
    if seconds < 0.9995e-3:
        return f"{_trim(seconds * 1e6)}us"
    if seconds < 0.9995:
        return f"{_trim(seconds * 1e3)}ms"
    if seconds < 60:
        return f"{_trim(seconds)}s"
    whole = round(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])  # 1d2h, not 1d2h3m4s


def parse_share(text: str) -> float:
    """`20%` → 0.2, `0.2` → 0.2."""
    body, percent = (text[:-1], True) if text.endswith("%") else (text, False)
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", body):
        raise UnitError(f"{text!r} is not a share: write for example 20% or 0.2")
    value = float(body)
    if percent:
        return round(value / 100, 12)
    if value > 1:
        raise UnitError(
            f"{text} as a ratio is {_trim(value * 100)} %: write {text}% if that is meant"
        )
    return value


@lru_cache(maxsize=256)
def format_share(ratio: float) -> str:
    """0.2 → 20%, 0.001 → 0.1%."""
    return f"{_trim(ratio * 100)}%"


def parse_quantity(text: str) -> float:
    """A Kubernetes quantity as a number: `1500m` → 1.5, `2k` → 2000.0."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise UnitError(f"{text!r} is not a quantity: write for example 40, 1500m or 2k")
    value = float(match[1]) * _QUANTITY_UNITS[match[2] or ""]
    if not math.isfinite(value):
        raise UnitError(f"{text!r} is too large")
    return value


def format_number(value: float) -> str:
    """Three significant digits, thousands in groups: 1234.5 → 1,234; 0.012345 → 0.0123."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return _trim(value)


def format_minute(at: float) -> str:
    """Unix time to the minute: 0 → 1970-01-01 00:00 UTC."""
    within = min(max(at, 0.0), _LAST_MINUTE)
    return datetime.fromtimestamp(within, UTC).strftime("%Y-%m-%d %H:%M UTC")


def shortened(message: str) -> str:
    """Somebody else's message on one line of bounded length."""
    text = " ".join(message.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _trim(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
