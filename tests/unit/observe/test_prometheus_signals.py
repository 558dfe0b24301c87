"""What absent series mean, and what each pod gets from the columns."""

from __future__ import annotations

import pytest

from autoscaler.model import Missing, ModelSignals, Sample, Signal
from autoscaler.observe.port import PodReading
from autoscaler.observe.prometheus import PrometheusSource
from tests.unit.observe.fake_prometheus import (
    INTERVAL,
    NOW,
    POD,
    FakePrometheus,
    Rows,
    busy,
    model,
    row,
)

OTHER = ("default", "flower-5cf8b78894-g679c")


async def read(**changed: Rows) -> dict[tuple[str, str], PodReading]:
    async with FakePrometheus(busy(**changed)).serving() as server:
        source = PrometheusSource(server.url, scrape_interval=INTERVAL, at=True)
        readings = await source.read((), NOW, 5.0)
        await source.close()
    assert readings.failed is None
    return dict(readings.pods)


async def only(**changed: Rows) -> ModelSignals:
    (signals,) = (await read(**changed))[POD].models
    return signals


def value(signal: Signal) -> float:
    assert isinstance(signal, Sample), signal
    return signal.value


def why(signal: Signal) -> str:
    assert isinstance(signal, Missing), signal
    return signal.missing


async def test_absent_failures_and_levels_are_zero_where_their_series_are_known() -> None:
    signals = await only(pending=[model(0)], pending_range=[])
    assert value(signals.rejected) == 0.0
    assert value(signals.pending_floor) == 0.0
    assert value(signals.pending_peak) == 0.0


async def test_a_pod_younger_than_two_scrapes_has_a_level_and_no_rates() -> None:
    none: Rows = []
    signals = await only(completions=none, completions_slow=none, queueing=none, queueing_slow=none)
    assert value(signals.pending) == 4.0
    for signal in (signals.completions, signals.arrivals, signals.queueing, signals.rejected):
        assert "younger than two scrapes" in why(signal)


async def test_failures_of_all_reasons_arrive_and_rejected_ones_are_told_apart() -> None:
    signals = await only(
        failures=[
            model(2, reason="REJECTED", _part="fast"),
            model(1, reason="CANCELED", _part="fast"),
            model(0.5, reason="OTHER", _part="slow"),
        ]
    )
    assert value(signals.arrivals) == 23.0
    assert value(signals.rejected) == 2.0
    assert value(signals.arrivals_slow) == 18.5


async def test_failures_without_a_reason_leave_rejected_unknown() -> None:
    signals = await only(failures=[model(2, _part="fast")])
    assert value(signals.arrivals) == 22.0
    assert "24.08" in why(signals.rejected)


async def test_the_change_of_pending_is_added_in_its_own_window() -> None:
    signals = await only(pending_change=[model(5, _part="fast"), model(-1, _part="slow")])
    assert value(signals.arrivals) == 25.0
    assert value(signals.arrivals_slow) == 17.0


async def test_each_model_of_a_pod_is_known_by_itself() -> None:
    pods = await read(
        completions=[model(20), model(0, "resnet")],
        completions_slow=[model(20), model(0, "resnet")],
        queueing=[model(500_000), model(0, "resnet")],
        pending=[model(4), model(0, "resnet")],
    )
    by_name = {signals.model: signals for signals in pods[POD].models}
    assert value(by_name["bert"].arrivals) == 20.0
    assert value(by_name["resnet"].arrivals) == 0.0


async def test_a_model_that_was_unloaded_is_gone_though_its_rates_trail_on() -> None:
    pods = await read(
        completions=[model(20), model(7, "old")], completions_slow=[model(20), model(7, "old")]
    )
    assert [signals.model for signals in pods[POD].models] == ["bert"]


async def test_a_pod_whose_model_has_no_series_yet_says_so_for_all_models() -> None:
    pods = await read(sample_times=[row(NOW - 4), row(NOW - 1, pod=OTHER[1])])
    (signals,) = pods[OTHER].models
    assert signals.model == "*"
    assert why(signals.arrivals) == "no model has a series yet"


