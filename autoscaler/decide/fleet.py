"""From pods to the fleet: which signals can be trusted, and what they add up to.

A mean over pods or models is always a ratio of sums. A sum over pods of which some are silent is
a lower bound: it may raise, it never lowers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

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

_SIGNALS = (
    *("arrivals", "arrivals_slow", "completions", "completions_slow"),
    *("pending", "queueing", "queueing_slow", "rejected"),
)
_SIGNALS_OF = attrgetter(*_SIGNALS)

# A request in 30 years is none; divided by less, a wait becomes infinite.
NO_RATE = 1e-9


class Total(NamedTuple):
    """A sum over serving pods. `missing` names the first thing that is not in it."""

    value: float = 0.0
    known: int = 0
    missing: str | None = None

    @property
    def complete(self) -> bool:
        return self.known > 0 and self.missing is None


class Ratio(NamedTuple):
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

    def values(self, signals: Iterable[Signal]) -> list[float | None]:
        """As `value`, of many, without a call for each of a tick's 100,000."""
        earliest, latest, oldest = self._earliest, self._latest, self._oldest_at
        values: list[float | None] = []
        for signal in signals:
            if isinstance(signal, Sample):
                at, value = signal.at, signal.value
                if earliest <= at <= latest and 0.0 <= value < IMPLAUSIBLE:
                    if at < oldest:
                        oldest = at
                    values.append(value)
                    continue
            values.append(None)
        self._oldest_at = oldest
        return values

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


def _load(entries: Sequence[tuple[Pod, ModelSignals]], trust: Trust) -> Load:
    table = Table(entries, trust)
    return Load(
        arrivals=table.total("arrivals"),
        arrivals_slow=table.total("arrivals_slow"),
        completions_slow=table.total("completions_slow"),
        pending=table.total("pending"),
        waited=table.ratio("queueing", "completions"),
        waited_slow=table.ratio("queueing_slow", "completions_slow"),
        inside=table.ratio("pending", "completions"),
        turned_away=table.ratio("rejected", "arrivals"),
    )


class Table:
    """One model's signals: a row a pod, a column a signal, None where one cannot be trusted."""

    def __init__(self, entries: Sequence[tuple[Pod, ModelSignals]], trust: Trust) -> None:
        self._entries, self._trust = entries, trust
        rows = [trust.values(_SIGNALS_OF(signals)) for _, signals in entries]
        self._columns = dict(zip(_SIGNALS, zip(*rows, strict=True), strict=True))
        self._whole = {
            name: sum(column, 0.0) for name, column in self._columns.items() if None not in column
        }

    def total(self, name: str) -> Total:
        """What a NotReady pod still tells is load (overload fails probes, too); its silence is
        not missing: a pod that is starting has nothing to tell.
        """
        if name in self._whole:
            return Total(self._whole[name], len(self._entries))
        known = [value for value in self._columns[name] if value is not None]
        return Total(sum(known, 0.0), len(known), self._silence(name))

    def ratio(self, top: str, bottom: str) -> Ratio:
        """Σ top / Σ bottom over the pods of which both are trusted."""
        whole = self._whole
        if top in whole and bottom in whole:
            return Ratio(whole[top], whole[bottom], len(self._entries))
        pairs = zip(self._columns[top], self._columns[bottom], strict=True)
        told = [(a, b) for a, b in pairs if a is not None and b is not None]
        tops, bottoms = sum([a for a, _ in told], 0.0), sum([b for _, b in told], 0.0)
        return Ratio(tops, bottoms, len(told), self._silence(top, bottom))

    def _silence(self, *names: str) -> str | None:
        """The first thing that is not in a sum, in words."""
        for row, (pod, signals) in enumerate(self._entries):
            for name in names:
                if pod.ready and self._columns[name][row] is None:
                    return f"{pod.name}: {self._trust.problem(getattr(signals, name))}"
        return None


def _sum_loads(loads: Sequence[Load], silent: str | None) -> Load:
    if len(loads) == 1 and silent is None:
        return loads[0]
    return Load(
        arrivals=_sum_totals([load.arrivals for load in loads], silent),
        arrivals_slow=_sum_totals([load.arrivals_slow for load in loads], silent),
        completions_slow=_sum_totals([load.completions_slow for load in loads], silent),
        pending=_sum_totals([load.pending for load in loads], silent),
        waited=_sum_ratios([load.waited for load in loads], silent),
        waited_slow=_sum_ratios([load.waited_slow for load in loads], silent),
        inside=_sum_ratios([load.inside for load in loads], silent),
        turned_away=_sum_ratios([load.turned_away for load in loads], silent),
    )


def _sum_totals(parts: Sequence[Total], silent: str | None) -> Total:
    value, known, missing = 0.0, 0, None
    for part in parts:
        value += part.value
        known += part.known
        missing = missing or part.missing
    return Total(value, known, missing or silent)


def _sum_ratios(parts: Sequence[Ratio], silent: str | None) -> Ratio:
    top, bottom, known, missing = 0.0, 0.0, 0, None
    for part in parts:
        top += part.top
        bottom += part.bottom
        known += part.known
        missing = missing or part.missing
    return Ratio(top, bottom, known, missing or silent)


def queue_time(load: Load, slow: bool = False) -> float | None:
    """Seconds in the queue per request: Σ queueing / Σ completions, the ratio of sums.

    20 requests/s that together collect 0.5 s of queueing every second waited 25 ms each. With
    nothing completed there is no verdict, unless nothing is pending either: then nobody waited.
    """
    waited = load.waited_slow if slow else load.waited
    if not waited.known:
        return None
    if waited.bottom > NO_RATE:
        return waited.top / waited.bottom
    return 0.0 if load.pending.complete and load.pending.value == 0 else None


def no_queue_time(load: Load) -> str:
    """Why `queue_time` of the fast window is not known."""
    if not load.waited.known:
        return load.waited.missing or "no pod is serving"
    return "nothing completed, so no request tells how long it waited"
