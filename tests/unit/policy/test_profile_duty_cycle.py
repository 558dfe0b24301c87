"""From an SLA to a duty cycle: derived where the data support it, refused where they do not."""

from __future__ import annotations

import pytest

from autoscaler.model import Sla
from autoscaler.policy.profile import Point, Profile, Refusal, read_profiles
from autoscaler.policy.profile.duty_cycle import DutyCycle, duty_cycle_at
from tests.conftest import ROOT

SLA = Sla(latency=((0.99, 0.050),))
H200 = (ROOT / "tests/data/profiles/h200-bert-large-by-load.csv").read_text()


def sweep(*points: tuple[float, float, float, float | None]) -> Profile:
    """(load, requests/s, p99 in ms, GPU utilisation)"""
    return Profile(
        tuple(
            Point(load, rate, {0.99: ms / 1e3}, gpu_utilization=share)
            for load, rate, ms, share in points
        )
    )


def refused(profile: Profile, sla: Sla = SLA) -> str:
    found = duty_cycle_at(profile, sla)
    assert isinstance(found, Refusal), found
    return found.reason


def test_of_the_recorded_h200s_the_target_follows_from_the_sla() -> None:
    (profile,) = read_profiles(H200).profiles
    found = duty_cycle_at(profile, SLA)
    assert isinstance(found, DutyCycle)
    # p99 50 ms is 16/36 of the way from 1,440/s (81 %) to 1,600/s (85 %): 82.8 %, and / 1.1
    assert found.at_sla == pytest.approx(0.828, abs=0.001)
    assert found.target == 0.75
    assert found.highest == 0.85
    assert found.growth == pytest.approx(0.85 / 0.75)


def test_headroom_lowers_the_target_to_what_the_gpu_reads_there() -> None:
    (profile,) = read_profiles(H200).profiles
    found = duty_cycle_at(profile, SLA, headroom=0.2)
    assert isinstance(found, DutyCycle)
    # 80 % of 1,511/s is 1,209/s, 0.704 of the way from 1,040 (65 %) to 1,280 (74 %)
    assert found.target == 0.71


def test_it_says_what_nvidias_published_targets_would_do_here() -> None:
    (profile,) = read_profiles(H200).profiles
    found = duty_cycle_at(profile, SLA)
    assert isinstance(found, DutyCycle)
    assert found.published == (
        "NVIDIA's published 70% acts above 77%: at 95.3% of what the SLA allows",
        "NVIDIA's published 85% acts above 93.5%: never, this server reads 85% at most",
    )


def test_a_file_without_the_column_supports_none() -> None:
    reason = refused(sweep((1, 100, 10, None), (4, 300, 60, None)))
    assert reason == "has no GPU utilisation, or 0 at every load"
    reason = refused(sweep((1, 100, 10, 0.2), (4, 300, 60, None)))
    assert reason == "has no GPU utilisation at load 4"


def test_where_the_sla_was_never_broken_the_reading_there_was_not_seen() -> None:
    reason = refused(sweep((1, 100, 10, 0.2), (4, 300, 20, 0.6)))
    assert reason.startswith("breaks the SLA at no measured load")


def test_utilisation_that_falls_while_load_grows_tells_nothing() -> None:
    # vgg19, 2 instances: 61 %, then 49 % at more load
    reason = refused(
        sweep((1, 50, 9, 0.3), (4, 220, 20, 0.61), (8, 222, 30, 0.49), (16, 230, 60, 0.7))
    )
    assert "61% at concurrency 4 (220/s), then 49% at concurrency 8" in reason


def test_flat_utilisation_tells_nothing() -> None:
    # The small BERT of recordings/h200-mix-1gpu: 0.30 to 0.34 whatever happens
    reason = refused(sweep((1, 1000, 9, 0.30), (8, 7500, 30, 0.33), (64, 8700, 60, 0.34)))
    assert "utilisation is flat" in reason


def test_utilisation_that_does_not_rise_where_the_sla_breaks_tells_nothing() -> None:
    reason = refused(sweep((1, 50, 9, 0.1), (8, 215, 37, 0.294), (16, 207, 75, 0.273)))
    assert "29.4% at concurrency 8 (215/s), within the SLA" in reason
    assert "27.3% at concurrency 16 (207/s), which breaks it" in reason


def test_a_sweep_that_starts_near_its_end_tells_nothing_of_what_is_below() -> None:
    # ResNet50, 1 instance: concurrency 1 already carries 184 of 215/s
    reason = refused(sweep((1, 184, 6, 0.243), (2, 213, 9.6, 0.29), (32, 194, 152, 0.31)))
    assert "at its lowest load, more than half of what the SLA allows" in reason


def test_without_a_capacity_there_is_no_target() -> None:
    assert refused(sweep((1, 100, 60, 0.2), (4, 300, 80, 0.6))).startswith("even its lowest load")
