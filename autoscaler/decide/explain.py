"""A decision in one sentence that an SRE can read aloud, and what would have changed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoscaler.decide import coldstart, hands, leaving, lost
from autoscaler.decide.combine import Combined
from autoscaler.decide.context import Context
from autoscaler.decide.fleet import Fleet, queue_time
from autoscaler.decide.forecast import Outlook
from autoscaler.decide.learning import Lesson
from autoscaler.decide.nodes import Planned
from autoscaler.decide.objectives import Abstained
from autoscaler.model import Decision, Observation, Policy, Proposal, Step


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the stages came to."""

    proposals: Sequence[Proposal]
    abstained: Sequence[Abstained]
    combined: Combined
    steps: Sequence[Step]
    lesson: Lesson
    outlook: Outlook | None = None


def decision(
    ctx: Context, outcome: Outcome, planned: Planned | None, costs: Mapping[str, int]
) -> Decision:
    combined, steps = outcome.combined, outcome.steps
    current, desired = ctx.current, steps[-1].after
    bound = _binding(steps)
    wanted = bound.before if bound else current
    name = bound.stage if bound else "combine"
    if name == "combine" and combined.winner is not None and not combined.held:
        name = combined.winner.objective
    reason = bound.reason if bound else _first_reason(combined)
    return Decision(
        policy=ctx.policy.key,
        target=ctx.policy.target,
        at=ctx.now,
        mode=ctx.policy.mode,
        current=current,
        ready=ctx.fleet.serving,
        desired=desired,
        binding=name,
        hold=reason
        if desired == current and (combined.held or wanted != current or name == "hands")
        else None,
        sentence=_sentence(current, desired, combined, steps, bound, reason),
        flip=bound.flip if bound else combined.step.flip,
        proposals=tuple(outcome.proposals),
        trace=tuple(steps),
        figures=_figures(ctx, outcome, planned),
        notes=_notes(ctx, outcome, planned),
        pool=planned.wish if planned is not None else None,
        deletion_costs=dict(costs),
    )


def size_unknown(policy: Policy, observation: Observation, now: float, why: str) -> Decision:
    return Decision(
        policy=policy.key,
        target=policy.target,
        at=now,
        mode=policy.mode,
        current=None,
        ready=None,
        desired=None,
        binding="gates",
        hold=why,
        sentence=f"Nothing is done: how many replicas there are is not known ({why}).",
        flip="the number of replicas, once it is known",
        notes=observation.notes,
    )


def corrected(
    policy: Policy,
    observation: Observation,
    now: float,
    steps: Sequence[Step],
    planned: Planned | None,
    costs: Mapping[str, int],
) -> Decision:
    """A size outside the bounds, or 0: no signal was needed."""
    current, desired = steps[0].before, steps[-1].after
    last = steps[-1]
    return Decision(
        policy=policy.key,
        target=policy.target,
        at=now,
        mode=policy.mode,
        current=current,
        ready=getattr(observation.replicas, "ready", None),
        desired=desired,
        binding=last.stage,
        hold=last.reason if desired == current else None,
        sentence=f"{_verb(current, desired)}: {last.reason}.",
        flip=last.flip,
        trace=tuple(steps),
        figures=dict(planned.figures) if planned is not None else {},
        notes=(*observation.notes, *(planned.notes if planned is not None else ())),
        pool=planned.wish if planned is not None else None,
        deletion_costs=dict(costs),
    )


def _binding(steps: Sequence[Step]) -> Step | None:
    """The last stage that changed the number had the last word. Another hand on the wheel has it
    although nothing is wanted just now: an SRE should not learn of it in the next burst.
    """
    for step in reversed(steps):
        if step.before != step.after or step.stage == "hands":
            return step
    return None


def _first_reason(combined: Combined) -> str:
    if combined.winner is None or combined.held:
        return combined.step.reason
    return f"{combined.winner.objective}: {combined.winner.reason}"


def _sentence(
    current: int,
    desired: int,
    combined: Combined,
    steps: Sequence[Step],
    bound: Step | None,
    reason: str,
) -> str:
    if bound is None or bound is steps[0]:
        return f"{_verb(current, desired)}: {reason}."
    wish = next((s for s in steps if s.after != current and s is not bound), None)
    if wish is None:
        return f"{_verb(current, desired)}: {reason} ({combined.step.reason})."
    return f"{_verb(current, desired)}, not {bound.before}: {reason} ({wish.reason})."


def _verb(current: int, desired: int) -> str:
    if desired > current:
        return f"Scale up {current} → {desired}"
    if desired < current:
        return f"Scale down {current} → {desired}"
    return f"Stay at {current}"


def _notes(ctx: Context, outcome: Outcome, planned: Planned | None) -> tuple[str, ...]:
    notes = list(ctx.observation.notes)
    notes += [f"{a.objective} has no say: {a.reason}" for a in outcome.abstained]
    held_in = any(step.stage == "rollout" for step in outcome.steps)
    notes += hands.notes(ctx.policy, ctx.observation.hands, held_in)
    notes += lost.notes(ctx)
    notes += leaving.notes(ctx)
    notes += outcome.lesson.notes
    notes += outcome.outlook.notes if outcome.outlook is not None else ()
    if planned is not None:
        notes += planned.notes
    return tuple(notes)


def _figures(ctx: Context, outcome: Outcome, planned: Planned | None) -> dict[str, float]:
    """What an SRE asks for first; a figure that is not known is left out, never 0."""
    fleet: Fleet = ctx.fleet
    figures = {"serving": float(fleet.serving), "arriving": float(fleet.arriving)}
    total = fleet.total
    if total.arrivals.known:
        figures["requestsPerSecond"] = total.arrivals.value
    if total.pending.known:
        figures["pending"] = total.pending.value
    waited = queue_time(total)
    if waited is not None:
        figures["queueTime"] = waited
    if total.turned_away.known and total.turned_away.bottom > 0:
        figures["rejectedRatio"] = total.turned_away.top / total.turned_away.bottom
    told = ctx.trust.values([pod.duty_cycle for pod in fleet.pods])
    duty = [value for value in told if value is not None]
    if duty:
        figures["dutyCycle"] = sum(duty) / len(duty)
    if ctx.trust.oldest is not None:
        figures["oldestSample"] = ctx.trust.oldest
    figures |= _looking_on(outcome)
    if ctx.state.cold_starts:
        figures |= coldstart.figures(ctx.state)
    if planned is not None:
        figures |= planned.figures
    return figures


def _looking_on(outcome: Outcome) -> dict[str, float]:
    figures = dict(outcome.outlook.figures) if outcome.outlook is not None else {}
    if outcome.lesson.belied is not None:
        figures["capacityBelied"] = outcome.lesson.belied
    return figures
