"""A board with something on it."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import Decision
from autoscaler.serve.board import Board
from tests.unit.decide.fleets import POLICY

DECISION = Decision(
    policy="default/flower",
    target=POLICY.target,
    at=1000.0,
    mode="observe",
    current=2,
    ready=2,
    desired=4,
    binding="demand",
    hold=None,
    sentence="Scale up 2 → 4: demand: 310 requests/s are 3.10 replicas' worth.",
    flip="8 requests/s fewer",
    figures={"requestsPerSecond": 310.0, "queueTime": 0.008, "oldestSample": 12.0},
)


def board(*decisions: Decision) -> Board:
    decisions = decisions or (DECISION,)
    return Board(
        version="0.1.0",
        interval=5.0,
        dry_run=True,
        beat=100.0,
        ticks=3,
        tick_at=1000.0,
        tick_duration=0.02,
        decisions=decisions,
        observed_at={decision.policy: 998.0 for decision in decisions},
        observed_once=True,
        policies=len(decisions),
        policies_hash="0123456789abcdef",
        reload_at=900.0,
    )


def named(name: str, **changes: object) -> Decision:
    target = replace(POLICY.target, name=name)
    return replace(DECISION, policy=f"default/{name}", target=target, **changes)  # type: ignore[arg-type]
