"""The built-in workloads have the statistics of real traces (`autoscaler.sim.workloads`)."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from autoscaler.sim.trace import Trace
from autoscaler.sim.workloads import WORKLOADS, workload


def figures(trace: Trace) -> tuple[float, float, float]:
    """Peak over mean of 60-s rates; largest rise within 5 minutes over the mean; their scatter
    from minute to minute.
    """
    minutes = list(trace.minutes())
    mean = sum(minutes) / len(minutes)
    rise = max(max(minutes[at : at + 6]) - minutes[at] for at in range(len(minutes) - 6))
    steps = [b / a - 1 for a, b in pairwise(minutes) if a > 0]
    return max(minutes) / mean, rise / mean, math.sqrt(sum(s * s for s in steps) / len(steps))


# (peak over mean, rise, scatter): Azure 1.53, 0.28; Alibaba's 1.9 to 3.0, 1.4 to 1.8; NASA 10, 7.
@pytest.mark.parametrize(
    ("name", "peak", "rise", "scatter"),
    [
        ("diurnal", (1.6, 2.6), (0.2, 0.9), (0.02, 0.10)),
        ("office", (2.4, 3.6), (0.6, 1.8), (0.02, 0.15)),
        ("bursty", (3.0, 7.0), (1.5, 4.5), (0.10, 0.40)),
        ("steps", (1.7, 2.8), (1.0, 2.2), (0.04, 0.25)),
        ("flash", (4.0, 13.0), (2.5, 10.0), (0.03, 0.20)),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_statistics(name, seed, peak, rise, scatter):
    found = figures(workload(name, seed))
    for value, (low, high) in zip(found, (peak, rise, scatter), strict=True):
        assert low <= value <= high, (name, found)


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_same_seed_is_the_same_and_another_another(name):
    one = workload(name, seed=1, days=0.5)
    assert workload(name, seed=1, days=0.5) == one
    assert workload(name, seed=2, days=0.5) != one
    assert one.mean == pytest.approx(1.0)
    assert one.duration == 43200
    assert min(one.counts) > 0


def test_weekends_in_the_office_are_quiet():
    trace = workload("office", days=7)
    noon = [trace.rate(trace.start + day * 86400 + 10 * 3600) for day in range(7)]
    assert max(noon[5:]) < 0.5 * min(noon[:5])


def test_an_unknown_name():
    with pytest.raises(KeyError):
        workload("constant")
