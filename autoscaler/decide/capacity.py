"""What one replica carries, and how many replicas' worth of load there is.

Load is linear where queue time is a cliff: on a real H200 the queue read 7 to 9 ms from 0.3 to
3.0 replicas' worth of load while there was room, and 30 ms within seconds when there was none.

Capacity is given, read from a profile, or learned: the highest rate per replica seen to keep the
SLA (`kept`) and the lowest seen to break it (`broken`), never extrapolated above `kept`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autoscaler.decide.fleet import Fleet, Load, Ratio, Total, queue_time
from autoscaler.model import Bracket, Capacity, Demand, Missing, Policy, State
from autoscaler.units import format_number

# Breaking the SLA below this share of what was kept before is no question of load.
FAULTY = 0.5


@dataclass(frozen=True, slots=True)
class Worth:
    """Load in replicas' worth, before headroom: 2,080/s where one carries 1,600/s is 1.3."""

    fast: float
    slow: float
    backlog: float  # replica-seconds of work waiting: pending / capacity
    raisable: bool  # something is known: a lower bound at least
    missing: str | None  # what is not in it: may raise, may not lower
    missing_slow: str | None
    words: str  # the capacity, in words

    def replicas(self, headroom: float, drain_within: float) -> int:
        """(arrivals + backlog / drain) / (capacity × (1 − headroom)), rounded up."""
        return round_up((self.fast + self.backlog / drain_within) / (1 - headroom))

    def replicas_slow(self, headroom: float) -> int:
        return round_up(self.slow / (1 - headroom))


def round_up(replicas: float) -> int:
    """Ceiling that forgives the last bits of a double: 3.0000000000000004 is 3."""
    return math.ceil(replicas - 1e-9)


def effective(policy: Policy, state: State) -> Capacity | None:
    """The capacity to size from: the policy's, else the learned one once both ends were seen."""
    if policy.capacity is not None:
        return policy.capacity
    kept, broken = state.bracket.kept, state.bracket.broken
    if not kept or broken is None:  # 0/s kept the SLA: true of any fleet, and no rate to size by
        return None
    words = f"learned: {format_number(kept)}/s kept the SLA, {format_number(broken)}/s broke it"
    return Capacity(source=words, requests_per_second=kept)


def worth(capacity: Capacity, fleet: Fleet) -> Worth:
    if capacity.requests_per_second is not None:
        rate = capacity.requests_per_second
        parts = [(fleet.total, rate)]
        words = f"{format_number(rate)}/s per replica ({capacity.source})"
    else:
        parts = [(fleet.models.get(m, _absent(m)), rate) for m, rate in capacity.models.items()]
        words = ", ".join(f"{m} {format_number(r)}/s" for m, r in capacity.models.items())
        words += f" per replica ({capacity.source})"
    totals = [total for load, _ in parts for total in (load.arrivals, load.pending)]
    slow = [load.arrivals_slow.missing for load, _ in parts if load.arrivals_slow.missing]
    return Worth(
        fast=sum(load.arrivals.value / rate for load, rate in parts),
        slow=sum(load.arrivals_slow.value / rate for load, rate in parts),
        backlog=sum(load.pending.value / rate for load, rate in parts),
        raisable=any(load.arrivals.known for load, _ in parts),
        missing=next((total.missing for total in totals if total.missing), fleet.silent),
        missing_slow=next(iter(slow), None),
        words=words,
    )


def drain_within(policy: Policy) -> float:
    """Seconds in which a backlog is to be worked off, whether `demand` is an objective or not."""
    return next((o.drain_within for o in policy.objectives if isinstance(o, Demand)), 60.0)


def _absent(model: str) -> Load:
    nothing = Total(missing=f"no serving pod reports model {model}")
    nobody = Ratio(missing=nothing.missing)
    return Load(nothing, nothing, nothing, nothing, nobody, nobody, nobody, nobody)


def learn(policy: Policy, state: State, fleet: Fleet, overloaded: bool, now: float) -> Bracket:
    """Move an end of the bracket if this tick is evidence: complete signals, a settled fleet.

    Evidence is a whole slow window of a size that stood still, or the rate per replica would be
    divided by a number of replicas that did not carry it; and every pod's word, or the rate of
    those that speak would be divided by all.
    """
    limit, total = policy.sla.queue_time, fleet.total
    settled = state.scaled_at is None or now - state.scaled_at >= fleet.windows.slow
    if limit is None or not settled or fleet.arriving or not fleet.serving:
        return state.bracket
    slow = queue_time(total, slow=True)
    if not (total.waited_slow.complete and total.arrivals_slow.complete):
        return state.bracket
    if isinstance(slow, Missing):
        return state.bracket
    if slow.value > limit:
        waiting = total.waited_slow.top / fleet.serving
        return _broke(state.bracket, total.completions_slow.value / fleet.serving, waiting, now)
    if overloaded:
        return state.bracket
    return _kept(state.bracket, total.arrivals_slow.value / fleet.serving, now)


def _broke(bracket: Bracket, rate: float, waiting: float, now: float) -> Bracket:
    """Load broke the SLA at this rate, unless something else did.

    Load that breaks it keeps at least one request waiting per replica, all the time. And a replica
    that carried 300/s and breaks at 4/s is stalled or throttled: that is a fault, no capacity.
    """
    faulty = bracket.kept is not None and rate < FAULTY * bracket.kept
    if rate <= 0 or waiting < 1 or faulty:
        return bracket
    if bracket.broken is not None and rate >= bracket.broken:
        return bracket
    if bracket.kept is not None and bracket.kept < rate:
        return replace(bracket, broken=rate, broken_at=now)
    return Bracket(broken=rate, broken_at=now)  # it kept more once: the model or its input changed


def _kept(bracket: Bracket, rate: float, now: float) -> Bracket:
    if rate <= (bracket.kept or 0.0):  # nobody came: that teaches nothing
        return bracket
    if bracket.broken is not None and bracket.broken <= rate:  # it holds again: forget the breach
        return Bracket(kept=rate, kept_at=now)
    return replace(bracket, kept=rate, kept_at=now)
