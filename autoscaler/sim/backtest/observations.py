"""The recorded past as the Observations that a tick would have made then.

By the formulas of `observe`: growth between the first and the last sample of a window by the time
between them (`observe.triton.model_signals` makes the signals), and what a join without access to
Kubernetes says of pods (`observe.snapshot`): who is silent for three scrapes and 5 s is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autoscaler.model import (
    Metric,
    Missing,
    ModelSignals,
    Observation,
    Pod,
    Policy,
    Replicas,
    Sample,
    Signal,
    Windows,
)
from autoscaler.observe import gpu, triton
from autoscaler.observe.port import SCRAPE_SLACK, SCRAPES_MISSED
from autoscaler.observe.triton import NO_GAUGE, NO_QUEUE, NO_REASON, YOUNG
from autoscaler.observe.windows import windows_for
from autoscaler.sim.backtest.history import History, ModelPast, PodPast

NO_METRIC = Missing("the query had no single number then")
NOTE = "replayed from a recorded past"


def observations(history: History, policy: Policy, every: int = 1) -> Iterator[Observation]:
    """One for each `every` steps from start to end."""
    cursors = [_Cursor(pod) for pod in history.pods]
    cursors.sort(key=lambda cursor: cursor.pod.times[0])
    metrics = {o.id: o.query for o in policy.objectives if isinstance(o, Metric)}
    waiting, alive = 0, list[_Cursor]()
    interval, windows = 0.0, Windows()
    for now in history.steps(every):
        if history.interval(now) != interval:
            interval = history.interval(now)
            windows = windows_for(interval)
        fresh = SCRAPES_MISSED * interval + SCRAPE_SLACK
        while waiting < len(cursors) and cursors[waiting].pod.times[0] <= now:
            alive.append(cursors[waiting])
            waiting += 1
        pods, over = [], False
        for cursor in alive:
            cursor.move(now, windows)
            if now - cursor.at <= fresh:
                pods.append(cursor.read(now, now // history.step, windows))
            elif cursor.last == len(cursor.pod.times) - 1:
                over = True
        if over:
            alive = [c for c in alive if now - c.at <= fresh or c.last < len(c.pod.times) - 1]
        yield Observation(
            policy=policy.key,
            at=float(now),
            replicas=_replicas(history, now, len(pods)),
            pods=tuple(pods),
            metrics={
                name: _metric(history.metrics.get(query, {}).get(now // history.step), now)
                for name, query in metrics.items()
            }
            if metrics
            else {},
            windows=windows,
            source="prometheus",
            notes=(NOTE,),
        )


def _metric(value: float | None, now: float) -> Signal:
    return NO_METRIC if value is None else Sample(value, now)


def _replicas(history: History, now: int, pods: int) -> Replicas | Missing:
    spec = history.spec.get(now // history.step)
    if spec is not None:
        ready = history.ready.get(now // history.step, pods)
        return Replicas(int(spec), int(ready), source="kubernetes")
    if not pods:
        return Missing(f"no pod of {history.target.name} had fresh series then")
    return Replicas(pods, pods, source="series")


class _Cursor:
    """Where the windows of one pod stand: its last sample, and the first in each window."""

    __slots__ = ("at", "fast", "last", "pod", "slow")

    def __init__(self, pod: PodPast) -> None:
        self.pod = pod
        self.last = self.fast = self.slow = 0
        self.at = pod.times[0]

    def move(self, now: float, windows: Windows) -> None:
        """Windows are open on the left: a sample as old as the window is not in it."""
        times, last = self.pod.times, self.last
        end = len(times) - 1
        while last < end and times[last + 1] <= now:
            last += 1
        fast, slow = self.fast, self.slow
        while fast < last and times[fast] <= now - windows.fast:
            fast += 1
        while slow < last and times[slow] <= now - windows.slow:
            slow += 1
        self.last, self.fast, self.slow, self.at = last, fast, slow, times[last]

    def read(self, now: float, number: int, windows: Windows) -> Pod:
        pod, last = self.pod, self.last
        models = tuple(
            [
                self._signals(name, model, windows)
                for name, model in pod.models.items()
                if model.first <= last <= model.last
            ]
        )
        duty: Signal = gpu.NO_DUTY
        power: Signal = gpu.NO_POWER
        if pod.duty or pod.power:
            duty, power = self._gpu(now, number, models, windows)
        return Pod(pod.name, models=models, duty_cycle=duty, gpu_power=power)

    def _signals(self, name: str, model: ModelPast, windows: Windows) -> ModelSignals:
        times, last = self.pod.times, self.last
        fast, slow = max(self.fast, model.first), max(self.slow, model.first)
        at = times[last]
        short, long = at - times[fast], at - times[slow]
        done, queued, pending = model.done, model.queued, model.pending
        rates: list[triton.Part] = [YOUNG] * 8
        if long > 0:
            rates[1] = (done[last] - done[slow]) / long
            rates[3] = NO_QUEUE if queued is None else (queued[last] - queued[slow]) / long
            rates[5] = (model.failed[last] - model.failed[slow]) / long if model.failed else 0.0
        if short > 0:
            rates[0] = (done[last] - done[fast]) / short
            rates[2] = NO_QUEUE if queued is None else (queued[last] - queued[fast]) / short
            rates[4] = (model.failed[last] - model.failed[fast]) / short if model.failed else 0.0
            rates[6] = _rejected(model, last, fast, short)
        levels: list[triton.Part] = [NO_GAUGE] * 5
        if pending is not None:
            level = pending[last]
            levels = [level, min(pending[fast : last + 1]), max(pending[slow : last + 1])]
            levels.append((level - pending[fast]) / short if short > 0 else YOUNG)
            levels.append((level - pending[slow]) / long if long > 0 else YOUNG)
        done_fast, done_slow, queue, queue_slow, failed, failed_slow, rejected, _ = rates
        return triton.model_signals(
            name,
            at,
            windows,
            done_fast,
            done_slow,
            queue,
            queue_slow,
            failed,
            failed_slow,
            rejected,
            *levels,
            versions=_versions(model, last) if model.versions else None,
        )

    def _gpu(
        self, now: float, number: int, models: Sequence[ModelSignals], windows: Windows
    ) -> tuple[Signal, Signal]:
        """As `observe.pods` reads them."""
        duty: Signal = gpu.NO_DUTY
        power: Signal = gpu.NO_POWER
        if number in self.pod.duty:
            value, source = self.pod.duty[number]
            completed = sum(getattr(model.completions, "value", 0.0) for model in models)
            at = self.at if source == "triton" else now
            span = gpu.source_window(source, windows)
            duty = gpu.duty_cycle(value, source, completed, at, span)
        if number in self.pod.power:
            value, source = self.pod.power[number]
            at = self.at if source == "triton" else now
            power = gpu.power(value, at, gpu.source_window(source, windows))
        return duty, power


def _versions(model: ModelPast, at: int) -> str | None:
    return triton.other_versions(
        name for first, last, name in model.versions if first <= at <= last
    )


def _rejected(model: ModelPast, last: int, fast: int, span: float) -> triton.Part:
    if model.rejected is not None:
        return (model.rejected[last] - model.rejected[fast]) / span
    if not model.reasons and model.failed and model.failed[last] > model.failed[fast]:
        return NO_REASON
    return 0.0
