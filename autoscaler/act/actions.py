"""From a decision to the writes it calls for, as data: what a dry run prints is what live does."""

from __future__ import annotations

from collections.abc import Sequence

from autoscaler.model import Action, Decision, Observation, Policy, Replicas

NOT_SERVED = "without --metrics-api no HPA can follow them"
NOT_WRITTEN = "this version does not write replicas"


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


def withheld(policies: Sequence[Policy], *, serving: bool = False) -> tuple[str, ...]:
    """What will not happen although a policy's mode asks for it, in sentences."""
    missing_by_mode = {"scale": NOT_WRITTEN} | ({} if serving else {"recommend": NOT_SERVED})
    said = []
    for mode, missing in missing_by_mode.items():
        keys = [policy.key for policy in policies if policy.mode == mode]
        if keys:
            names = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
            said.append(
                f"mode {mode} ({names}): decisions are shown, journaled and exported as metrics, "
                f"but {missing}"
            )
    return tuple(said)
