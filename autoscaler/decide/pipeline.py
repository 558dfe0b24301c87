"""The whole strategy, stage by stage. State in, state out; time is an argument.

1 gates       what is fresh, complete and plausible                 fleet.gather
2 objectives  each proposes a size, or says why it cannot           objectives.propose
3 combine     the highest proposal; with one missing, never lower   combine
4 floors      schedule and overload: may only raise                 floors
5 survivors   scale in only if those who stay can carry the load    survivors.check
6 behavior    stabilization windows and rate policies, as the HPA   behavior
7 cooldowns   least time after any scaling                          pacing.cooldown
8 limits      min, max, paused                                      pacing.limits
9 nodes       (node pools: not in this version)
"""

from __future__ import annotations

from dataclasses import replace

from autoscaler.decide import behavior, explain, floors, overload, pacing, survivors
from autoscaler.decide.capacity import effective, learn, worth
from autoscaler.decide.combine import combine, give_up_waiting
from autoscaler.decide.context import Context
from autoscaler.decide.fleet import Fleet, Trust, gather
from autoscaler.decide.growth import notice_joining
from autoscaler.decide.memory import settle
from autoscaler.decide.objectives import Abstained, is_calm, propose
from autoscaler.model import (
    Decision,
    Missing,
    Observation,
    Order,
    Policy,
    Proposal,
    QueueTime,
    State,
    Step,
)


class Trace:
    """The number of replicas on its way through the stages, and what each did to it."""

    def __init__(self, current: int) -> None:
        self.replicas = current
        self.steps: list[Step] = []

    def take(self, step: Step | None) -> None:
        if step is not None:
            self.steps.append(step)
            self.replicas = step.after


def decide(
    policy: Policy, observation: Observation, state: State, now: float
) -> tuple[Decision, State]:
    """What to do now for one policy, and what to remember. Pure.

    `now` is Unix time in seconds. Never raises for data: what is missing holds, with its reason.
    """
    if isinstance(observation.replicas, Missing):
        why = observation.replicas.missing
        return explain.size_unknown(policy, observation, now, why), state
    current = observation.replicas.desired
    first_look = state.replicas is None
    trusted = observation.replicas.source != "series"
    state = settle(state, current, now, sizes_are_exact=trusted)
    correction = pacing.correction(policy, current)
    if correction is not None:
        trace = Trace(current)
        trace.take(correction)
        trace.take(pacing.paused(policy, current, trace.replicas))
        decision = explain.corrected(policy, observation, now, trace.steps)
        return decision, _ordered(policy, state, current, trace.replicas, now)
    trust = Trust(observation.windows, now)
    fleet = gather(observation, trust)
    state = notice_joining(state, fleet, now)
    state = replace(state, calm_since=_calm_since(policy, state, fleet, now))
    if first_look and state.calm_since is not None:
        # The slow window has looked back already: no reason to start from nothing.
        state = replace(state, calm_since=now - observation.windows.slow)
    capacity = effective(policy, state)
    load = worth(capacity, fleet) if capacity is not None else None
    ctx = Context(policy, observation, state, fleet, trust, now, current, capacity, load)
    return _run(ctx)


def _run(ctx: Context) -> tuple[Decision, State]:
    policy, state, now, current = ctx.policy, ctx.state, ctx.now, ctx.current
    said = [propose(objective, ctx) for objective in policy.objectives]
    proposals = [p for p in said if isinstance(p, Proposal)]
    abstained = [p for p in said if isinstance(p, Abstained)]
    found = overload.find(ctx)

    trace = Trace(current)
    combined = combine(current, proposals)
    trace.take(combined.step)
    blind_since = None
    if combined.blind:
        blind_since = now if state.blind_since is None else state.blind_since
        trace.take(give_up_waiting(policy, trace.replicas, blind_since, now))
    trace.take(floors.scheduled(ctx, trace.replicas))
    trace.take(floors.burst(ctx, trace.replicas, found))
    trace.take(survivors.check(ctx, trace.replicas))
    recommendations = state.recommendations
    if not combined.held or trace.replicas != current:
        wanted = trace.replicas
        trace.take(pacing.stabilized(ctx, wanted))
        trace.take(pacing.rate_limited(ctx, trace.replicas))
        recommendations = behavior.remember(policy.behavior, recommendations, wanted, now)
    trace.take(pacing.cooldown(ctx, trace.replicas))
    trace.take(pacing.limits(policy, trace.replicas))
    trace.take(pacing.paused(policy, current, trace.replicas))

    decision = explain.decision(ctx, proposals, abstained, combined, trace.steps)
    state = replace(
        state,
        recommendations=recommendations,
        blind_since=blind_since,
        bracket=learn(policy, state, ctx.fleet, found is not None, now),
    )
    return decision, _ordered(policy, state, current, trace.replicas, now)


def _ordered(policy: Policy, state: State, current: int, desired: int, now: float) -> State:
    if desired == current:
        return state
    period = behavior.longest_period(policy.behavior, growing=desired > current)
    return replace(state, order=Order(now, current, desired, period))


def _calm_since(policy: Policy, state: State, fleet: Fleet, now: float) -> float | None:
    objective = next((o for o in policy.objectives if isinstance(o, QueueTime)), None)
    if objective is None or not is_calm(objective, fleet):
        return None
    return now if state.calm_since is None else state.calm_since
