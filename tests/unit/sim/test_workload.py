"""The demo's load has the statistics of real request traces (figures: the traces' table).

                    peak/mean (60 s)   rise in 5 min   scatter of 60-s counts
Azure LLM 2023            1.53              0.28              10 %
ServeGen m-mid            1.92              1.44               –
ServeGen m-large          2.98              1.78               –
Mooncake conversation     1.21              0.26               7 %
"""

from __future__ import annotations

from random import Random

import pytest

from autoscaler.sim.draws import poisson
from autoscaler.sim.workload import Burst, Workload, demo_workload, statistics


def counts(workload: Workload, seconds: int, seed: int = 1) -> list[int]:
    random = Random(seed)
    return [poisson(random, workload.rate(at + 0.5)) for at in range(seconds)]


@pytest.mark.parametrize("seed", range(5))
def test_the_demos_load_peaks_and_rises_as_real_services_do(seed):
    found = statistics(counts(demo_workload(seed), 900))
    assert 1.5 <= found.peak_over_mean <= 2.1
    assert 0.9 <= found.rise <= 1.8


def test_the_swing_scatters_as_real_traces_do():
    found = statistics(counts(Workload([(0, 1000)], seed=1, scatter=0.1), 6 * 3600))
    assert 0.06 <= found.scatter <= 0.1  # between Mooncake and Azure
    assert found.mean == pytest.approx(1000, rel=0.03)


def test_poisson_alone_has_dispersion_one():
    found = statistics(counts(Workload([(0, 50)], seed=1, scatter=0.0), 6 * 3600))
    assert found.dispersion == pytest.approx(1.0, abs=0.2)
    assert found.scatter < 0.01


def test_statistics_of_a_real_trace_match_the_published_table(reference_data):
    lines = (reference_data / "traces" / "azure_llm_2023_conv.csv").read_text().split()[1:]
    seconds = [int(line.split(",")[1]) for line in lines]
    found = statistics(seconds)
    assert found.mean == pytest.approx(5.53, rel=0.02)
    assert found.peak_over_mean == pytest.approx(1.53, abs=0.03)
    assert found.dispersion == pytest.approx(16.14, rel=0.1)


def test_a_burst_rises_stays_and_fades():
    burst = Burst(at=100, height=0.5, rise=10, stay=20, fade=40)
    assert [burst.factor(t) for t in (99, 105, 115, 150, 171)] == [1.0, 1.25, 1.5, 1.25, 1.0]


def test_the_same_seed_gives_the_same_load_in_any_order_of_asking():
    one, other = demo_workload(7), demo_workload(7)
    backwards = [other.rate(t) for t in range(899, -1, -1)][::-1]
    assert [one.rate(t) for t in range(900)] == backwards
    assert demo_workload(8).rate(100) != one.rate(100)
