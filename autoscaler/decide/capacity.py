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
from functools import lru_cache

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
    rates = tuple(capacity.models.items())
    loads = [fleet.models.get(model) or _absent(model) for model, _ in rates]
    if capacity.requests_per_second is not None:
        rates, loads = (("", capacity.requests_per_second),), [fleet.total]
    fast = slow = backlog = 0.0
    raisable = False
    missing: str | None = None
    missing_slow: str | None = None
    for load, (_, rate) in zip(loads, rates, strict=True):
        fast += load.arrivals.value / rate
        slow += load.arrivals_slow.value / rate
        backlog += load.pending.value / rate
        raisable = raisable or load.arrivals.known > 0
        missing = missing or load.arrivals.missing or load.pending.missing
        missing_slow = missing_slow or load.arrivals_slow.missing
    said = _words(rates, capacity.source)
    return Worth(fast, slow, backlog, raisable, missing or fleet.silent, missing_slow, said)


@lru_cache(maxsize=256)
def _words(rates: tuple[tuple[str, float], ...], source: str) -> str:
    """340/s per replica (given); a 340/s, b 45/s per replica (given)"""
    each = ", ".join(f"{model} {format_number(rate)}/s".lstrip() for model, rate in rates)
    return f"{each} per replica ({source})"


def drain_within(policy: Policy) -> float:
    """Seconds in which a backlog is to be worked off, whether `demand` is an objective or not."""
    return next((o.drain_within for o in policy.objectives if isinstance(o, Demand)), 60.0)


def _absent(model: str) -> Load:
    nothing = Total(missing=f"no serving pod reports model {model}")
    nobody = Ratio(missing=nothing.missing)
    return Load(nothing, nothing, nothing, nothing, nobody, nobody, nobody, nobody)
