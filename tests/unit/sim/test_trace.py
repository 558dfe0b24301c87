from __future__ import annotations

import pytest

from autoscaler.sim.trace import Trace, usual_swing


def test_fine_bins_are_what_happened():
    trace = Trace(1000.0, 5.0, (10.0, 20.0, 0.0))
    assert (trace.duration, trace.end, trace.mean, trace.peak) == (15.0, 1015.0, 2.0, 4.0)
    assert [trace.rate(1000 + t) for t in (0, 4.9, 5, 14.9)] == [2, 2, 4, 0]
    assert trace.requests(1000, 1015) == 30
    assert trace.requests(1002.5, 1007.5) == pytest.approx(5 + 10)


def test_outside_of_it_nobody_comes():
    trace = Trace(1000.0, 5.0, (10.0, 20.0))
    assert trace.rate(999.9) == trace.rate(1010) == 0
    assert trace.requests(900, 1000) == trace.requests(1010, 1100) == 0
    assert trace.requests(900, 1100) == 30


def test_coarse_bins_are_a_line_from_middle_to_middle():
    trace = Trace(0.0, 600.0, (600.0, 1200.0, 1200.0))
    assert [trace.rate(t) for t in (0, 300, 600, 900, 1799)] == [1, 1, 1.5, 2, 2]
    assert trace.requests(590, 610) == pytest.approx(30)
    each = sum(trace.requests(t, t + 15) for t in range(0, 1800, 15))
    assert each == pytest.approx(trace.total, rel=0.03)


def test_parts_are_whole_bins_by_their_beginning():
    trace = Trace(1000.0, 10.0, (1.0, 2.0, 3.0, 4.0))
    part = trace.part(10, 30)
    assert (part.start, part.counts) == (1010.0, (2.0, 3.0))
    assert trace.part(0, 40) == trace
    both = trace.part(0, 20).counts + trace.part(20, 99).counts
    assert both == trace.counts
    with pytest.raises(ValueError, match="no bin of the trace begins in 40 s to 50 s"):
        trace.part(40, 50)


def test_scaling_keeps_the_shape_and_reaches_the_mean():
    trace = Trace(0.0, 60.0, (6000.0, 12000.0)).scaled(2.0, 1600.0)
    assert trace.mean == pytest.approx(3200)
    assert trace.counts[1] == pytest.approx(2 * trace.counts[0])
    assert trace.bin == 60


def test_scaling_a_thin_trace_joins_bins_so_that_poisson_noise_is_not_multiplied():
    # 5 requests/s in bins of 1 s scatter by 45 %; 40 a bin by 16 %.
    trace = Trace(0.0, 1.0, (5.0,) * 80)
    scaled = trace.scaled(1.0, 1600.0)
    assert scaled.bin == 8.0
    assert scaled.mean == pytest.approx(1600)


@pytest.mark.parametrize(("bin_", "counts"), [(0.0, (1.0,)), (-1.0, (1.0,)), (1.0, ())])
def test_a_trace_has_bins(bin_, counts):
    with pytest.raises(ValueError, match="at least one bin"):
        Trace(0.0, bin_, counts)


def test_nothing_cannot_be_scaled():
    with pytest.raises(ValueError, match="no requests"):
        Trace(0.0, 1.0, (0.0, 0.0)).scaled(1.0, 100.0)


def test_what_many_clients_send_evens_out():
    """Azure's trace of 5.5 requests/s scatters by 10 % about its trend."""
    assert usual_swing(5.5) == pytest.approx(0.11, abs=0.005)
    assert usual_swing(1790) == pytest.approx(0.006, abs=0.0005)
    assert usual_swing(0.001) == 0.3
    assert usual_swing(0.0) == 0.0
