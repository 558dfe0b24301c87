"""A full queue refuses four of ten requests, every Triton failure counter stays at 0 and the GPU
reads 0.30: the recording h200-mix-1gpu, whose policy scales by duty cycle as people do today."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.policy import load
from tests.stories.recorded import prometheus_over, rows, walk
from tests.testbed.parts import PrometheusBinaries

pytestmark = pytest.mark.real

LAST_SAMPLE = 1795256949.0  # the last scrape, inside the step of 12,215 requests/s
POLICY = Path(__file__).parent / "policies" / "h200-mix.yaml"


async def test_refusals_that_no_counter_counts_are_seen_as_overload(
    prometheus_binaries: PrometheusBinaries, recordings: Path, tmp_path: Path
) -> None:
    recording = recordings / "h200-mix-1gpu"
    clients = {row["step"]: row for row in rows(recording / "mix.csv")}
    refused = clients["small open 1.4"]
    assert (int(refused["client_errors"]), int(refused["triton_rejected"])) == (37106, 0)

    policies = load([POLICY])
    assert policies.ok, policies.problems
    with prometheus_over(recording, prometheus_binaries, tmp_path) as prometheus:
        start = LAST_SAMPLE - 60
        ticks = await walk(prometheus.url, policies.policies, start, LAST_SAMPLE, step=5.0)

    before = [t.decisions[0] for t in ticks if t.at < LAST_SAMPLE - 20]  # up to 0.9 of capacity
    assert {d.binding for d in before}.isdisjoint({"overload"})
    overloaded = [d for t in ticks for d in t.decisions if d.binding == "overload"]
    assert overloaded, [t.decisions[0].sentence for t in ticks]
    for decision in overloaded:
        assert decision.desired == 2
        assert decision.figures["dutyCycle"] < 0.35
        assert decision.figures["rejectedRatio"] == 0
        assert "make a wait of" in decision.sentence
