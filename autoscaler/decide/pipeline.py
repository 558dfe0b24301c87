"""The whole strategy, stage by stage. State in, state out; time is an argument.

   settle      what came of the last order; did somebody else scale   memory, contest
1  gates       what is fresh, complete and plausible; who is lost     fleet.gather, failing
   learn       cold starts, capacity                                  coldstart, learning
2  objectives  each proposes a size, or says why it cannot            objectives.propose
3  combine     the highest proposal; with one missing, never lower    combine
4  floors      schedule, overload, the load a cold start ahead, pods  floors, forecast, leaving
               about to be lost: only raise
5  lost        nothing more of what fails every time                  lost.stop_ordering
6  budget      no more than the GPUs that are left to it              budget.capped
7  survivors   scale in only if those who stay can carry the load     survivors.check
8  rollout     nothing is scaled in while one is under way            hands.rolling_out
9  behavior    stabilization windows and rate policies, as the HPA    behavior
10 cooldowns   least time after any scaling                           pacing.cooldown
11 limits      min, max                                               pacing.limits
12 hands       who else is at the wheel; paused                       hands.stay, pacing.paused
13 nodes       the node pool, and which pods go first                 nodes.plan, deletion

A size outside min and max needs no signal: it is put right past 1 to 11, by `_correct`, within
the budget, and not against another hand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoscaler.decide import (
    behavior,
    budget,
    coldstart,
    explain,
    floors,
    forecast,
    hands,
    leaving,
    lost,
    nodes,
    overload,
    pacing,
    survivors,
)
from autoscaler.decide.capacity import effective, worth
from autoscaler.decide.combine import combine, give_up_waiting
from autoscaler.decide.context import Context
from autoscaler.decide.deletion import pod_deletion_costs
from autoscaler.decide.fleet import Fleet, Trust, gather
from autoscaler.decide.growth import joined_at
from autoscaler.decide.learning import learn
from autoscaler.decide.memory import changed, settle
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
    current, ordered = observation.replicas.desired, state.order
    first_look = state.replicas is None
    exact = observation.replicas.source != "series"
    state = settle(
        state, current, now, sizes_are_exact=exact, policy=policy, hands=observation.hands
    )
    correction = pacing.correction(policy, current)
    if correction is not None:
        return _correct(policy, observation, state, now, correction)
    trust = Trust(observation.windows, now)
    fleet = gather(observation, trust, state)
    state = changed(state, _noticed(policy, observation, state, fleet, now, ordered, first_look))
    capacity = effective(policy, state, now)
    load = worth(capacity, fleet) if capacity is not None else None
    ctx = Context(policy, observation, state, fleet, trust, now, current, capacity, load)
    return _run(ctx)


def _noticed(
    policy: Policy,
    observation: Observation,
    state: State,
    fleet: Fleet,
    now: float,
    ordered: Order | None,
    first_look: bool,
) -> dict[str, Any]:
    """What this look alone teaches: who joined, since when it is calm, how long a start takes."""
    calm = _calm_since(policy, state, fleet, now)
    if first_look and calm is not None:
        # The slow window has looked back already: no reason to start from nothing.
        calm = now - observation.windows.slow
    changes: dict[str, Any] = {
        "serving": fleet.serving,
        "joined_at": joined_at(state, fleet, now),
        "calm_since": calm,
    }
    if state.replaced and ordered is not None and state.scaled_at != ordered.at:
        changes["replaced"] = ()  # that order was not carried out
    return changes | coldstart.follow(
        state, fleet.unready, observation, now, ordered=ordered, first_look=first_look
    )


def _correct(
    policy: Policy, observation: Observation, state: State, now: float, correction: Step
) -> tuple[Decision, State]:
    """Back within the bounds, past every window, policy and metric."""
    current = correction.before
    trace = Trace(current)
    trace.take(correction)
    trace.take(budget.capped(observation.cap, current, trace.replicas, held=True))
    trace.take(hands.stay(policy, observation.hands, state, current, trace.replicas, now))
    trace.take(pacing.paused(policy, current, trace.replicas))
    desired = trace.replicas
    planned = nodes.plan(policy, observation, state, now, desired)
    costs = {}
    if policy.mode == "scale" and desired < current:
        costs = pod_deletion_costs(observation, current - desired, Trust(observation.windows, now))
    decision = explain.corrected(policy, observation, now, trace.steps, planned, costs)
    if planned is not None and planned.memory != state.pool:
        state = replace(state, pool=planned.memory)
    return decision, _ordered(policy, state, current, desired, now)


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
    outlook = forecast.look(ctx)
    trace.take(forecast.floor(ctx, trace.replicas, outlook))
    trace.take(leaving.replacements(ctx, trace.replicas))
    trace.take(lost.stop_ordering(ctx, trace.replicas))
    held = combined.held
    trace.take(budget.capped(ctx.observation.cap, current, trace.replicas, held=held))
    trace.take(survivors.check(ctx, trace.replicas))
    trace.take(hands.rolling_out(ctx.observation.hands, current, trace.replicas))
    changes: dict[str, Any] = {"blind_since": blind_since}
    if not held or trace.replicas != current:
        wanted = trace.replicas
        trace.take(pacing.stabilized(ctx, wanted))
        trace.take(pacing.rate_limited(ctx, trace.replicas))
        trace.take(_still(ctx, trace.replicas))
        changes["recommendations"] = behavior.remember(
            policy.behavior, state.recommendations, wanted, now
        )
    trace.take(pacing.cooldown(ctx, trace.replicas))
    trace.take(pacing.limits(policy, trace.replicas))
    trace.take(hands.stay(policy, ctx.observation.hands, state, current, trace.replicas, now))
    trace.take(pacing.paused(policy, current, trace.replicas))

    lesson = learn(ctx, overloaded=found is not None)
    changes |= lesson.changes
    if ctx.fleet.leaving or state.replaced:
        changes["replaced"] = leaving.remember(state, ctx.fleet.leaving, trace.replicas - current)
    if outlook is not None:
        changes["forecast"] = outlook.memory
    outcome = explain.Outcome(proposals, abstained, combined, trace.steps, lesson, outlook)
    return _carry_out(ctx, outcome, changes)


def _still(ctx: Context, replicas: int) -> Step | None:
    """Without a behavior the HPA goes back up to the highest wish of five minutes, past whatever
    stopped the growth since: it stays stopped.
    """
    step = lost.stop_ordering(ctx, replicas)
    if step is not None:
        return step
    return budget.capped(ctx.observation.cap, ctx.current, replicas, held=True)


def _carry_out(
    ctx: Context, outcome: explain.Outcome, changes: dict[str, Any]
) -> tuple[Decision, State]:
    """What the desired size asks of the nodes, and which pods go first."""
    policy, state, now, current = ctx.policy, ctx.state, ctx.now, ctx.current
    desired = outcome.steps[-1].after
    planned, costs = None, {}
    if policy.nodes is not None:
        trusted = not outcome.combined.held
        more = nodes.ahead(ctx, desired)
        planned = nodes.plan(
            policy, ctx.observation, state, now, desired, ahead=more, trusted=trusted
        )
    if planned is not None:
        changes["pool"] = planned.memory
    if policy.mode == "scale" and desired < current:
        costs = pod_deletion_costs(ctx.observation, current - desired, ctx.trust)
    decision = explain.decision(ctx, outcome, planned, costs)
    if desired != current:
        changes["order"] = _order(policy, current, desired, now)
    return decision, replace(state, **changes)


def _ordered(policy: Policy, state: State, current: int, desired: int, now: float) -> State:
    if desired == current:
        return state
    return replace(state, order=_order(policy, current, desired, now))


def _order(policy: Policy, current: int, desired: int, now: float) -> Order:
    period = behavior.longest_period(policy.behavior, growing=desired > current)
    return Order(now, current, desired, period)


def _calm_since(policy: Policy, state: State, fleet: Fleet, now: float) -> float | None:
    objective = next((o for o in policy.objectives if isinstance(o, QueueTime)), None)
    if objective is None or not is_calm(objective, fleet):
        return None
    return now if state.calm_since is None else state.calm_since
