"""What one replica carries, and how many replicas' worth of load there is.

Load is linear where queue time is a cliff: on a real H200 the queue read 7 to 9 ms from 0.3 to
3.0 replicas' worth of load while there was room, and 30 ms within seconds when there was none.

Capacity is given, read from a profile, or learned: the highest rate per replica seen to keep the
SLA (`kept`) and the lowest seen to break it (`broken`), never extrapolated above `kept`. How it is
learned: `learning`; what age does to it: `bracket`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoscaler.decide.bracket import believed, words
from autoscaler.decide.fleet import Fleet, Load, Ratio, Total
from autoscaler.model import Capacity, Demand, Policy, State
from autoscaler.units import format_number


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


def effective(policy: Policy, state: State, now: float) -> Capacity | None:
    """The capacity to size from: the policy's, else the learned one once both ends were seen."""
    if policy.capacity is not None:
        return policy.capacity
    kept = believed(state.bracket, now)
    if not kept or state.bracket.broken is None:
        return None  # 0/s kept the SLA: true of any fleet, and no rate to size by
    return Capacity(f"learned: {words(state.bracket, now)}", requests_per_second=kept)


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
