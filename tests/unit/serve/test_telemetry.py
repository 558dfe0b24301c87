"""Our own metrics: what is unknown has no sample, what is gone has no series."""

from __future__ import annotations

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from autoscaler.serve.board import Board
from autoscaler.serve.page import render
from autoscaler.serve.telemetry import Telemetry
from tests.unit.run.test_standby import Seat
from tests.unit.serve.shown import DECISION, board, named


def samples(telemetry: Telemetry) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    text = generate_latest(telemetry.registry).decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def telemetry(shown: Board, now: float = 1003.0) -> Telemetry:
    return Telemetry(shown, lambda: now)


def test_a_decision_in_figures() -> None:
    found = samples(telemetry(board()))
    one = ("default", "flower", "flower")
    assert found["triton_autoscaler_desired_replicas"] == {one: 4.0}
    assert found["triton_autoscaler_current_replicas"] == {one: 2.0}
    assert found["triton_autoscaler_binding"] == {("default", "flower", "demand", "flower"): 1.0}
    assert found["triton_autoscaler_observation_age_seconds"] == {one: 5.0}
    assert found["triton_autoscaler_queue_time_seconds"] == {one: 0.008}
    assert found["triton_autoscaler_hold"] == {one: 0.0}
    assert found["triton_autoscaler_dry_run"] == {(): 1.0}
    assert found["triton_autoscaler_build_info"] == {("0.1.0",): 1.0}


def test_one_daemon_of_several_is_the_leader() -> None:
    shown = board()
    assert samples(telemetry(shown))["triton_autoscaler_leader"] == {(): 1.0}
    shown.standing = Seat("pod-0", leading=False)
    assert samples(telemetry(shown))["triton_autoscaler_leader"] == {(): 0.0}
    assert "stands by, pod-9 leads" in render(shown, 1003.0, 100.0)


def test_unknown_replicas_are_no_sample_rather_than_zero() -> None:
    unknown = named("flower", current=None, ready=None, desired=None, hold="no answer", figures={})
    found = samples(telemetry(board(unknown)))
    assert "triton_autoscaler_desired_replicas" not in found
    assert "triton_autoscaler_requests_per_second" not in found
    assert found["triton_autoscaler_hold"] == {("default", "flower", "flower"): 1.0}


def test_a_capacity_that_is_belied_can_be_alerted_on_and_is_gone_when_it_holds() -> None:
    doubted = named("flower", figures={"capacityBelied": 0.735})
    found = samples(telemetry(board(doubted)))
    one = ("default", "flower", "flower")
    assert found["triton_autoscaler_capacity_belied_ratio"] == {one: 0.735}
    assert "triton_autoscaler_capacity_belied_ratio" not in samples(telemetry(board()))


def test_kube_metrics_adapter_97_a_removed_policy_takes_its_series_with_it() -> None:
    shown = board(DECISION, named("iris"))
    metrics = telemetry(shown)
    assert len(samples(metrics)["triton_autoscaler_desired_replicas"]) == 2
    shown.decisions = (DECISION,)
    assert len(samples(metrics)["triton_autoscaler_desired_replicas"]) == 1


def test_prometheus_adapter_636_a_bad_reload_shows_in_the_metrics() -> None:
    shown = board()
    shown.reload_good = False
    found = samples(telemetry(shown))
    assert found["triton_autoscaler_config_last_reload_successful"] == {(): 0.0}
    assert found["triton_autoscaler_config_last_reload_success_timestamp_seconds"] == {(): 900.0}
    assert found["triton_autoscaler_config_info"] == {("0123456789abcdef",): 1.0}


def test_errors_are_counted_by_cause_from_zero_on() -> None:
    metrics = telemetry(board())
    metrics.causes(["source", "decide"])
    assert samples(metrics)["triton_autoscaler_errors_total"] == {
        ("source",): 0.0,
        ("decide",): 0.0,
    }
    metrics.observe(0.2, {"read": 0.15}, ["source", "source"], ["scale"], "dry-run")
    found = samples(metrics)
    assert found["triton_autoscaler_errors_total"][("source",)] == 2.0
    assert found["triton_autoscaler_tick_duration_seconds_count"] == {(): 1.0}
    assert found["triton_autoscaler_tick_stage_seconds_total"] == {("read",): 0.15}
    assert found["triton_autoscaler_actions_total"] == {("dry-run", "scale"): 1.0}


def test_lost_journal_lines_are_a_counter() -> None:
    shown = board()
    shown.journal_lost = 7
    assert samples(telemetry(shown))["triton_autoscaler_journal_lost_lines_total"] == {(): 7.0}


def test_promtool_would_not_complain() -> None:
    """Each family once, with help; counters end in _total, times in _seconds."""
    text = generate_latest(telemetry(board(DECISION, named("iris"))).registry).decode()
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    assert all(name.startswith("triton_autoscaler_") for name in families)
