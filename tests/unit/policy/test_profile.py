"""Capacity from a load sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.policy import load
from autoscaler.policy.profile import ProfileError, parse_profile
from tests.unit.policy.texts import checks, load_text, policy_text

SWEEP = """\
Concurrency,Inferences/Second,p50 latency,p99 latency
4,400,9000,40000
1,100,8000,10000
2,200,8000,20000
8,300,9000,120000
"""


def capacity(limit: float, text: str = SWEEP) -> float:
    return parse_profile(text).capacity(0.99, limit)


def test_capacity_is_interpolated_between_measured_loads_whatever_the_order_of_rows() -> None:
    assert capacity(0.030) == pytest.approx(300.0)
    assert capacity(0.020) == pytest.approx(200.0)


def test_capacity_is_never_above_what_was_measured() -> None:
    assert capacity(9.0) == 400.0
    # 4 → 8: throughput already falls while latency rises to the limit
    assert capacity(0.080) == 400.0


def test_the_first_crossing_counts_where_latency_is_not_monotone() -> None:
    noisy = SWEEP.replace("2,200,8000,20000", "2,200,8000,60000")
    assert capacity(0.050, noisy) == pytest.approx(180.0)


def test_a_sla_that_the_lowest_load_breaks_has_no_capacity() -> None:
    with pytest.raises(ProfileError, match="lowest load takes 10 ms at p99, the SLA allows 5 ms"):
        capacity(0.005)


def test_request_rate_sweeps_and_byte_order_marks_are_read_too() -> None:
    text = (
        "Request Rate,Inferences/Second,p99 latency\n100,100,10000\n200,200,20000\n400,400,40000\n"
    )
    assert capacity(0.030, "\ufeff" + text.replace("\n", "\r\n")) == pytest.approx(300.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no rows"),
        ("Concurrency,Inferences/Second,p99 latency\n", "no rows"),
        ("a,b\n1,2\n", "lacks the column Concurrency or Request Rate and Inferences/Second"),
        ("Concurrency,Inferences/Second\n1,2\n", "lacks the column p99 latency"),
        (SWEEP.replace("4,400,", "4,fast,"), "no number under Inferences/Second in line 2"),
        (SWEEP.replace("4,400,", "4,nan,"), "no number"),
        (SWEEP.replace("4,400,", "4,-1,"), "no number"),
        (SWEEP + "16,500\n", "has 2 of 4 fields in line 6: it is cut off"),
        ('Concurrency,"Inferences/Second\n', "not CSV"),
    ],
)
def test_a_file_that_is_no_profile_says_why(text: str, reason: str) -> None:
    with pytest.raises(ProfileError, match=reason):
        parse_profile(text)


def test_the_h200_recording_gives_1669_requests_a_second_at_50_ms(recordings: Path) -> None:
    text = (recordings / "h200-bert-large-1gpu" / "perf.csv").read_text()
    # between concurrency 48 (1,631/s, 39.3 ms) and 64 (1,677/s, 52.3 ms)
    assert parse_profile(text).capacity(0.99, 0.050) == pytest.approx(1668.8, abs=0.1)


def test_the_strictest_percentile_sets_the_capacity() -> None:
    text = policy_text("capacity: {profile: sweep.csv}", sla="{latency: {p99: 30ms, p50: 8500us}}")
    found = load_text(text, **{"sweep.csv": SWEEP})
    (policy,) = found.policies
    assert policy.capacity is not None
    assert policy.capacity.requests_per_second == pytest.approx(300.0)
    assert policy.capacity.source == "profile sweep.csv (p99 within 30ms, p50 within 8.5ms)"


def test_a_profile_is_found_beside_its_policy_not_beside_the_caller(tmp_path: Path) -> None:
    (tmp_path / "team" / "profiles").mkdir(parents=True)
    (tmp_path / "team" / "profiles" / "sweep.csv").write_text(SWEEP)
    text = policy_text("capacity: {profile: profiles/sweep.csv}", sla="{latency: {p99: 30ms}}")
    (tmp_path / "team" / "flower.yaml").write_text(text)
    found = load([tmp_path])
    assert found.ok, found.problems
    assert found.profiles == (tmp_path / "team" / "profiles" / "sweep.csv",)


def test_an_edited_profile_changes_the_hash_of_the_set_and_of_the_policy(tmp_path: Path) -> None:
    (tmp_path / "sweep.csv").write_text(SWEEP)
    text = policy_text("capacity: {profile: sweep.csv}", sla="{latency: {p99: 30ms}}")
    (tmp_path / "flower.yaml").write_text(text)
    first = load([tmp_path])
    (tmp_path / "sweep.csv").write_text(SWEEP.replace("4,400,", "4,380,"))
    second = load([tmp_path])
    assert first.hash != second.hash
    assert first.policies[0].hash != second.policies[0].hash


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 2_000_000], ids=["binary", "huge"])
def test_what_is_no_text_is_no_profile(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sweep.csv").write_bytes(content)
    text = policy_text("capacity: {profile: sweep.csv}", sla="{latency: {p99: 30ms}}")
    (tmp_path / "flower.yaml").write_text(text)
    assert checks(load([tmp_path])) == ["profile-unreadable"]
    (tmp_path / "flower.yaml").write_text(text.replace("sweep.csv", "."))
    assert checks(load([tmp_path])) == ["profile-unreadable"]
