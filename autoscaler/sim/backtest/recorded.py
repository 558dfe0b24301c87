"""What really ran: its size, its GPU-hours, its waits and its missed minutes, off the record."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autoscaler.model import Policy
from autoscaler.sim.backtest.flows import Flows
from autoscaler.sim.backtest.history import History
from autoscaler.sim.backtest.result import Figures
from autoscaler.sim.result import MISSED

UNSURE = 0.97  # of a replica's capacity: beyond, requests may have been refused uncounted


@dataclass(frozen=True, slots=True)
class Ran:
    """By step: `serving` (pods with samples) and `size` (spec.replicas, else those). `known`: by
    minute, whether anything was recorded.
    """

    serving: Sequence[int]
    size: Sequence[int]
    known: Sequence[bool]


def sizes(history: History) -> Ran:
    """In a gap a fleet stays what it was."""
    serving = history.serving()
    size: list[int] = []
    for at, pods in zip(history.steps(), serving, strict=True):
        spec = history.spec.get(at // history.step)
        seen = pods > 0 or history.known(at)
        before = size[-1] if size else next((n for n in serving if n), 0)
        size.append(int(spec) if spec is not None else pods if seen else before)
    return Ran(serving, size, known_minutes(history))


def known_minutes(history: History) -> list[bool]:
    """A minute is known unless half of it lies in a gap."""
    length = history.end - history.start
    hidden = [0.0] * -(-length // 60)
    for start, end in history.gaps:
        first = int(start - history.start) // 60
        for minute in range(first, min(len(hidden), int(end - history.start) // 60 + 1)):
            begun = history.start + 60 * minute
            hidden[minute] += max(0.0, min(end, begun + 60) - max(start, begun))
    return [seconds < min(60, length - 60 * minute) / 2 for minute, seconds in enumerate(hidden)]


def figures(
    history: History,
    flows: Flows,
    ran: Ran,
    policy: Policy,
    patience: float,
    late: Callable[[float], float],
) -> tuple[Figures, list[int]]:
    """And the numbers of the missed minutes. `late`: share that waits too long, by its mean."""
    minutes, missed, certain = _minutes(flows, ran.known, patience, late)
    gpus = policy.nodes.gpus_per_replica if policy.nodes else 1
    size = ran.size[:-1]
    hours = sum(size) * gpus * history.step / 3600
    changes = [b - a for a, b in itertools.pairwise(ran.size)]
    answered, queued = sum(flows.answered), sum(flows.queued)
    found = Figures(
        gpu_hours=hours,
        cost=hours * policy.cost.gpu_hour if policy.cost else None,
        minutes=minutes,
        missed=len(missed),
        certain=certain,
        ups=sum(change > 0 for change in changes),
        downs=sum(change < 0 for change in changes),
        mean_replicas=sum(size) / max(1, len(size)),
        most_replicas=max(size, default=0),
        queue_time=queued / answered if answered else None,
        requests=sum(flows.arrived),
    )
    return found, missed


def _minutes(
    flows: Flows, known: Sequence[bool], patience: float, late: Callable[[float], float]
) -> tuple[int, list[int], int]:
    """(with requests, those missed, how many of them for certain).

    For certain where the mean wait alone is over the SLA, or more than 1 % failed.
    """
    each = max(1, 60 // flows.bin)
    by_wait = flows.late(late, each)
    counted, missed, certain = 0, [], 0
    for minute, told in enumerate(known):
        first, last = minute * each, (minute + 1) * each
        answered, failed = sum(flows.answered[first:last]), sum(flows.failed[first:last])
        came = max(sum(flows.arrived[first:last]), answered + failed)
        if not told or came <= 0 or minute >= len(by_wait):
            continue
        counted += 1
        too_long = sum(flows.queued[first:last]) > patience * answered
        if too_long or failed > MISSED * came:
            certain += 1
            missed.append(minute)
        elif by_wait[minute] + failed > MISSED * came:
            missed.append(minute)
    return counted, missed, certain


def unsure(flows: Flows, ran: Ran, capacity: float) -> int:
    """Minutes in which the fleet was sent all that it can answer: maybe more came."""
    each = max(1, 60 // flows.bin)
    count = 0
    for first in range(0, len(flows) - each + 1, each):
        room = sum(ran.serving[first : first + each]) * flows.bin * capacity
        count += room > 0 and sum(flows.load[first : first + each]) > UNSURE * room
    return count
