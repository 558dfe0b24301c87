"""What one server does at each load: queue time, who waits too long, GPU; for the fluid world.

Not a second set of figures: the curve is read off the request-level server (`sim.server`), run at
a dozen loads for up to four minutes each. The built-in H200 at 820 requests/s: 6.7 ms in the
queue, nobody over 50 ms, duty cycle 0.55; at 1,560 of its 1,640: 12 ms, and 1.5 % over 50.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import zip_longest

from autoscaler.sim.draws import seeded
from autoscaler.sim.server import ServerProfile, TritonServer

# Shares of the capacity that are measured. Above the last one a queue has no steady state: the
# fluid world lets it grow.
SHARES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.87, 0.92, 0.95, 0.97, 0.985)
# At each: its mean and tail settle soon with room to spare, and late near the brink. These and the
# cells are for the recorded H200, whose full batch takes 19.5 ms; a server that takes ten times as
# long is run ten times as long.
SECONDS, BUSY_SECONDS, BUSY = 20.0, 240.0, 0.8
WARM_UP = 3.0
RECORDED = ServerProfile()
CELL = 0.5e-3  # width of a histogram's cells, s
CELLS = 2400
QUANTILES = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One load: requests/s, mean seconds in the queue, seconds in the server by QUANTILES (queue
    and execution, no network), GPU duty cycle 0..1. `later[i]`: share of the requests that wait
    longer than i cells of `cell` seconds.
    """

    rate: float
    queue_time: float
    latency: tuple[float, ...]
    duty_cycle: float
    batch: float
    later: tuple[float, ...]
    cell: float = CELL

    def late(self, patience: float) -> float:
        """Share of the requests that wait longer than `patience` seconds."""
        if patience <= 0:
            return 1.0
        where = patience / self.cell
        index = int(where)
        if index + 1 >= len(self.later):
            return 0.0
        share = where - index
        return self.later[index] * (1 - share) + self.later[index + 1] * share


@dataclass(frozen=True, slots=True)
class ServerCurve:
    """`capacity`: requests/s at full batches. `full`: seconds of an execution at full batches.

    `max_queue`: requests that wait at most; the next one is refused. Points by rising rate.
    """

    name: str
    capacity: float
    full: float
    max_queue: int
    points: tuple[LoadPoint, ...]

    @property
    def brink(self) -> float:
        """Requests/s up to which the queue has a steady state."""
        return self.points[-1].rate

    def queue_time(self, rate: float) -> float:
        """Mean seconds in the queue at so many requests/s, without a backlog."""
        return self._between(rate, [point.queue_time for point in self.points])

    def late(self, rate: float, patience: float) -> float:
        """Share of the requests that wait longer than `patience` seconds."""
        return self._between(rate, [point.late(patience) for point in self.points])

    def duty_cycle(self, rate: float) -> float:
        """GPU utilisation, 0..1."""
        return self._between(rate, [point.duty_cycle for point in self.points], first=0.0)

    def latency(self, rate: float, quantile: float) -> float:
        """Seconds from arrival at the server to its answer. `quantile`: one of QUANTILES."""
        index = QUANTILES.index(quantile)
        return self._between(rate, [point.latency[index] for point in self.points])

    def scaled(self, factor: float, name: str) -> ServerCurve:
        """The same times at so many times the requests/s: another model in smaller batches."""
        points = tuple(
            replace(point, rate=point.rate * factor, batch=point.batch * factor)
            for point in self.points
        )
        return replace(self, name=name, capacity=self.capacity * factor, points=points)

    def _between(self, rate: float, values: Sequence[float], first: float | None = None) -> float:
        """Linear in the rate; `first`: the value at none, else that of the lowest load."""
        points = self.points
        index = bisect.bisect_left(points, rate, key=lambda point: point.rate)
        if index == len(points):
            return values[-1]
        after = points[index].rate
        if index == 0:
            return values[0] if first is None else first + (values[0] - first) * rate / after
        before = points[index - 1].rate
        share = (rate - before) / (after - before)
        return values[index - 1] * (1 - share) + values[index] * share


@cache
def measured(profile: ServerProfile, name: str = "") -> ServerCurve:
    """The curve of a request-level server: about half a second, once for each profile."""
    return ServerCurve(
        name=name or f"{profile.capacity:.0f} requests/s at full batches",
        capacity=profile.capacity,
        full=profile.service(profile.max_batch),
        max_queue=profile.max_queue,
        points=_rising([_measure(profile, share) for share in SHARES]),
    )


def h200() -> ServerCurve:
    """BERT-large on an H200, as recorded (`sim.server`)."""
    return measured(ServerProfile(), "BERT-large on H200")


def _rising(points: Sequence[LoadPoint]) -> tuple[LoadPoint, ...]:
    """Who is late at a lower load is late at a higher one: scatter of the measurement taken out."""
    found = [points[0]]
    for point in points[1:]:
        last = found[-1]
        late = zip_longest(last.later, point.later, fillvalue=0.0)
        found.append(
            replace(
                point,
                queue_time=max(last.queue_time, point.queue_time),
                latency=tuple(map(max, last.latency, point.latency)),
                later=tuple(max(both) for both in late),
            )
        )
    return tuple(found)


def _measure(profile: ServerProfile, share: float) -> LoadPoint:
    rate = share * profile.capacity
    slower = profile.service(profile.max_batch) / RECORDED.service(RECORDED.max_batch)
    warm, cell = WARM_UP * slower, CELL * slower
    seconds = slower * (BUSY_SECONDS if share >= BUSY else SECONDS)
    server = TritonServer(seeded(f"curve {rate:.6g}"), 0.0, profile)
    server.rate = rate
    server.advance(warm)
    before = server.counters
    queue, success, runs, busy = before.queue, before.success, before.executions, before.gpu_busy
    waits, latencies = [0.0] * CELLS, [0.0] * CELLS

    def tell(requests: Sequence[tuple[int, float, float]], took: float) -> None:
        for count, shortest, longest in requests:
            _spread(waits, count, shortest / cell, longest / cell)
            _spread(latencies, count, (shortest + took) / cell, (longest + took) / cell)

    server.on_execution = tell
    server.advance(warm + seconds)
    counters = server.counters
    answered = max(1, counters.success - success)
    return LoadPoint(
        rate=rate,
        queue_time=(counters.queue - queue) / answered,
        latency=tuple(cell * _quantile(latencies, share) for share in QUANTILES),
        duty_cycle=min(1.0, (counters.gpu_busy - busy) / seconds),
        batch=answered / max(1, counters.executions - runs),
        later=_later(waits),
        cell=cell,
    )


def _spread(cells: list[float], count: int, shortest: float, longest: float) -> None:
    """Up to four of the waits that lie evenly between the two, in cells."""
    parts = min(4, count)
    for part in range(parts):
        wait = shortest + (longest - shortest) * (part + 0.5) / parts
        cells[min(CELLS - 1, int(wait))] += count / parts


def _later(cells: list[float]) -> tuple[float, ...]:
    total, left, shares = sum(cells) or 1.0, sum(cells), []
    for cell in cells:
        shares.append(left / total)
        left -= cell
        if left <= 1e-9 * total:
            break
    return (*shares, 0.0)


def _quantile(cells: list[float], share: float) -> float:
    """In cells."""
    below, rank = 0.0, share * sum(cells)
    for index, cell in enumerate(cells):
        if cell and below + cell >= rank:
            return index + (rank - below) / cell
        below += cell
    return float(len(cells))
