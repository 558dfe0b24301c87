"""GPU budgets within a tick: what each policy would want alone, and what is left to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from autoscaler.decide import decide
from autoscaler.decide.budget import Claim, allot
from autoscaler.model import Cap, GpuBudget, Missing, Observation, Policy, State
from autoscaler.run.faults import Fault, internal


def share(
    budgets: Sequence[GpuBudget],
    policies: Sequence[Policy],
    observations: Mapping[str, Observation],
    state: Callable[[str], State],
    now: float,
) -> tuple[Mapping[str, Observation], list[Fault]]:
    """The observations, with `cap` on those of policies that share a budget.

    The pipeline runs twice for these: without a cap for the wish, then (in the tick itself) with
    the cap, which is part of the observation, so that the journal's line decides alike.
    """
    keys = {share.policy for budget in budgets for share in budget.shares}
    sharing = [policy for policy in policies if policy.key in keys]
    if not sharing:
        return observations, []
    try:
        claims = [_claim(p, observations[p.key], state(p.key), now) for p in sharing]
        return _capped(observations, allot(budgets, claims)), []
    except Exception as error:  # noqa: BLE001 -- contained: nobody under a budget grows
        fault = internal("decide", error, "GPU budgets")
        sizes = {p.key: observations[p.key].replicas for p in sharing}
        reason = f"the GPU budgets could not be shared out: {fault.text}"
        still = {k: Cap(s.desired, reason) for k, s in sizes.items() if not isinstance(s, Missing)}
        return _capped(observations, still), [fault]


def _capped(
    observations: Mapping[str, Observation], caps: Mapping[str, Cap]
) -> Mapping[str, Observation]:
    return {
        key: replace(seen, cap=caps[key]) if key in caps else seen
        for key, seen in observations.items()
    }


def for_namespace(
    budgets: Sequence[GpuBudget], policies: Sequence[Policy], namespace: str | None
) -> tuple[GpuBudget, ...]:
    """What is left of each budget to one namespace's daemon (`--namespace`).

    It does not see what the others use: they are taken to use their maximum. 8 GPUs shared by a
    policy here and one elsewhere of at most 5 are 3 here, or two such daemons would use 16.
    """
    if namespace is None:
        return tuple(budgets)
    elsewhere = {p.key: _most(p) for p in policies if p.namespace != namespace}
    size = {p.key: _gpus(p) for p in policies}
    return tuple(_left(budget, elsewhere, size) for budget in budgets)


def _left(budget: GpuBudget, elsewhere: Mapping[str, int], size: Mapping[str, int]) -> GpuBudget:
    """No less than the floors of those here: they are promised whatever the others do."""
    ours = tuple(share for share in budget.shares if share.policy not in elsewhere)
    floors = sum(share.floor * size.get(share.policy, 1) for share in ours)
    theirs = sum(elsewhere.get(share.policy, 0) for share in budget.shares)
    return replace(budget, gpus=max(floors, budget.gpus - theirs), shares=ours)


def _gpus(policy: Policy) -> int:
    return policy.nodes.gpus_per_replica if policy.nodes else 1


def _most(policy: Policy) -> int:
    return policy.replicas.max * _gpus(policy)


def _claim(policy: Policy, observation: Observation, state: State, now: float) -> Claim:
    """Pods that nobody wants any more still hold their GPUs, and terminating ones hold theirs
    beside those that take their place.

    Where the size is not known, what was last known is held and wanted, and before that the
    policy's maximum: unknown GPUs are not free ones.
    """
    gpus = _gpus(policy)
    replicas = observation.replicas
    if isinstance(replicas, Missing):
        known = policy.replicas.max if state.replicas is None else state.replicas
        return Claim(policy.key, known, known, gpus)
    decision, _ = decide(policy, replace(observation, cap=None), state, now)
    going = sum(pod.terminating for pod in observation.pods)
    held = max(replicas.desired, len(observation.pods) - going)
    wanted = held if decision.desired is None else decision.desired
    return Claim(policy.key, wanted, held, gpus, going)
