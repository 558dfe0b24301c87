"""Decisions of the daemon itself, made where the pipeline could not be asked: always a hold."""

from __future__ import annotations

from autoscaler.model import Decision, Missing, Observation, Policy

# The binding stage of such a decision; a replay of the journal leaves these lines out.
BINDING = "daemon"


def hold(policy: Policy, observation: Observation, now: float, reason: str) -> Decision:
    """Stay at the current replicas, and say why nobody was asked."""
    replicas = observation.replicas
    current, ready = (
        (None, None) if isinstance(replicas, Missing) else (replicas.desired, replicas.ready)
    )
    held = "nothing decided" if current is None else f"held at {current}"
    return Decision(
        policy=policy.key,
        target=policy.target,
        at=now,
        mode=policy.mode,
        current=current,
        ready=ready,
        desired=current,
        binding=BINDING,
        hold=reason,
        sentence=f"{held}: {reason}",
        flip="the fault named here must go first",
        notes=observation.notes,
    )
