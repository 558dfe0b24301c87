"""Quantities: canonical, exact to the milli, readable by whoever reads Kubernetes quantities."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.serve.metrics_api.quantity import MAX_MILLI, canonical, to_milli
from autoscaler.units import parse_quantity

SUFFIXES = {"m": 0, "": 1, "k": 2, "M": 3, "G": 4, "T": 5, "P": 6, "E": 7}


def exact(text: str) -> int:
    """In milli."""
    digits = text.rstrip("mkMGTPE")
    return int(Decimal(digits) * 1000 ** SUFFIXES[text[len(digits) :]])


@given(st.integers(-MAX_MILLI, MAX_MILLI))
def test_a_quantity_is_exact_and_has_the_largest_suffix(milli: int) -> None:
    text = canonical(milli)
    assert exact(text) == milli
    digits = text.rstrip("mkMGTPE")
    assert milli == 0 or int(digits) % 1000 or text.endswith("E")


@given(st.floats(0, 1e12))
def test_the_nearest_milli_and_never_zero_for_something(value: float) -> None:
    milli = to_milli(value)
    assert milli is not None
    assert abs(milli / 1000 - value) <= max(0.001, value * 1e-12)
    assert (milli == 0) is (value == 0)
    assert math.isclose(parse_quantity(canonical(milli)), milli / 1000, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.5, "1500m"),
        (2.0, "2"),
        (50_000.0, "50k"),
        (12_345.0, "12345"),
        (1e-9, "1m"),
        (-2.5, "-2500m"),
        (1e6, "1M"),
        (0.62, "620m"),
    ],
)
def test_as_kubernetes_prints_it(value: float, text: str) -> None:
    assert canonical(to_milli(value) or 0) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e19])
def test_what_no_quantity_can_say(value: float) -> None:
    assert to_milli(value) is None
