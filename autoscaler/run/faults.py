"""What went wrong in a tick, as values; told once when it begins and once when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from autoscaler.units import format_duration

Cause = Literal[
    "policies",
    "source",
    "cluster",
    "decide",
    "lease",
    "state",
    "act",
    "journal",
    "clock",
    "budget",
    "tick",
    "access",
]

# Events rather than conditions: there is nothing to recover from.
MOMENTARY: frozenset[Cause] = frozenset({"clock"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that went wrong: `cause` is the stage, `where` what it concerns."""

    cause: Cause
    text: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


def internal(cause: Cause, error: BaseException, where: str = "") -> Fault:
    """An exception nobody expected, as a fault: it is contained, named and counted."""
    return Fault(cause, f"internal error: {type(error).__name__}: {error}", where)


class FaultLog:
    """Logs a fault when it first shows and when it is gone, not on every tick between.

    A fault is the same one while its cause and place stay; its words may change (ages do).
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._since: dict[tuple[Cause, str], float] = {}

    def update(self, faults: Iterable[Fault], now: float) -> None:
        present = {}
        for fault in faults:
            if fault.cause in MOMENTARY:
                self._log.warning(fault.text, cause=fault.cause, **_place(fault.where))
            else:
                present[fault.cause, fault.where] = fault
        for key, fault in present.items():
            if key not in self._since:
                self._since[key] = now
                self._log.warning(fault.text, cause=fault.cause, **_place(fault.where))
        for cause, where in [key for key in self._since if key not in present]:
            lasted = format_duration(max(0.0, now - self._since.pop((cause, where))))
            self._log.info("recovered", cause=cause, after=lasted, **_place(where))


def _place(where: str) -> dict[str, str]:
    return {"where": where} if where else {}
