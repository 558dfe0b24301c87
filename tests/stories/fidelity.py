"""The fluid world beside the recorded H200s: same load, same replicas, second by second.

The servers are made from `h200-bert-large-1gpu/perf.csv` alone: a closed-loop sweep of one server.
What four of them did under an open-loop load of 350 s, with starts, a crash and scale-ins, is then
predicted and laid over what was recorded (`h200-bert-large-4gpu`).

    python -m tests.stories.fidelity docs/plots/fidelity.html    # also: make plots
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoscaler.model import Sla
from autoscaler.policy.profile import parse_profile
from autoscaler.sim.curve import ServerCurve
from autoscaler.sim.fit import curve_of
from autoscaler.sim.fluid import FluidWorld
from autoscaler.sim.plot import Limit, Mark, Panel, Series
from autoscaler.sim.report import write_report
from autoscaler.sim.scenario import Scenario, StartTimes
from autoscaler.sim.trace import Trace
from tests.conftest import RECORDINGS
from tests.stories.recorded import rows
from tests.unit.sim.recording import START, changes_by_scrape

SECONDS = 350
# (second, replicas that are wanted from then on)
SIZES = ((45, 2), (90, 3), (130, 4), (217, 3), (222, 4), (290, 3), (310, 2), (325, 1))
CRASH = 215
STARTS = StartTimes(scheduling=0, pulling=0, loading=15, spread=0)  # recorded: 14.6 to 15.4
# Where real clients were still backing off from a dead connection, or a new server stuttered.
ODD = ((214, 217), (237, 244))


@dataclass(frozen=True)
class Second:
    """Requests/s offered and answered; seconds; mean requests waiting."""

    at: float
    offered: float
    answered: float
    p50: float | None
    p90: float | None
    p99: float | None


@dataclass(frozen=True)
class Stretch:
    """Between two scrapes: fleet queue time (ratio of sums), s, and requests/s answered."""

    at: float
    queue_time: float | None
    answered: float


@dataclass(frozen=True)
class Side:
    seconds: Sequence[Second]
    stretches: Sequence[Stretch]


def calibrated() -> ServerCurve:
    text = (RECORDINGS / "h200-bert-large-1gpu/perf.csv").read_text(encoding="utf-8")
    return curve_of(parse_profile(text))


def recorded() -> Side:
    clients = rows(RECORDINGS / "h200-bert-large-4gpu/clients.csv")

    def ms(row: dict[str, str], name: str) -> float | None:
        return float(row[name]) / 1000 if row[name] else None

    seconds = [
        Second(
            at=float(row["timestamp"]) - START,
            offered=float(row["offered_rps"]),
            answered=float(row["ok"]),
            p50=ms(row, "p50_ms"),
            p90=ms(row, "p90_ms"),
            p99=ms(row, "p99_ms"),
        )
        for row in clients
    ]
    stretches = [
        Stretch(at, queue / success if success else None, success / span)
        for at, span, success, queue in changes_by_scrape(RECORDINGS)
    ]
    return Side(seconds, stretches)


def simulated(curve: ServerCurve, offered: Sequence[float]) -> Side:
    scenario = Scenario(
        curve,
        Sla(queue_time=0.025),
        starts=STARTS,
        scrape=5.0,
        tick=5.0,
        step=1.0,
        resolution=1.0,
        drain=2.0,
        detection=1.5,
    )
    world = FluidWorld(scenario, Trace(START, 1.0, tuple(offered)), seed=1, replicas=1)
    sizes, seconds = dict(SIZES), []
    for second in range(SECONDS):
        if second in sizes:
            world.scale(sizes[second])
        if second == CRASH:
            world.kill([pod for pod in world.pods if pod.group][2])
        world.advance(START + second + 1)
        answered = world.history.answered[second]
        seconds.append(
            Second(
                second,
                offered[second],
                answered,
                *(world.latency(quantile) for quantile in (0.5, 0.9, 0.99)),
            )
        )
    history, stretches = world.history, []
    for end in range(5, SECONDS + 1, 5):
        answered = sum(history.answered[end - 5 : end])
        queued = sum(history.queued[end - 5 : end])
        stretches.append(Stretch(end, queued / answered if answered else None, answered / 5))
    return Side(seconds, stretches)


def errors(
    real: Side, mine: Side, pick: Callable[[Second], float | None], since: float, until: float
) -> list[float]:
    """Relative errors of the seconds in [since, until), without the odd ones."""
    found = []
    for a, b in zip(real.seconds, mine.seconds, strict=True):
        if not since <= b.at < until or any(low <= b.at < high for low, high in ODD):
            continue
        left, right = pick(a), pick(b)
        if left and right is not None:
            found.append(right / left - 1)
    return found


def queue_errors(real: Side, mine: Side) -> list[float]:
    """Of the stretches that both tell, without the odd ones."""
    known = {round(s.at): s.queue_time for s in real.stretches}
    return [
        s.queue_time / recorded_time - 1
        for s in mine.stretches
        if s.queue_time is not None
        and (recorded_time := known.get(round(s.at))) is not None
        and not any(low < s.at and s.at - 5 < high for low, high in ODD)
    ]


def short(real: Side, mine: Side) -> list[tuple[str, str]]:
    """(what, `2 %, 6 %`: the median and the p90 of the relative errors)."""

    def told(found: Sequence[float]) -> str:
        off = sorted(abs(error) for error in found)
        return f"{100 * statistics.median(off):.0f} %, {100 * off[int(0.9 * len(off))]:.0f} %"

    return [
        ("answered/s", told(errors(real, mine, lambda s: s.answered, 0, SECONDS))),
        ("queue time, 5 s", told(queue_errors(real, mine))),
        ("p50 latency", told(errors(real, mine, lambda s: s.p50, 0, SECONDS))),
        ("p90 latency", told(errors(real, mine, lambda s: s.p90, 0, SECONDS))),
        ("p99 latency", told(errors(real, mine, lambda s: s.p99, 0, SECONDS))),
    ]


def write_plot(real: Side, mine: Side, path: Path) -> None:
    def seconds(side: Side, name: str, scale: float) -> list[tuple[float, float | None]]:
        values = ((s.at, getattr(s, name)) for s in side.seconds)
        return [(START + at, None if value is None else value * scale) for at, value in values]

    def both(name: str, scale: float = 1.0) -> list[Series]:
        return [
            Series("recorded", seconds(real, name, scale)),
            Series("simulated", seconds(mine, name, scale)),
        ]

    queue = [
        Series(label, [(START + s.at, s.queue_time and 1e3 * s.queue_time) for s in side.stretches])
        for label, side in (("recorded", real), ("simulated", mine))
    ]
    panels = [
        Panel("Answered", "requests/s", both("answered")),
        Panel("Queue time, fleet, 5 s", "ms", queue, "log", [Limit("SLA 25 ms", 25.0)]),
        Panel("p50 latency", "ms", both("p50", 1e3), "log"),
        Panel("p90 latency", "ms", both("p90", 1e3), "log"),
        Panel("p99 latency", "ms", both("p99", 1e3), "log"),
    ]
    marks = [
        Mark("crash", START + CRASH, label="replica 2 is killed", alarm=True),
        *(
            Mark("left out of the errors", START + low, START + high, why)
            for (low, high), why in zip(
                ODD, ("the crash itself", "real clients still backed off"), strict=True
            )
        ),
    ]
    write_report(
        path,
        "The simulator beside four H200s",
        panels,
        [],
        marks,
        [(f"{what}: median, p90 error", errors) for what, errors in short(real, mine)],
        subtitle="Servers made from a sweep of one (h200-bert-large-1gpu/perf.csv), load and "
        "replicas as recorded (h200-bert-large-4gpu); errors are relative, over the seconds of the "
        "load. Made by python -m tests.stories.fidelity.",
        origin=START,
    )


def compare() -> tuple[Side, Side]:
    real = recorded()
    return real, simulated(calibrated(), [second.offered for second in real.seconds])


if __name__ == "__main__":
    write_plot(*compare(), Path(sys.argv[1]))
