"""What of a tick is worth an Event: each change, and a hold or a failure when it is a new one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from autoscaler.model import Action, Decision, Target

# A policy's holds that come and go are told once in so many seconds at most, …
LEAST_BETWEEN = 60.0
# … and one that stays is told again after so many: Kubernetes forgets an Event after an hour.
AGAIN_AFTER = 1800.0
# 12, 3.5, 2m30s, 80%: what differs from tick to tick in words that mean the same.
_NUMBER = re.compile(r"(?:\d+(?:[.,]\d+)*(?:ms|µs|[smhd%])?)+")


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell about a target. The same `key` again is the same Event, counted."""

    target: Target
    policy: str
    key: str
    reason: str  # CamelCase, as `kubectl get events` shows it
    action: str
    note: str
    type: Literal["Normal", "Warning"] = "Normal"


@dataclass(frozen=True, slots=True)
class _Told:
    essence: str | None  # None: it was over at the last tick
    at: float


class NewsDesk:
    """Remembers what was told; `select` is asked once a tick."""

    def __init__(self) -> None:
        self._holds: dict[str, _Told] = {}
        self._failures: dict[str, _Told] = {}

    def select(
        self,
        decisions: Iterable[Decision],
        done: Iterable[Action],
        failed: Mapping[str, str],
        now: float,
    ) -> list[News]:
        """`done`: the writes that came through; `failed`: by policy, why one did not. Only of
        policies in `mode: scale`: of the others the cluster is not written to.
        """
        ours = [decision for decision in decisions if decision.mode == "scale"]
        holds = {d.policy: _essence(d) for d in ours if d.hold is not None}
        failures = {d.policy: plain(failed[d.policy]) for d in ours if d.policy in failed}
        by_policy = {decision.policy: decision for decision in ours}
        failing = _fresh(self._failures, failures, by_policy, now)
        holding = _fresh(self._holds, holds, by_policy, now)
        return [
            *(_change(action, now) for action in done if action.kind != "deletionCost"),
            *(_failure(by_policy[policy], failed[policy]) for policy in failing),
            *(_hold(by_policy[policy]) for policy in holding),
        ]


def _fresh(
    told: dict[str, _Told], present: Mapping[str, str], known: Iterable[str], now: float
) -> list[str]:
    """The policies whose essence is news now; `told` is brought up to date."""
    for policy in set(told) - set(known):
        del told[policy]
    for policy in set(told) - set(present):
        told[policy] = _Told(None, told[policy].at)
    fresh = []
    for policy, essence in present.items():
        last = told.get(policy)
        if last is not None:
            due = AGAIN_AFTER if last.essence == essence else LEAST_BETWEEN
            if now - last.at < due:
                continue
        told[policy] = _Told(essence, now)
        fresh.append(policy)
    return fresh


def plain(text: str) -> str:
    """Without numbers: 12 pending and 13 pending are one reason."""
    return _NUMBER.sub("#", text)


def _essence(decision: Decision) -> str:
    """The binding stage and how the reason begins; what follows a colon is detail."""
    reason = (decision.hold or "").partition(":")[0]
    return f"{decision.binding}: {plain(reason)[:80]}"


def _change(action: Action, now: float) -> News:
    up = action.after > action.before
    unit = "replicas"
    reason = "ScaledUp" if up else "ScaledDown"
    if action.kind == "pool" and action.pool is not None:
        unit = f"{action.pool.unit} in the node pool"
        reason = "PoolGrown" if up else "PoolShrunk"
    step = f"{action.before} → {action.after}"
    # A decision's own sentence says it already: "Scale up 2 → 3: demand: 310 requests/s …"
    note = action.reason if step in action.reason else f"{step} {unit}: {action.reason}"
    return News(
        target=action.target,
        policy=action.policy,
        key=f"{action.kind} {action.before} {action.after} {now}",
        reason=reason,
        action="Scale" if action.kind == "scale" else "ResizePool",
        note=note,
    )


def _failure(decision: Decision, text: str) -> News:
    return News(
        target=decision.target,
        policy=decision.policy,
        key=f"failed {plain(text)}",
        reason="FailedWrite",
        action="Scale",
        note=text,
        type="Warning",
    )


def _hold(decision: Decision) -> News:
    return News(
        target=decision.target,
        policy=decision.policy,
        key=f"held {_essence(decision)}",
        reason="Held",
        action="Hold",
        note=f"held at {decision.current}: {decision.hold}",
        type="Warning",
    )
