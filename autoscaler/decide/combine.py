"""Stage 3: the highest valid proposal; with any objective missing, never below current."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.model import Policy, Proposal, Step
from autoscaler.units import format_duration


@dataclass(frozen=True, slots=True)
class Combined:
    """`held`: nothing was recommended. `blind`: no objective at all could say anything."""

    step: Step
    winner: Proposal | None
    held: bool
    blind: bool


def combine(current: int, proposals: Sequence[Proposal]) -> Combined:
    valid = [p for p in proposals if p.replicas is not None]
    missing = [p for p in proposals if p.replicas is None]
    if not proposals:
        step = Step("combine", current, current, "no objective has anything to say")
        return Combined(step, None, held=True, blind=True)
    if not valid:
        why = "; ".join(f"{p.objective}: {p.reason}" for p in missing)
        step = Step("combine", current, current, f"no trustworthy signal ({why})")
        return Combined(step, None, held=True, blind=True)
    winner = max(valid, key=_replicas)
    wanted = _replicas(winner)
    if missing and wanted < current:
        silent = missing[0]
        reason = (
            f"{winner.objective} would do with {wanted}, but {silent.objective} is missing "
            f"({silent.reason}), and nothing is lowered on incomplete data"
        )
        step = Step("combine", wanted, current, reason, f"{silent.objective} back would let it go")
        return Combined(step, winner, held=True, blind=False)
    reason = f"{winner.objective}: {winner.reason}"
    return Combined(
        Step("combine", current, wanted, reason, winner.flip), winner, held=False, blind=False
    )


def give_up_waiting(policy: Policy, replicas: int, blind_since: float, now: float) -> Step | None:
    """whenBlind: after `hold` seconds without any signal, raise to a safe size; never lower."""
    rule = policy.when_blind
    lasted = now - blind_since
    if rule.replicas is None:
        return None
    words = f"blind for {format_duration(lasted)}"
    if lasted < rule.hold:
        left = format_duration(rule.hold - lasted)
        reason = f"{words}; whenBlind waits {format_duration(rule.hold)}"
        return Step("whenBlind", replicas, replicas, reason, f"raises to {rule.replicas} in {left}")
    reason = f"{words}; whenBlind asks for {rule.replicas}, and never lowers"
    return Step("whenBlind", replicas, max(replicas, rule.replicas), reason)


def _replicas(proposal: Proposal) -> int:
    assert proposal.replicas is not None
    return proposal.replicas
