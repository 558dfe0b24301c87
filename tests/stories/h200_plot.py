"""The plot of the recorded H200s: what the clients sent, what we saw, what we would have done.

`make plots` writes it into docs/plots; the story test writes it too, so that it always can be.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from autoscaler.policy import load
from autoscaler.run.loop import Tick
from autoscaler.sim.plot import Limit, Mark, Panel, Series
from autoscaler.sim.report import write_report
from tests.stories.recorded import prometheus_over, rows, walk
from tests.testbed.parts import ensure_prometheus

ROOT = Path(__file__).parent.parent.parent
RECORDING = ROOT / "tests/data/recordings/h200-bert-large-4gpu"
POLICY = Path(__file__).parent / "policies" / "h200-bert-large.yaml"
BEGAN = 1795248926.1


def walk_recording() -> list[Tick]:
    """The policy over the recording's 350 s of load, a tick every 5 s."""
    policies = load([POLICY])
    assert policies.ok, policies.problems
    with (
        tempfile.TemporaryDirectory() as scratch,
        prometheus_over(RECORDING, ensure_prometheus(), Path(scratch)) as prometheus,
    ):
        return asyncio.run(walk(prometheus.url, policies.policies, BEGAN, BEGAN + 350, step=5.0))


def write_plot(ticks: Sequence[Tick], path: Path) -> None:
    decisions = [tick.decisions[0] for tick in ticks]

    def seen(figure: str, scale: float = 1.0) -> list[tuple[float, float | None]]:
        return [
            (d.at, d.figures[figure] * scale if figure in d.figures else None) for d in decisions
        ]

    offered = [
        (float(row["timestamp"]), float(row["offered_rps"]))
        for row in rows(RECORDING / "clients.csv")
    ]
    panels = [
        Panel(
            "Load",
            "requests/s",
            [
                Series("offered by the clients", offered, "area"),
                Series("seen in Prometheus", seen("requestsPerSecond")),
            ],
        ),
        Panel(
            "Replicas",
            "",
            [
                Series("called for", [(d.at, float(d.desired or 0)) for d in decisions], "step"),
                Series("ran", [(d.at, float(d.current or 0)) for d in decisions], "step"),
            ],
            decisions=True,
        ),
        Panel(
            "Queue time",
            "ms",
            [Series("fleet, ratio of sums over 20 s", seen("queueTime", 1000))],
            limits=[Limit("SLA 25 ms", 25.0)],
        ),
        Panel("Pending", "requests", [Series("all replicas, last sample", seen("pending"))]),
    ]
    write_report(
        path,
        "Four H200s, one crash: what we would have said",
        panels,
        decisions,
        marks(),
        subtitle="A recording of real Triton servers in a real Prometheus, walked by `run "
        "--dry-run`; nothing was carried out, the replicas that ran are the recording's.",
        origin=BEGAN,
    )


def marks() -> list[Mark]:
    """Crashes as moments, cold starts as spans from created to ready."""
    found, created = [], {}
    for row in rows(RECORDING / "events.csv"):
        at, replica = float(row["timestamp"]), row["replica"]
        if row["event"] == "replica_created":
            created[replica] = at
        elif row["event"] == "replica_ready" and at > BEGAN:
            found.append(Mark("cold start", created[replica], at, f"replica {replica}"))
        elif row["event"] == "replica_crashed":
            found.append(Mark("crash", at, label=f"replica {replica}", alarm=True))
    return found


if __name__ == "__main__":
    write_plot(walk_recording(), Path(sys.argv[1]))
