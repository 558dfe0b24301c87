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


def _claim(policy: Policy, observation: Observation, state: State, now: float) -> Claim:
    """Pods that nobody wants any more still hold their GPUs.

    Where the size is not known, what was last known is held and wanted, and before that the
    policy's maximum: unknown GPUs are not free ones.
    """
    gpus = policy.nodes.gpus_per_replica if policy.nodes else 1
    replicas = observation.replicas
    if isinstance(replicas, Missing):
        known = policy.replicas.max if state.replicas is None else state.replicas
        return Claim(policy.key, known, known, gpus)
    decision, _ = decide(policy, replace(observation, cap=None), state, now)
    held = max(replicas.desired, len(observation.pods))
    wanted = held if decision.desired is None else decision.desired
    return Claim(policy.key, wanted, held, gpus)
