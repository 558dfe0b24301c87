"""Only one hand on the wheel: who else moves the replicas, and what keeps us from moving them.

Most of it is of `mode: scale` alone: in `recommend` an HPA on the target is expected, and in
`observe` nothing is written. What Kubernetes itself is at, a rollout or a quota, binds them all.
"""

from __future__ import annotations

from autoscaler.model import Contest, Hands, Policy, State, Step
from autoscaler.units import format_duration


def stay(
    policy: Policy, hands: Hands, state: State, current: int, wanted: int, now: float
) -> Step | None:
    """Told although nothing was wanted: who waits for the wheel should know that it is taken."""
    if policy.mode == "scale":
        if hands.paused is not None:
            reason = f"scaling is paused, {hands.paused}"
            return Step("hands", wanted, current, reason, "without that it goes on")
        if hands.others:
            return _shared(hands, current, wanted)
        if state.contest is not None:
            return _contested(policy, state, state.contest, current, wanted, now)
    if hands.refused is not None and wanted > current:
        reason = f"Kubernetes makes no more pods of it: {hands.refused}"
        return Step("hands", wanted, current, reason, "room for one more pod would raise it")
    return None


def _shared(hands: Hands, current: int, wanted: int) -> Step:
    who = " and ".join(hands.others)
    also = "also set the replicas" if len(hands.others) > 1 else "also sets the replicas"
    return Step(
        "hands",
        wanted,
        current,
        f"{who} {also}: in mode scale nothing is written beside another hand",
        "remove it, or choose mode: recommend and let it follow",
    )


def _contested(
    policy: Policy, state: State, contest: Contest, current: int, wanted: int, now: float
) -> Step:
    """A person goes before the limits, too: who sets 12 by hand in an incident, with a maximum of
    10 in the policy, keeps the 12 while the contest lasts.
    """
    low, high = policy.replicas.min, policy.replicas.max
    beyond = ""
    if current > high:
        beyond = f", and a change by hand goes before the maximum of {high}"
    elif current < low:
        beyond = f", and a change by hand goes before the minimum of {low}"
    ago = format_duration(now - contest.at)
    said = f"{contest.who} changed the replicas from {contest.before} to {contest.after} {ago} ago"
    rule = policy.when_contested
    if rule.then == "yield":
        left = format_duration(max(rule.lasts - (now - contest.at), 0.0))
        reason = f"{said}; the policy yields for {format_duration(rule.lasts)}{beyond}"
        return Step("hands", wanted, current, reason, f"scaling goes on in {left}")
    ours = state.written.replicas if state.written is not None else contest.before
    reason = f"{said}; the policy refuses to write over that{beyond}"
    return Step("hands", wanted, current, reason, f"set them back to {ours}, or edit the policy")


def rolling_out(hands: Hands, current: int, wanted: int) -> Step | None:
    """Old and new pods side by side: what one replica carries is in doubt until it is over."""
    if hands.rollout is None or wanted >= current:
        return None
    reason = f"a rollout is under way ({hands.rollout}), and nothing is scaled in meanwhile"
    return Step("rollout", wanted, current, reason, "the end of the rollout would let it go")


def notes(policy: Policy, hands: Hands, scaling_in: bool) -> list[str]:
    """What is worth knowing although it holds nothing."""
    said = []
    if hands.rollout is not None and not scaling_in:
        said.append(f"a rollout is under way ({hands.rollout}): scaling out goes on")
    if policy.mode == "scale" and hands.writer is not None and ", Apply" in hands.writer:
        said.append(
            f"{hands.writer} applies spec.replicas: its next apply may set them back; take "
            "replicas out of what it applies"
        )
    return said