async def test_versions_are_told_where_others_than_the_usual_one_serve() -> None:
    (usual,) = (await read())[POD].models
    assert usual.versions is None
    times = [row(NOW - 4), model(1, version="10"), model(1, version="2")]
    (signals,) = (await read(sample_times=times))[POD].models
    assert signals.versions == "2,10"
    assert signals.arrivals == usual.arrivals


async def test_columns_of_any_length_in_any_order_meet_by_key() -> None:
    def both(first: float, second: float) -> Rows:
        return [model(first), model(second, pod=OTHER[1])]

    pods = await read(
        completions=both(20, 30)[::-1],
        completions_slow=both(20, 30)[1:],
        queueing=both(2e6, 3e6),
        pending=both(4, 5),
        sample_times=[row(NOW - 4), row(NOW - 1, pod=OTHER[1])],
    )
    here, there = pods[POD].models[0], pods[OTHER].models[0]
    assert (value(here.completions), value(there.completions)) == (20.0, 30.0)
    assert (value(here.queueing), value(there.queueing)) == (2.0, 3.0)
    assert "younger" in why(here.completions_slow)
    assert there.pending == Sample(5.0, NOW - 1)


async def test_the_order_of_labels_is_the_servers_own() -> None:
    """Prometheus sorts them; others that speak its API need not."""

    def turned(rows: Rows) -> Rows:
        return [entry | {"metric": dict(reversed(entry["metric"].items()))} for entry in rows]

    as_usual = await read(pending_change=[model(5, _part="fast")])
    for name in ("completions", "pending_range", "pending_change", "sample_times"):
        rows = busy(pending_change=[model(5, _part="fast")])[name.replace("_", " ")]
        changed = {"pending_change": [model(5, _part="fast")], name: turned(rows)}
        assert await read(**changed) == as_usual, name


@pytest.mark.parametrize("name", ["a}b", 'say "x"', "{}", "ünï"])
async def test_odd_model_names_are_read_whole(name: str) -> None:
    signals = await only(
        completions=[model(20, name)],
        pending=[model(4, name)],
        pending_range=[model(1, name, _part="floor"), model(9, name, _part="peak")],
    )
    assert signals.model == name
    assert value(signals.completions) == 20.0
    assert value(signals.pending_peak) == 9.0


async def test_duty_cycle_zero_while_requests_complete_is_a_blank() -> None:
    pods = await read(duty_cycle=[row(0, source="triton")])
    reason = why(pods[POD].duty_cycle)
    assert reason.startswith("nv_gpu_utilization reads 0 while 20 requests/s complete")


async def test_duty_cycle_zero_on_an_idle_pod_is_zero() -> None:
    pods = await read(duty_cycle=[row(0, source="gr")], completions=[model(0)], pending=[model(0)])
    assert value(pods[POD].duty_cycle) == 0.0


async def test_a_mig_slice_refuses_the_utilisation_that_is_wrong_there() -> None:
    pods = await read(duty_cycle=[row(0.4, source="mig")])
    assert "DCGM_FI_PROF_GR_ENGINE_ACTIVE" in why(pods[POD].duty_cycle)


async def test_a_utilisation_in_percent_is_not_a_ratio() -> None:
    pods = await read(duty_cycle=[row(87, source="gr")])
    assert why(pods[POD].duty_cycle).endswith("reads 87, expected 0 to 1")


async def test_no_gpu_figures_name_what_was_looked_for() -> None:
    pods = await read(duty_cycle=[], power=[row("NaN", source="triton")])
    assert "DCGM_FI_DEV_GPU_UTIL" in why(pods[POD].duty_cycle)
    assert "nv_gpu_power_usage" in why(pods[POD].gpu_power)


async def test_power_is_a_share_of_the_limit() -> None:
    pods = await read(power=[row(0.55, source="dcgm")])
    assert pods[POD].gpu_power == Sample(0.55, NOW, 60.0)
