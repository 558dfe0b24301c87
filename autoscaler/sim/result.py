"""What one run came to. One definition of a missed minute, wherever runs are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoscaler.sim.fluid import FluidWorld
    from autoscaler.sim.history import History

# Of a minute's requests; more of them late, refused or lost and the minute missed the SLA.
MISSED = 0.01


@dataclass(frozen=True, slots=True)
class Outcome:
    """`minutes`: those with requests. `miss_minutes`: those of them in which more than 1 % of the
    requests waited longer than sla.queueTime, were refused or were lost. `late_share`: of all
    requests, likewise. `cost` is None without a price.
    """

    name: str
    seed: int
    minutes: int
    miss_minutes: int
    late_share: float
    gpu_hours: float
    cost: float | None
    scale_ups: int
    scale_downs: int
    requests: float
    refused: float
    lost: float
    queue_time: float | None  # seconds, mean of the answered
    peak_replicas: int
    days: float
    history: History

    @property
    def scale_events(self) -> int:
        return self.scale_ups + self.scale_downs

    @property
    def month(self) -> float:
        """GPU-hours of 30 days at this rate."""
        return self.gpu_hours * 30 / self.days


def outcome(world: FluidWorld, name: str) -> Outcome:
    """Of a world that has run to where it was to run."""
    world.finish()
    totals, price = world.totals, world.scenario.gpu_hour
    gpu_hours = totals.gpu_seconds / 3600
    counted, missed = minutes(world.history)
    return Outcome(
        name=name,
        seed=world.seed,
        minutes=counted,
        miss_minutes=missed,
        late_share=totals.missed / totals.sent if totals.sent else 0.0,
        gpu_hours=gpu_hours,
        cost=None if price is None else gpu_hours * price,
        scale_ups=world.scale_ups,
        scale_downs=world.scale_downs,
        requests=totals.sent,
        refused=totals.refused,
        lost=totals.lost,
        queue_time=totals.queued / totals.answered if totals.answered else None,
        peak_replicas=int(max(world.history.ready, default=0)),
        days=(world.now - world.start) / 86400,
        history=world.history,
    )


def minutes(history: History) -> tuple[int, int]:
    """(minutes with requests, those of them that missed). Rows finer than a minute are summed."""
    each = max(1, round(60 / history.resolution))
    counted = missed = 0
    for first in range(0, len(history), each):
        rows = range(first, min(first + each, len(history)))
        sent = sum(history.sent[row] for row in rows)
        if sent > 0:
            counted += 1
            missed += sum(history.missed(row) for row in rows) > MISSED * sent
    return counted, missed
