"""From a decision to the writes it calls for, as data: what a dry run prints is what live does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autoscaler.model import Action, Decision, Observation, Policy, PoolWish, Replicas

NOT_SERVED = "without --metrics-api no HPA can follow them"


def plan(policy: Policy, decision: Decision, observation: Observation) -> tuple[Action, ...]:
    """The writes that this decision calls for, in order; none outside `mode: scale`.

    Nodes up, then which pods go first, then the replicas: at most one scale. Nodes down only once
    the pods are down: on a tick without a scale, and with no pod beyond those desired, not even a
    terminating one. The actions carry the resourceVersion that the decision was made from, and who
    had set the replicas then, so that a live executor refuses to overwrite what changed since.
    """
    if policy.mode != "scale" or policy.paused:
        return ()
    if decision.current is None or decision.desired is None:
        return ()
    scale, wish = _scale(policy, decision, observation), decision.pool
    actions = []
    if wish is not None and wish.after > wish.before:
        actions.append(_resize(policy, wish))
    if scale is not None and scale.after < scale.before and decision.deletion_costs:
        actions.append(_spare(scale, decision.deletion_costs))
    if scale is not None:
        actions.append(scale)
    elif wish is not None and wish.after < wish.before and _pods_are_down(decision, observation):
        actions.append(_resize(policy, wish))
    return tuple(actions)


def _pods_are_down(decision: Decision, observation: Observation) -> bool:
    return decision.desired is not None and len(observation.pods) <= decision.desired


def _scale(policy: Policy, decision: Decision, observation: Observation) -> Action | None:
    replicas = observation.replicas
    if decision.current is None or decision.desired in (None, decision.current):
        return None
    return Action(
        kind="scale",
        target=policy.target,
        before=decision.current,
        after=decision.desired,
        reason=decision.sentence,
        policy=policy.key,
        resource_version=replicas.resource_version if isinstance(replicas, Replicas) else None,
        writer=observation.hands.writer,
    )


def _spare(scale: Action, costs: dict[str, int]) -> Action:
    """The scale subresource has no word for which pods; their annotation has."""
    return replace(scale, kind="deletionCost", resource_version=None, deletion_costs=dict(costs))


def _resize(policy: Policy, wish: PoolWish) -> Action:
    return Action(
        kind="pool",
        target=policy.target,
        before=wish.before,
        after=wish.after,
        reason=wish.reason,
        policy=policy.key,
        resource_version=wish.resource_version,
        pool=wish,
    )


def withheld(
    policies: Sequence[Policy], *, serving: bool = False, unwritten: str | None = None
) -> tuple[str, ...]:
    """What will not happen although a policy's mode asks for it, in sentences.

    `unwritten`: why nothing is written, in words; None where it is.
    """
    missing_by_mode = ({"scale": unwritten} if unwritten else {}) | (
        {} if serving else {"recommend": NOT_SERVED}
    )
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
