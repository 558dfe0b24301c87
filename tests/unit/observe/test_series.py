"""What a few samples say per second."""

from __future__ import annotations

import pytest

from autoscaler.observe.series import Series


def series(*samples: tuple[float, float]) -> Series:
    made = Series()
    for at, value in samples:
        made.add(at, value)
    return made


def test_a_full_window_gives_growth_per_second() -> None:
    steady = series(*((5.0 * n, 100.0 * n) for n in range(20)))
    assert steady.rate(75.0) == pytest.approx(20.0)


def test_one_sample_is_no_rate() -> None:
    assert series((0.0, 5.0)).rate(-20.0) is None
    assert series((0.0, 5.0), (5.0, 9.0)).rate(0.0) is None  # the window is open at 0


def test_a_restart_counts_from_zero() -> None:
    """100 → 160, then a new process at 40 and 90: 60 + 40 + 50 in 15 s."""
    restarted = series((5.0, 100.0), (10.0, 160.0), (15.0, 40.0), (20.0, 90.0))
    assert restarted.rate(0.0) == pytest.approx(150.0 / 15.0)


def test_a_young_series_is_read_over_the_time_it_was_there() -> None:
    """A window of 60 s, samples at 45, 50, 55 and 60: 300 more in 15 s are 20/s, not 5/s."""
    young = series((45.0, 1000.0), (50.0, 1100.0), (55.0, 1200.0), (60.0, 1300.0))
    assert young.rate(0.0) == pytest.approx(20.0)


def test_a_gauge_falls_as_well_as_it_rises() -> None:
    level = series((5.0, 80.0), (10.0, 60.0), (15.0, 50.0), (20.0, 20.0))
    assert level.slope(0.0) == pytest.approx(-4.0)


def test_what_is_forgotten_leaves_the_rest_as_it_was() -> None:
    counter = series((5.0, 10.0), (10.0, 20.0), (15.0, 4.0), (20.0, 14.0))
    before = counter.rate(9.0)
    counter.forget(9.0)
    assert counter.rate(9.0) == before
    assert list(counter.times) == [10.0, 15.0, 20.0]


def test_a_clock_that_jumps_back_adds_no_sample_out_of_order() -> None:
    counter = series((10.0, 1.0), (5.0, 2.0), (10.0, 3.0), (15.0, 4.0))
    assert list(counter.times) == [10.0, 15.0]
