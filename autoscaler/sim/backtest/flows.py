"""Who came, who was answered, how long they queued: the recorded counters in bins of time."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from autoscaler.sim.backtest.history import History, PodPast


@dataclass(slots=True)
class Flows:
    """Columns of `bin` seconds from `start` on, over all pods. Requests may be fractions.

    `arrived` = completed + failed + change of pending; `load`: the same with each model's
    requests weighted by what they are worth; `queued` is seconds, of those answered. `waits`:
    (bin, requests, mean seconds that they waited), of each pod between two samples.
    """

    start: int
    bin: int
    arrived: array[float]
    load: array[float]
    answered: array[float]
    failed: array[float]
    queued: array[float]
    waits: tuple[array[int], array[float], array[float]] = field(
        default_factory=lambda: (array("i"), array("d"), array("d"))
    )

    def __len__(self) -> int:
        return len(self.arrived)

    def late(self, share: Callable[[float], float], each: int) -> array[float]:
        """Requests that waited too long, by `each` bins; `share`: of those with that mean wait."""
        found = array("d", bytes(8 * -(-len(self) // each)))
        for at, count, wait in zip(*self.waits, strict=True):
            found[at // each] += share(wait) * count
        return found


class Growth(NamedTuple):
    """What one pod did from `start` to `end`, between two samples."""

    start: float
    end: float
    arrived: float
    load: float
    answered: float
    failed: float
    queued: float


def flows(history: History, weights: Mapping[str, float] | None) -> Flows:
    """`weights`: worth of one request by model, those not named 0; None: 1 each."""
    bins = (history.end - history.start) // history.step
    arrived, load, answered, failed, queued = (array("d", bytes(8 * bins)) for _ in range(5))
    found = Flows(history.start, history.step, arrived, load, answered, failed, queued)
    places, counts, waits = found.waits
    for pod in history.pods:
        for one in growths(history, pod, weights):
            _spread(found, one)
            place = (int(one.end) - found.start) // found.bin
            if one.answered > 0 and 0 <= place < bins:
                places.append(place)
                counts.append(one.answered)
                waits.append(one.queued / one.answered)
    return found


def _spread(flows: Flows, one: Growth) -> None:
    """Evenly over the bins that it lies in."""
    start, end, arrived, load, answered, failed, queued = one
    first, last = (start - flows.start) / flows.bin, (end - flows.start) / flows.bin
    if last <= 0 or last <= first:
        return
    length = last - first
    for at in range(max(0, int(first)), min(len(flows.arrived), math.ceil(last))):
        part = (min(last, at + 1) - max(first, at)) / length
        flows.arrived[at] += part * arrived
        flows.load[at] += part * load
        flows.answered[at] += part * answered
        flows.failed[at] += part * failed
        flows.queued[at] += part * queued


def growths(
    history: History, pod: PodPast, weights: Mapping[str, float] | None = None
) -> Iterator[Growth]:
    """From sample to sample. What came of a silent stretch in which others were seen (a restart)
    belongs to its last interval; of one in which nobody was, to all of it.
    """
    times = pod.times
    fixed = history.intervals[0][1] if len(history.intervals) == 1 else None
    models = [
        (1.0 if weights is None else weights.get(name, 0.0), model)
        for name, model in pod.models.items()
    ]
    first = _before_first(history, pod, weights)
    if first is not None:
        yield first
    for i in range(1, len(times)):
        start, end = times[i - 1], times[i]
        interval = fixed or history.interval(end)
        if end - start > 3 * interval + 5.0 and not _unseen(history, start, end):
            start = end - interval
        arrived = load = answered = failed = queued = 0.0
        for weight, model in models:
            if not model.first < i <= model.last:
                continue
            done = model.done[i] - model.done[i - 1]
            bad = model.failed[i] - model.failed[i - 1] if model.failed else 0.0
            more = model.pending[i] - model.pending[i - 1] if model.pending else 0.0
            came = max(0.0, done + bad + more)
            arrived += came
            load += weight * came
            answered += done
            failed += bad
            if model.queued:
                queued += (model.queued[i] - model.queued[i - 1]) / 1e6
        yield Growth(start, end, arrived, load, answered, failed, queued)


def _before_first(
    history: History, pod: PodPast, weights: Mapping[str, float] | None
) -> Growth | None:
    """What a pod that came up within the history had served by its first sample."""
    began = pod.times[0]
    interval = history.interval(began)
    if began < history.start or _unseen(history, began - 2 * interval, began):
        return None
    served = sum(pod.before_first.values())
    load = sum(
        (1.0 if weights is None else weights.get(name, 0.0)) * count
        for name, count in pod.before_first.items()
    )
    # Its wait is not known: it counts as load, not as an answer.
    return Growth(began - interval, began, served, load, 0.0, 0.0, 0.0)


def _unseen(history: History, start: float, end: float) -> bool:
    """Whether nobody was seen in half of the stretch."""
    hidden = sum(max(0.0, min(b, end) - max(a, start)) for a, b in history.gaps)
    return hidden > (end - start) / 2
