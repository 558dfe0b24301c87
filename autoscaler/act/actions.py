"""From a decision to the writes it calls for, as data: what a dry run prints is what live does."""

from __future__ import annotations

from autoscaler.model import Action, Decision, Observation, Policy, Replicas


def plan(policy: Policy, decision: Decision, observation: Observation) -> tuple[Action, ...]:
    """The writes that this decision calls for: at most one scale, and none outside `mode: scale`.

    The action carries the resourceVersion that the decision was made from, so that a live
    executor can refuse to overwrite what somebody changed since.
    """
    if policy.mode != "scale" or policy.paused:
        return ()
    if decision.current is None or decision.desired is None:
        return ()
    if decision.desired == decision.current:
        return ()
    replicas = observation.replicas
    scale = Action(
        kind="scale",
        target=policy.target,
        before=decision.current,
        after=decision.desired,
        reason=decision.sentence,
        policy=policy.key,
        resource_version=replicas.resource_version if isinstance(replicas, Replicas) else None,
    )
    return (scale,)


def withheld(policy: Policy) -> str | None:
    """What will not happen in this version although the policy's mode asks for it, or None."""
    if policy.mode == "recommend":
        return (
            f"policy {policy.key} is in mode recommend: its decision is shown, journaled and "
            "exported as gauges, but not served to an HPA by this version"
        )
    if policy.mode == "scale":
        return (
            f"policy {policy.key} is in mode scale: its decision is shown, journaled and exported "
            f"as gauges, but {policy.target.kind} {policy.target.name} is not written by this version"
        )
    return None
