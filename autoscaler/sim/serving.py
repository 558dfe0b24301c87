"""Servers that have lived through the same: one queue's arithmetic stands for all of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from autoscaler.sim.curve import ServerCurve

CELLS = 256  # of the table of loads without a backlog
PIECES = 8  # of a step in which a backlog grows or falls


class Reading(NamedTuple):
    """One scrape of one server: its counters and gauges."""

    at: float
    success: float
    queueing: float  # seconds
    pending: float
    duty_cycle: float


class Served(NamedTuple):
    """What one server did in a step. `late`: of the arrivals, by what they will wait."""

    completed: float
    queueing: float  # seconds, of those completed
    late: float
    refused: float
    waiting: float  # mean number of requests waiting
    duty_cycle: float


class Responses:
    """The curve at a fixed patience, as a table: what a server without a backlog does."""

    def __init__(self, curve: ServerCurve, patience: float) -> None:
        self.curve, self.patience = curve, patience
        self.brink, self.capacity = curve.brink, curve.capacity
        self._width = self.brink / CELLS
        rates = [self._width * cell for cell in range(CELLS + 1)]
        self._queue = [curve.queue_time(rate) for rate in rates]
        self._late = [curve.late(rate, patience) for rate in rates]
        self._duty = [curve.duty_cycle(rate) for rate in rates]

    def at(self, rate: float) -> tuple[float, float, float]:
        """(queue time, share late, duty cycle) at a rate; above the brink as at the brink."""
        where = rate / self._width
        cell = int(where)
        if cell >= CELLS:
            return self._queue[-1], self._late[-1], self._duty[-1]
        share = where - cell
        queue, late, duty = self._queue, self._late, self._duty
        return (
            queue[cell] + (queue[cell + 1] - queue[cell]) * share,
            late[cell] + (late[cell + 1] - late[cell]) * share,
            duty[cell] + (duty[cell + 1] - duty[cell]) * share,
        )


@dataclass(slots=True, eq=False)
class Group:
    """`count` servers that became ready together, or so long ago that it no longer shows.

    `backlog`: requests that wait in each beyond those that its load alone keeps waiting.
    """

    count: int
    since: float
    readings: deque[Reading]
    backlog: float = 0.0
    even_since: float = 0.0  # no backlog since then
    rate: float = 0.0  # requests/s that arrived in the last step
    success: float = 0.0
    queueing: float = 0.0
    pending: float = 0.0
    duty_cycle: float = 0.0

    def step(self, responses: Responses, rate: float, seconds: float, now: float) -> Served:
        """`rate`: requests/s that arrive at each server."""
        self.rate = rate
        if self.backlog <= 0.0 and rate <= responses.brink:
            queue_time, share, duty = responses.at(rate)
            completed = rate * seconds
            served = Served(
                completed, completed * queue_time, completed * share, 0.0, rate * queue_time, duty
            )
        else:
            self.even_since = now + seconds
            served, self.backlog = overloaded(responses, self.backlog, rate, seconds)
        self.success += served.completed
        self.queueing += served.queueing
        self.pending = served.waiting
        self.duty_cycle = served.duty_cycle
        return served

    def read(self, at: float, keep_since: float) -> None:
        """A scrape. Readings from before `keep_since` are dropped."""
        readings = self.readings
        readings.append(Reading(at, self.success, self.queueing, self.pending, self.duty_cycle))
        while readings[0].at < keep_since:
            readings.popleft()


def overloaded(
    responses: Responses, backlog: float, rate: float, seconds: float
) -> tuple[Served, float]:
    """A step with a backlog, or with more than the brink; and the backlog at its end.

    The backlog changes by rate − capacity: 2,000/s on 1,640 leave 1,800 more after 5 s, and at a
    queue of 512 all but those are refused. Who finds b waiting waits b / capacity longer than the
    load alone makes him: 512 / 1,640 = 312 ms.
    """
    curve, capacity = responses.curve, responses.capacity
    base, _, duty = responses.at(rate)
    room = max(0.0, curve.max_queue - min(rate, responses.brink) * base)
    piece = seconds / PIECES
    began, late, refused, waited, level = backlog, 0.0, 0.0, 0.0, 0.0
    for _ in range(PIECES):
        before = backlog
        backlog += (rate - capacity) * piece
        if backlog > room:
            refused += backlog - room
            backlog = room
        backlog = max(backlog, 0.0)
        middle = (before + backlog) / 2
        level += middle
        wait = base + middle / capacity
        waited += wait
        late += rate * piece * curve.late(rate, responses.patience - middle / capacity)
    level, waited = level / PIECES, waited / PIECES
    accepted = rate * seconds - refused
    late *= accepted / (rate * seconds) if rate > 0 else 0.0
    completed = accepted + began - backlog
    duty = max(duty, responses.at(responses.brink)[2] if backlog > 0 else 0.0)
    return (
        Served(completed, completed * waited, late, refused, rate * base + level, duty),
        backlog,
    )
