"""What a history tells of its servers: what one carries, and how long its queue is at each load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.model import Policy
from autoscaler.sim.backtest import curve, recorded
from autoscaler.sim.backtest.findings import BacktestError, Finding, between
from autoscaler.sim.backtest.flows import Flows, flows
from autoscaler.sim.backtest.history import History
from autoscaler.sim.backtest.recorded import Ran
from autoscaler.sim.curve import ServerCurve

LONG = 6 * 3600  # seconds; from here on rows are minutes, below they are as fine as scrapes


@dataclass(frozen=True, slots=True)
class Measured:
    """What the history tells of a server: `servers` are those to run what ran with, one for each
    half where they were fitted. `capacity`: requests/s of one replica; `seen`: the most that one
    was seen to carry.
    """

    flows: Flows
    ran: Ran
    server: ServerCurve
    servers: Sequence[ServerCurve]
    capacity: float
    seen: float


def measure(
    history: History, policy: Policy, given_server: ServerCurve | None, findings: list[Finding]
) -> Measured:
    ran = recorded.sizes(history)
    worth, given = weights(history, policy)
    seen_flows = flows(history, worth)
    minutes = curve.minutes(
        seen_flows, ran.serving, 60 if rows_are_minutes(history) else history.step
    )
    seen = curve.most_seen(minutes)
    if given_server is not None:
        server = given_server
        return Measured(seen_flows, ran, server, (server,), server.capacity, seen)
    capacity = max(given or 0.0, seen)
    if capacity <= 0:
        raise BacktestError(
            between(history.start, history.end),
            "no request was answered in this time: there is nothing to judge a size by",
            "backtest a time with traffic",
        )
    if given is None:
        findings.append(
            Finding(
                "the model",
                f"no capacity is given: a replica is taken to carry {capacity:,.0f}/s, the most "
                "that one was seen to carry; it may carry more",
                "give capacity in the policy, or --profile",
            )
        )
    half = max(m.row for m in minutes) // 2 if minutes else 0
    halves = [[m for m in minutes if m.row >= half], [m for m in minutes if m.row < half]]
    name = f"fitted to this history, {capacity:,.0f} requests/s a replica"
    return Measured(
        seen_flows,
        ran,
        curve.fitted(minutes, capacity, name),
        [curve.fitted(other, capacity, name) for other in halves],
        capacity,
        seen,
    )


def rows_are_minutes(history: History) -> bool:
    return history.end - history.start >= LONG or 60 % history.step != 0


def weights(history: History, policy: Policy) -> tuple[dict[str, float] | None, float | None]:
    """(worth of a request by model, requests/s that one replica carries) by the policy.

    With a capacity for each model, a request is worth what it takes of a replica, and the mean
    request is worth 1: 340/s of one and 45/s of another, half and half, are 80/s.
    """
    capacity = policy.capacity
    if capacity is None or capacity.requests_per_second is not None:
        return None, capacity.requests_per_second if capacity else None
    counts: dict[str, float] = dict.fromkeys(capacity.models, 0.0)
    for pod in history.pods:
        for name, model in pod.models.items():
            if name in counts:
                counts[name] += model.done[-1]
    work = sum(count / capacity.models[name] for name, count in counts.items())
    each = sum(counts.values()) / work if work > 0 else min(capacity.models.values())
    return {name: each / rate for name, rate in capacity.models.items()}, each
