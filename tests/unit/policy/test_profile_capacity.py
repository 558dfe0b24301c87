"""Requests/s within an SLA: interpolated, never extrapolated, up to the first break."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.model import Sla
from autoscaler.policy.profile import Answer, Point, Profile, Refusal, capacity_at


def sweep(*points: tuple[float, float, float], mode: str = "closed") -> Profile:
    """(load, requests/s, p99 in ms)"""
    made = tuple(Point(load, rate, {0.99: ms / 1e3}) for load, rate, ms in points)
    return Profile(made, "open" if mode == "open" else "closed")


def p99(limit_ms: float) -> Sla:
    return Sla(latency=((0.99, limit_ms / 1e3),))


def answer(profile: Profile, sla: Sla) -> Answer:
    found = capacity_at(profile, sla)
    assert isinstance(found, Answer), found
    return found


RISING = sweep((1, 100, 10), (2, 200, 20), (4, 400, 40), (8, 420, 80))


def test_between_two_loads_it_is_interpolated_in_load_and_rate() -> None:
    found = answer(RISING, p99(30))
    assert found.requests_per_second == pytest.approx(300.0)
    assert found.load == pytest.approx(3.0)
    assert (found.how, str(found.bound)) == ("interpolated", "p99 30ms")
    assert (found.below.load, found.above and found.above.load) == (2, 4)


def test_where_all_loads_keep_the_sla_it_is_the_highest_measured_and_says_so() -> None:
    found = answer(RISING, p99(1000))
    assert (found.requests_per_second, found.how, found.above) == (420, "measured", None)
    assert found.notes[0].startswith("No measured load breaks the SLA")


def test_where_none_keeps_it_the_refusal_has_the_best_seen() -> None:
    found = capacity_at(sweep((1, 100, 12), (2, 180, 11), (4, 200, 40)), p99(5))
    assert isinstance(found, Refusal)
    assert found.reason == (
        "even its lowest load takes 12 ms at p99, the SLA allows 5 ms; best seen: 11 ms at "
        "180 requests/s"
    )
    assert (found.check, found.seen and found.seen.load) == ("profile-sla-not-met", 2)


def test_it_stops_at_the_first_break_though_a_later_load_keeps_the_sla_again() -> None:
    noisy = sweep((1, 100, 10), (2, 200, 60), (4, 400, 30), (8, 800, 90))
    found = answer(noisy, p99(35))
    assert found.requests_per_second == pytest.approx(150.0)
    assert any(
        note.startswith("Not monotone: concurrency 2 breaks the SLA and concurrency 4 (400/s)")
        for note in found.notes
    )


def test_a_lucky_window_does_not_lower_the_envelope() -> None:
    # From 40 ms, not from 20 ms: (50 - 40) / (60 - 40) of the way from 200 to 300
    found = answer(sweep((1, 100, 40), (2, 200, 20), (4, 300, 60)), p99(50))
    assert found.requests_per_second == pytest.approx(250.0)


def test_where_throughput_falls_towards_the_break_the_highest_measured_counts() -> None:
    found = answer(sweep((4, 400, 40), (8, 300, 120)), p99(80))
    assert (found.requests_per_second, found.how) == (400, "measured")
    assert any(note.startswith("Throughput falls from 400/s to 300/s") for note in found.notes)


def test_of_a_load_measured_twice_the_worse_counts() -> None:
    found = answer(sweep((1, 100, 10), (2, 220, 15), (2, 180, 18), (4, 300, 40)), p99(29))
    assert found.requests_per_second == pytest.approx(240.0)  # half way from 180 to 300
    assert any("load 2" in note for note in found.notes)


def test_a_rate_that_was_not_kept_up_ends_the_sweep_before_it() -> None:
    # vgg19 at 512 offered carried 279 within 14.5 ms: that is no latency of 512/s
    found = answer(sweep((128, 126, 16), (256, 243, 16), (512, 279, 14), mode="open"), p99(100))
    assert found.requests_per_second == 243
    assert any(note.startswith("Of 512 requests/s offered only 279/s") for note in found.notes)


def test_one_load_is_no_sweep() -> None:
    found = capacity_at(sweep((16, 100, 10)), p99(100))
    assert isinstance(found, Refusal)
    assert found.reason == "holds one load only (concurrency 16)"


def test_a_closed_loop_is_told_and_an_open_one_is_not() -> None:
    assert any(note.startswith("Closed loop: ") for note in answer(RISING, p99(30)).notes)
    opened = sweep((100, 100, 10), (200, 200, 40), mode="open")
    assert answer(opened, p99(30)).notes == ()


def test_queue_time_bounds_as_latency_does_and_the_stricter_one_ends_it() -> None:
    points = tuple(replace(point, queue_time=point.latency[0.99] / 2) for point in RISING.points)
    profile = replace(RISING, points=points)
    assert answer(profile, Sla(queue_time=0.015)).requests_per_second == pytest.approx(300.0)
    both = answer(profile, Sla(queue_time=0.012, latency=((0.99, 0.030),)))
    assert both.requests_per_second == pytest.approx(240.0)
    assert str(both.bound) == "queue time 12ms"


def test_what_was_not_measured_is_refused() -> None:
    found = capacity_at(RISING, Sla(latency=((0.95, 0.03),)))
    assert isinstance(found, Refusal)
    assert found.reason == "has no p95 at every load; it has p99"
    found = capacity_at(RISING, Sla(queue_time=0.05))
    assert isinstance(found, Refusal)
    assert found.reason == "has no queue times"
    with pytest.raises(ValueError, match="without latency and queue time"):
        capacity_at(RISING, Sla())


points = st.lists(
    st.tuples(st.integers(1, 64), st.floats(1, 5000), st.floats(0.1, 500)), min_size=2, max_size=12
)


@given(points, st.floats(1, 600), st.floats(1, 600))
def test_it_is_never_above_what_was_measured_and_grows_with_the_limit(
    measured: list[tuple[int, float, float]], one: float, other: float
) -> None:
    profile = sweep(*((float(load), rate, ms) for load, rate, ms in sorted(measured)))
    rates = []
    for limit in sorted((one, other)):
        found = capacity_at(profile, p99(limit))
        rates.append(found.requests_per_second if isinstance(found, Answer) else 0.0)
    assert rates[0] <= rates[1] * (1 + 1e-9)
    assert rates[1] <= max(rate for _, rate, _ in measured) * (1 + 1e-9)
