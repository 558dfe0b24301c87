"""The arithmetic from raw parts to signals, shared by both sources."""

from __future__ import annotations

from typing import Any

import promql_parser
import pytest

from autoscaler.model import Missing, ModelSignals, Sample, Signal, Windows
from autoscaler.observe.gpu import gpu_queries
from autoscaler.observe.triton import (
    NO_GAUGE,
    YOUNG,
    model_signals,
    queries,
    scrape_times_query,
    span,
)

WINDOWS = Windows(60.0, 300.0)
AT = 1000.0


def signals(**parts: Any) -> ModelSignals:
    """20 requests/s that wait 25 ms each, 4 pending, nothing failed; `parts` change that."""
    usual: dict[str, Any] = {
        "completed": 20.0,
        "completed_slow": 18.0,
        "queued": 500_000.0,
        "queued_slow": 360_000.0,
        "failed": 0.0,
        "failed_slow": 0.0,
        "rejected": 0.0,
        "pending": 4.0,
        "floor": 1.0,
        "peak": 9.0,
        "change": 0.0,
        "change_slow": 0.0,
    }
    return model_signals("bert", AT, WINDOWS, **(usual | parts))


def idle(**parts: Any) -> ModelSignals:
    zero = dict.fromkeys(
        ("completed", "completed_slow", "queued", "queued_slow", "pending", "floor", "peak"), 0.0
    )
    return signals(**(zero | parts))


def value(signal: Signal) -> float:
    assert isinstance(signal, Sample), signal
    return signal.value


def why(signal: Signal) -> str:
    assert isinstance(signal, Missing), signal
    return signal.missing


def test_arrivals_are_completions_and_failures_and_the_change_of_pending() -> None:
    assert value(signals(failed=3.0, change=2.0).arrivals) == 25.0
    assert value(signals(failed_slow=1.0, change_slow=-0.5).arrivals_slow) == 18.5


def test_queueing_over_completions_is_the_time_each_request_waited() -> None:
    one = signals()
    assert value(one.queueing) / value(one.completions) == 0.025
    assert value(one.queueing_slow) / value(one.completions_slow) == 0.02


def test_each_signal_carries_its_window() -> None:
    one = signals()
    assert one.completions == Sample(20.0, AT, 60.0)
    assert one.completions_slow == Sample(18.0, AT, 300.0)
    assert one.pending == Sample(4.0, AT, 0.0)
    assert one.pending_floor == Sample(1.0, AT, 60.0)
    assert one.pending_peak == Sample(9.0, AT, 300.0)


def test_no_traffic_is_zero_load_where_nothing_is_pending() -> None:
    one = idle()
    assert value(one.arrivals) == 0.0
    assert value(one.queueing) == 0.0
    assert value(one.completions) == 0.0


def test_dynamo_6985_zero_traffic_is_zero_and_not_nan() -> None:
    """0/0 = NaN kept an idle fleet from scaling in; here idle is a plain 0."""
    assert idle().arrivals == Sample(0.0, AT, 60.0)
    assert idle().arrivals_slow == Sample(0.0, AT, 300.0)


def test_triton_5927_a_stalled_server_is_not_idle() -> None:
    """Counters move on completion only: 100/s pile up while every counter stands still."""
    one = idle(pending=6000.0, floor=10.0, peak=6000.0, change=100.0)
    assert value(one.arrivals) == 100.0
    assert value(one.completions) == 0.0
    assert "6,000 pending has completed" in why(one.queueing)


def test_pending_that_neither_grows_nor_completes_is_no_load_figure() -> None:
    one = idle(pending=256.0, floor=250.0, peak=256.0)
    assert "256 pending and none completed in 1m: stalled or slow" in why(one.arrivals)


def test_counters_that_stand_still_while_requests_leave_are_switched_off() -> None:
    one = idle(pending=2.0, peak=40.0)
    for signal in (one.completions, one.arrivals, one.queueing, one.arrivals_slow):
        assert "counter_latencies=false" in why(signal)
    assert value(one.pending) == 2.0


def test_failures_that_count_prove_that_counters_move() -> None:
    assert value(idle(failed=5.0, failed_slow=5.0, pending=2.0, peak=40.0).arrivals) == 5.0


def test_an_old_triton_without_the_gauge_still_counts_what_completes() -> None:
    none = dict.fromkeys(("pending", "floor", "peak", "change", "change_slow"), NO_GAUGE)
    assert value(signals(**none).arrivals) == 20.0
    assert "23.09" in why(signals(**none).pending)
    assert "23.09" in why(idle(**none).arrivals)  # idle or stalled: nobody can tell


def test_one_missing_part_is_missing_in_what_needs_it_only() -> None:
    lost = Missing("HTTP 503")
    one = signals(failed=lost, rejected=lost)
    assert one.arrivals is lost
    assert one.rejected is lost
    assert value(one.completions) == 20.0
    assert value(one.arrivals_slow) == 18.0
    assert signals(completed=YOUNG).arrivals is YOUNG


def test_pending_that_falls_faster_than_it_completes_is_never_negative_load() -> None:
    assert value(signals(change=-30.0).arrivals) == 0.0
    assert value(signals(change=-30.0, pending=0.0).arrivals) == 0.0


@pytest.mark.parametrize("windows", [WINDOWS, Windows(0.5, 300.0), Windows(4.0, 300.0)])
def test_every_query_is_promql(windows: Windows) -> None:
    texts = queries(windows) | gpu_queries(windows) | {"times": scrape_times_query(["a", "b-1"])}
    for text in texts.values():
        promql_parser.parse(text)
        assert len(text) < 4000  # a query travels in a URL


def test_a_tick_asks_a_dozen_queries() -> None:
    assert len(queries(WINDOWS)) + len(gpu_queries(WINDOWS)) <= 11  # and one for the interval


def test_no_query_averages_over_series_or_matches_on_gpu_uuid() -> None:
    for text in (queries(WINDOWS) | gpu_queries(WINDOWS)).values():
        assert "avg by" not in text
        assert "avg(" not in text
        assert "on (gpu_uuid" not in text
    for name in ("completions", "queueing", "failures"):
        assert "delta(" not in queries(WINDOWS)[name]


def test_spans_are_prometheus_durations() -> None:
    assert (span(60.0), span(0.5), span(1.5)) == ("60s", "500ms", "1500ms")
