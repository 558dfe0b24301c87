"""Decisions of the daemon itself, made where the pipeline could not be asked: always a hold."""

from __future__ import annotations

from autoscaler.model import Decision, Missing, Observation, Policy

# The binding stage of such a decision; a replay of the journal leaves these lines out.
BINDING = "daemon"


def hold(policy: Policy, observation: Observation, now: float, reason: str) -> Decision:
    """Stay at the current replicas, and say why nobody was asked."""
    replicas = observation.replicas
    known = not isinstance(replicas, Missing)
    current = replicas.desired if known else None
    held = f"held at {current}" if known else "nothing decided"
    return Decision(
        policy=policy.key,
        target=policy.target,
        at=now,
        mode=policy.mode,
        current=current,
        ready=replicas.ready if known else None,
        desired=current,
        binding=BINDING,
        hold=reason,
        sentence=f"{held}: {reason}",
        flip="the fault named here must go first",
        notes=observation.notes,
    )
