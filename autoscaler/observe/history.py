"""One pod's pages over the slow window, and its signals from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autoscaler.model import Missing, ModelSignals, Signal, Windows
from autoscaler.observe import gpu, triton
from autoscaler.observe.pages import COUNTERS, SeriesName
from autoscaler.observe.port import PodReading
from autoscaler.observe.series import Series
from autoscaler.observe.triton import NO_GAUGE, NO_QUEUE, NO_REASON, YOUNG, Part

BLANK = 1e15
NEVER = float("-inf")

Named = list[tuple[SeriesName, Series]]


class History:
    """What one pod's pages said. `fresh_at` is the Unix time of the last good one."""

    def __init__(self) -> None:
        self.fresh_at = NEVER
        self.failed: str | None = None  # why the last try brought no good page
        self._series: dict[SeriesName, Series] = {}
        self._now: frozenset[SeriesName] = frozenset()  # the series on the last page

    def add(self, at: float, page: Mapping[SeriesName, float], keep: float) -> None:
        """Takes in a page scraped at `at`; forgets what is older than `keep` seconds."""
        for name, value in page.items():
            series = self._series.get(name)
            if series is None:
                series = self._series[name] = Series()
                if self.fresh_at != NEVER and name.metric in COUNTERS:
                    # A model that was loaded since the last page: it counted from 0, and what
                    # it served before its first page is not lost (PromQL's rate loses it).
                    series.add(self.fresh_at, 0.0)
            series.add(at, value)
        self._now = frozenset(page)
        self.fresh_at, self.failed = at, None
        for name, series in tuple(self._series.items()):
            series.forget(at - keep)
            if not series.times:
                del self._series[name]

    def reading(self, now: float, windows: Windows, fresh_for: float) -> PodReading:
        """The pod's signals at `now`; all Missing once the last good page is too old."""
        if now - self.fresh_at > fresh_for:
            why = Missing(self.failed or "never scraped")
            models = tuple(triton.unknown_model(name, why) for name in self._models())
            return PodReading(self.fresh_at, models, why, why, self.failed)
        end = max(now, self.fresh_at)
        groups: dict[tuple[str, str], Named] = {}
        for name, series in self._series.items():
            groups.setdefault((name.metric, name.model), []).append((name, series))
        models = tuple(self._signals(name, groups, end, windows) for name in self._models())
        completed = sum(getattr(model.completions, "value", 0.0) for model in models)
        return PodReading(
            self.fresh_at,
            models or (triton.unknown_model("*", Missing("no model is loaded")),),
            self._duty_cycle(end - windows.fast, completed, windows),
            self._power(end - windows.fast, windows),
            self.failed,
        )

    def _models(self) -> list[str]:
        metrics = (triton.SUCCESS, triton.PENDING)
        return sorted({name.model for name in self._now if name.metric in metrics})

    def _signals(
        self, model: str, groups: Mapping[tuple[str, str], Named], end: float, windows: Windows
    ) -> ModelSignals:
        fast, slow = end - windows.fast, end - windows.slow
        counted = groups.get((triton.SUCCESS, model), ())
        done = _series(counted)
        queue = _series(groups.get((triton.QUEUE, model), ()))
        failures = groups.get((triton.FAILURE, model), [])
        failed = _series(failures)
        pending = groups.get((triton.PENDING, model), ())
        gauges = [series for name, series in pending if name in self._now]
        completed = _rate(done, fast, YOUNG)
        no_failure: Part = YOUNG if completed is YOUNG else 0.0
        no_queue = YOUNG if completed is YOUNG or queue else NO_QUEUE
        return triton.model_signals(
            model,
            self.fresh_at,
            windows,
            completed,
            _rate(done, slow, YOUNG),
            _rate(queue, fast, no_queue),
            _rate(queue, slow, no_queue),
            _rate(failed, fast, no_failure),
            _rate(failed, slow, no_failure),
            _rejected(failures, fast, no_failure),
            sum(series.values[-1] for series in gauges) if gauges else NO_GAUGE,
            sum(min(series.within(fast), default=series.values[-1]) for series in gauges)
            if gauges
            else NO_GAUGE,
            sum(max(series.within(slow), default=series.values[-1]) for series in gauges)
            if gauges
            else NO_GAUGE,
            _slope(gauges, fast),
            _slope(gauges, slow),
            versions=triton.other_versions(n.version for n, _ in counted if n in self._now),
        )

    def _duty_cycle(self, start: float, completed: float, windows: Windows) -> Signal:
        means = self._gpu_means(triton.GPU_UTILIZATION, start)
        if not means:
            return gpu.NO_DUTY
        busiest = max(means.values())
        return gpu.duty_cycle(busiest, "triton", completed, self.fresh_at, windows.fast)

    def _power(self, start: float, windows: Windows) -> Signal:
        watts = self._gpu_means(triton.GPU_POWER, start)
        limits = self._gpu_means(triton.GPU_POWER_LIMIT, start)
        shares = [watts[name] / limits[name] for name in watts if limits.get(name, 0.0) > 0]
        if not shares:
            return gpu.NO_POWER
        return gpu.power(max(shares), self.fresh_at, windows.fast)

    def _gpu_means(self, metric: str, start: float) -> dict[str, float]:
        """Mean by GPU since `start`; one blank spoils it."""
        means = {}
        for name, series in self._series.items():
            if name.metric == metric and name in self._now and len(values := series.within(start)):
                mean = sum(values) / len(values)
                if mean < BLANK:
                    means[name.gpu] = mean
        return means


def _series(named: Iterable[tuple[SeriesName, Series]]) -> list[Series]:
    return [series for _, series in named]


def _rejected(failures: Named, start: float, absent: Part) -> Part:
    rejected = [series for name, series in failures if name.reason == triton.REJECTED]
    untold = [series for name, series in failures if name.reason is None]
    if not rejected and any(series.rate(start) for series in untold):
        return NO_REASON
    return _rate(rejected, start, absent)


def _rate(many: Iterable[Series], start: float, absent: Part) -> Part:
    """Σ over versions and gpu_uuid; `absent` where none of them has two samples."""
    rates = [rate for series in many if (rate := series.rate(start)) is not None]
    return sum(rates) if rates else absent


def _slope(gauges: list[Series], start: float) -> Part:
    if not gauges:
        return NO_GAUGE
    slopes = [slope for series in gauges if (slope := series.slope(start)) is not None]
    return sum(slopes) if slopes else YOUNG
