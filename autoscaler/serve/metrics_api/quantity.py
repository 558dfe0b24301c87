"""Canonical Kubernetes quantities from whole milli: 1500 → `1500m`, 50,000,000 → `50k`."""

from __future__ import annotations

import math

MAX_MILLI = 2**63 - 1  # the HPA reads MilliValue() as int64
_SUFFIXES = ("m", "", "k", "M", "G", "T", "P", "E")


def to_milli(value: float) -> int | None:
    """The nearest milli, but never 0 for what is not 0; None for what no quantity can say.

    NaN in one item would fail the whole list at the client.
    """
    if not math.isfinite(value):
        return None
    milli = math.floor(abs(value) * 1000 + 0.5) or (1 if value else 0)
    if milli > MAX_MILLI:
        return None
    return -milli if value < 0 else milli


def canonical(milli: int) -> str:
    """The largest suffix that leaves a whole number, as resource.Quantity prints it."""
    if milli == 0:
        return "0"
    power = 0
    while milli % 1000 == 0 and power < len(_SUFFIXES) - 1:
        milli //= 1000
        power += 1
    return f"{milli}{_SUFFIXES[power]}"
