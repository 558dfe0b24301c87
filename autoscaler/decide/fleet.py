"""From pods to the fleet: which signals can be trusted, and what they add up to.

A mean over pods or models is always a ratio of sums. A sum over pods of which some are silent is
a lower bound: it may raise, it never lowers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from autoscaler.decide.failing import stuck
from autoscaler.model import (
    Missing,
    ModelSignals,
    Observation,
    Pod,
    Sample,
    Signal,
    State,
    Windows,
)
from autoscaler.units import format_duration

# DCGM's blank values (about 9.2e18) leak through exporters; no real signal comes near.
IMPLAUSIBLE = 1e15

# A request in 30 years is none; divided by less, a wait becomes infinite.
NO_RATE = 1e-9


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over serving pods. `missing` names the first thing that is not in it."""

    value: float = 0.0
    known: int = 0
    missing: str | None = None

    @property
    def complete(self) -> bool:
        return self.known > 0 and self.missing is None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of sums over the pods that tell both parts, so that no pod is in one of them only.

    200 ms on a pod of 100/s, beside a pod of 1,000/s whose queueing is unknown, is 200 ms and
    not 18 ms.
    """

    top: float = 0.0
    bottom: float = 0.0
    known: int = 0
    missing: str | None = None

    @property
    def complete(self) -> bool:
        return self.known > 0 and self.missing is None


@dataclass(frozen=True, slots=True)
class Load:
    """One model over all pods: requests/s arriving and completing, pending, and their ratios."""

    arrivals: Total
    arrivals_slow: Total
    completions_slow: Total
    pending: Total
    waited: Ratio  # queueing / completions: seconds in the queue per request
    waited_slow: Ratio
    inside: Ratio  # pending / completions: seconds until one that arrives now is served
    turned_away: Ratio  # rejected / arrivals


@dataclass(frozen=True, slots=True)
class Fleet:
    serving: int  # pods that answer requests now
    arriving: int  # replicas wanted and not serving yet, lost ones left out
    total: Load
    models: dict[str, Load]
    silent: str | None  # why a serving pod has no trustworthy signals
    pods: tuple[Pod, ...]  # the serving pods
    windows: Windows
    unready: tuple[Pod, ...] = ()  # live pods that do not serve
    stuck: tuple[Pod, ...] = ()  # those of them that are no supply on its way
    leaving: tuple[Pod, ...] = ()  # live pods about to be lost


def gather(observation: Observation, trust: Trust, state: State | None = None) -> Fleet:
    """Sum the serving pods' signals, leaving out what is stale, implausible or missing.

    `state` knows how long a start takes; without it, the slowest on record is waited for.
    """
    pods = [pod for pod in observation.pods if not pod.terminating]
    serving = [pod for pod in pods if pod.ready]
    by_model: dict[str, list[tuple[Pod, ModelSignals]]] = defaultdict(list)
    silent = None
    for pod in pods:
        if pod.ready and not pod.models:
            silent = silent or f"{pod.name}: no signals"
        for signals in pod.models:
            by_model[signals.model].append((pod, signals))
    models = {name: _load(entries, trust) for name, entries in by_model.items()}
    unready = () if len(serving) == len(pods) else tuple([pod for pod in pods if not pod.ready])
    lost = stuck(unready, state, trust.now)
    return Fleet(
        serving=len(serving),
        arriving=_arriving(observation, len(serving), len(unready), len(lost)),
        total=_sum_loads(list(models.values()), silent),
        models=models,
        silent=silent,
        pods=tuple(serving),
        windows=observation.windows,
        unready=unready,
        stuck=lost,
        leaving=tuple([pod for pod in pods if pod.leaving is not None]),
    )


def _arriving(observation: Observation, serving: int, unready: int, lost: int) -> int:
    """Replicas on their way: those wanted, or, where Kubernetes makes no more pods (a quota),
    those that are there.
    """
    desired = getattr(observation.replicas, "desired", serving)
    there = max(0, desired - serving - lost)
    return there if observation.hands.refused is None else min(there, unready - lost)


class Trust:
    """Whether a signal is fresh and plausible; remembers the age of the oldest one used."""

    def __init__(self, windows: Windows, now: float) -> None:
        self.now = now
        # Six scrapes (the fast window is four) or half a minute: DCGM collects every 30 s.
        self.limit = max(1.5 * windows.fast, 30.0)
        self._earliest, self._latest = now - self.limit, now + self.limit
        self._oldest_at = math.inf

    @property
    def oldest(self) -> float | None:
        """Seconds since the oldest sample that was used; None before the first."""
        return None if math.isinf(self._oldest_at) else self.now - self._oldest_at

    def value(self, signal: Signal) -> float | None:
        if (
            isinstance(signal, Sample)
            and self._earliest <= signal.at <= self._latest
            and 0.0 <= signal.value < IMPLAUSIBLE
        ):
            if signal.at < self._oldest_at:
                self._oldest_at = signal.at
            return signal.value
        return None

    def problem(self, signal: Signal) -> str | None:
        if isinstance(signal, Missing):
            return signal.missing
        age = self.now - signal.at
        if age > self.limit:
            return f"stale: {format_duration(age)} old, trusted up to {format_duration(self.limit)}"
        if age < -self.limit:
            return f"its time is {format_duration(-age)} in the future: check the clocks"
        if not 0.0 <= signal.value < IMPLAUSIBLE:
            return f"implausible value {signal.value:g}"
        return None


def add_up(signals: Iterable[tuple[Pod, Signal]], trust: Trust) -> Total:
    """What a NotReady pod still tells is load (overload fails probes, too); its silence is not
    missing: a pod that is starting has nothing to tell.
    """
    total, known, missing = 0.0, 0, None
    for pod, signal in signals:
        value = trust.value(signal)
        if value is not None:
            total += value
            known += 1
        elif missing is None and pod.ready:
            missing = f"{pod.name}: {trust.problem(signal)}"
    return Total(total, known, missing)


def divide(signals: Iterable[tuple[Pod, Signal, Signal]], trust: Trust) -> Ratio:
    """Σ top / Σ bottom over the pods of which both are trusted."""
    over, under, known, missing = 0.0, 0.0, 0, None
    for pod, top, bottom in signals:
        a, b = trust.value(top), trust.value(bottom)
        if a is not None and b is not None:
            over += a
            under += b
            known += 1
        elif missing is None and pod.ready:
            missing = f"{pod.name}: {trust.problem(top if a is None else bottom)}"
    return Ratio(over, under, known, missing)


def _load(entries: Sequence[tuple[Pod, ModelSignals]], trust: Trust) -> Load:
    def total(pick: Callable[[ModelSignals], Signal]) -> Total:
        return add_up(((pod, pick(signals)) for pod, signals in entries), trust)

    def ratio(
        top: Callable[[ModelSignals], Signal], bottom: Callable[[ModelSignals], Signal]
    ) -> Ratio:
        return divide([(pod, top(s), bottom(s)) for pod, s in entries], trust)

    return Load(
        arrivals=total(lambda s: s.arrivals),
        arrivals_slow=total(lambda s: s.arrivals_slow),
        completions_slow=total(lambda s: s.completions_slow),
        pending=total(lambda s: s.pending),
        waited=ratio(lambda s: s.queueing, lambda s: s.completions),
        waited_slow=ratio(lambda s: s.queueing_slow, lambda s: s.completions_slow),
        inside=ratio(lambda s: s.pending, lambda s: s.completions),
        turned_away=ratio(lambda s: s.rejected, lambda s: s.arrivals),
    )


def _sum_loads(loads: Sequence[Load], silent: str | None) -> Load:
    def total(pick: Callable[[Load], Total]) -> Total:
        parts = [pick(load) for load in loads]
        missing = next((part.missing for part in parts if part.missing), silent)
        return Total(sum(p.value for p in parts), sum(p.known for p in parts), missing)

    def ratio(pick: Callable[[Load], Ratio]) -> Ratio:
        parts = [pick(load) for load in loads]
        missing = next((part.missing for part in parts if part.missing), silent)
        known = sum(p.known for p in parts)
        return Ratio(sum(p.top for p in parts), sum(p.bottom for p in parts), known, missing)

    return Load(
        arrivals=total(lambda load: load.arrivals),
        arrivals_slow=total(lambda load: load.arrivals_slow),
        completions_slow=total(lambda load: load.completions_slow),
        pending=total(lambda load: load.pending),
        waited=ratio(lambda load: load.waited),
        waited_slow=ratio(lambda load: load.waited_slow),
        inside=ratio(lambda load: load.inside),
        turned_away=ratio(lambda load: load.turned_away),
    )


def queue_time(load: Load, slow: bool = False) -> Signal:
    """Seconds in the queue per request: Σ queueing / Σ completions, the ratio of sums.

    20 requests/s that together collect 0.5 s of queueing every second waited 25 ms each. With
    nothing completed there is no verdict, unless nothing is pending either: then nobody waited.
    """
    waited = load.waited_slow if slow else load.waited
    if not waited.known:
        return Missing(waited.missing or "no pod is serving")
    if waited.bottom > NO_RATE:
        return Sample(waited.top / waited.bottom, 0.0)
    if load.pending.complete and load.pending.value == 0:
        return Sample(0.0, 0.0)
    return Missing("nothing completed, so no request tells how long it waited")
