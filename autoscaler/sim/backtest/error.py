"""How far the model is off on this very history: the recorded replicas, run through the model."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from autoscaler.sim.backtest.flows import Flows
from autoscaler.sim.backtest.modelled import Modelled
from autoscaler.sim.backtest.result import Error
from autoscaler.sim.plot import Points


def recorded_waits(flows: Flows, seconds: float) -> list[tuple[float, float | None]]:
    """(Unix time, mean seconds in the queue) by rows of `seconds`; None without an answer."""
    each = max(1, round(seconds / flows.bin))
    found: list[tuple[float, float | None]] = []
    for first in range(0, len(flows), each):
        answered = sum(flows.answered[first : first + each])
        queued = sum(flows.queued[first : first + each])
        # Less than one answer in a row is a share of a neighbour's.
        wait = queued / answered if answered >= 1.0 else None
        found.append((float(flows.start + first * flows.bin), wait))
    return found


def modelled_waits(run: Modelled) -> Points:
    history = run.history
    return [(history.at(row), history.queue_time(row)) for row in range(len(history))]


def joined(halves: Sequence[Points]) -> Points:
    """The first half of the first, the second half of the second."""
    if len(halves) == 1:
        return halves[0]
    middle = len(halves[0]) // 2
    return [*halves[0][:middle], *halves[1][middle:]]


def error(
    recorded: Points,
    modelled: Points,
    seconds: float,
    missed: tuple[Sequence[int], Sequence[int]],
    *,
    across: bool,
) -> Error:
    """`missed`: minutes by the record, and by the model."""
    pairs = [
        (there, here)
        for (_, there), (_, here) in zip(recorded, modelled, strict=False)
        if there is not None and here is not None
    ]
    off = sorted(abs(here - there) for there, here in pairs)
    by_record, by_model = set(missed[0]), set(missed[1])
    return Error(
        rows=len(pairs),
        seconds=seconds,
        median=statistics.median(off) if off else None,
        p90=off[min(len(off) - 1, int(0.9 * len(off)))] if off else None,
        bias=statistics.fmean(here - there for there, here in pairs) if pairs else None,
        both=len(by_record & by_model),
        only_recorded=len(by_record - by_model),
        only_model=len(by_model - by_record),
        across=across,
    )
