"""What is wrong or odd about a history: where, why, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.units import format_duration


@dataclass(frozen=True, slots=True)
class Finding:
    """`place` names a time, a query or a file; `start` and `end` are Unix time where it has one."""

    place: str
    reason: str
    remedy: str
    start: float | None = None
    end: float | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}; {self.remedy}"


class BacktestError(Exception):
    """No answer can be given. What was pulled is kept all the same."""

    def __init__(self, place: str, reason: str, remedy: str) -> None:
        super().__init__(f"{place}: {reason}; {remedy}")
        self.place, self.reason, self.remedy = place, reason, remedy


def between(start: float, end: float) -> str:
    """`2026-11-21T10:00:00Z to 10:05:00Z (5m)`"""
    first, last = stamp(start), stamp(end)
    shown = last[11:] if first[:10] == last[:10] else last
    return f"{first} to {shown} ({format_duration(end - start)})"


def stamp(at: float) -> str:
    """Unix time as RFC 3339."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
