"""Scale-in only if those who stay can carry the measured load within the SLA.

Pods about to be lost (their node is) stay nowhere: 5 replicas of which 1 is leaving, under load
for 4, let none go.
"""

from __future__ import annotations

from autoscaler.decide.bracket import believed, words
from autoscaler.decide.capacity import drain_within, round_up
from autoscaler.decide.context import Context
from autoscaler.model import Step
from autoscaler.units import format_number, format_share


def check(ctx: Context, replicas: int) -> Step | None:
    """None where nothing shrinks, or where there is no promise to keep."""
    sla = ctx.policy.sla
    if replicas >= ctx.current or (sla.queue_time is None and not sla.latency):
        return None
    load = ctx.load
    if load is None:
        return _by_evidence(ctx, replicas)
    missing = load.missing or load.missing_slow
    if missing or not load.raisable:
        reason = f"what those who stay must carry is not known: {missing or 'no pod is serving'}"
        return Step("survivors", replicas, ctx.current, reason)
    drain, headroom = drain_within(ctx.policy), ctx.policy.headroom
    leaving = len(ctx.fleet.leaving)
    needed = max(load.replicas(headroom, drain), load.replicas_slow(headroom), 1) + leaving
    after = min(max(replicas, needed), ctx.current)
    heaviest = max(load.fast, load.slow)
    spare = format_share(headroom)
    reason = f"{after} carry {heaviest:.2f} replicas' worth of load with {spare} to spare"
    if leaving:
        reason += f", {leaving} of them about to be lost"
    flip = f"at {(after - 1) * (1 - headroom):.2f} replicas' worth or less, {after - 1} would do"
    return Step("survivors", replicas, after, reason, flip if after > 1 else "")


def _by_evidence(ctx: Context, replicas: int) -> Step:
    """No capacity known: stay within what a replica was seen to carry, or one off an idle fleet.

    7 replicas at 300/s where one was seen to keep the SLA at 90/s: four must stay.
    """
    total, kept = ctx.fleet.total, believed(ctx.state.bracket, ctx.now)
    missing = total.arrivals.missing or total.arrivals_slow.missing or total.pending.missing
    if missing or not total.arrivals.known:
        reason = f"what those who stay must carry is not known: {missing or 'no pod is serving'}"
        return Step("survivors", replicas, ctx.current, reason)
    arrivals = max(total.arrivals.value, total.arrivals_slow.value)
    if kept:
        seen = max(round_up(arrivals / kept), 1) + len(ctx.fleet.leaving)
        if seen < ctx.current:
            after = min(max(replicas, seen), ctx.current)
            seen_words = words(ctx.state.bracket, ctx.now)
            reason = f"of one replica it was seen that {seen_words}: {after} can stay"
            return Step("survivors", replicas, after, reason, "a lower load would let more go")
    if _idle(ctx):
        after = max(replicas, ctx.current - 1)
        return Step("survivors", replicas, after, "the fleet is idle: one can go at a time")
    seen_words = words(ctx.state.bracket, ctx.now) or "nothing yet"
    reason = (
        f"nobody has seen one replica carry {format_number(arrivals / max(ctx.current - 1, 1))}/s "
        f"within the SLA ({seen_words}); give capacity to let go sooner"
    )
    return Step("survivors", replicas, ctx.current, reason)


def _idle(ctx: Context) -> bool:
    """Over the slow window no more requests were ever inside than survivors could serve at once."""
    peak = 0.0
    for pod in ctx.fleet.pods:
        for signals in pod.models:
            highest = ctx.trust.value(signals.pending_peak)
            if highest is None:
                return False
            peak += highest
    return peak <= ctx.current - 1 - len(ctx.fleet.leaving)
