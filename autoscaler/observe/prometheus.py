"""Signals from Prometheus: at most 12 instant queries a tick, and one for each policy query."""

from __future__ import annotations

import contextlib
import gc
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from autoscaler.model import Missing, Signal, Windows
from autoscaler.observe import columns, gpu, triton
from autoscaler.observe.columns import SampleTimes, Table, reductions
from autoscaler.observe.pods import pod_readings
from autoscaler.observe.port import PodKey, Readings
from autoscaler.observe.query_api import Access, QueryApi, Reduce
from autoscaler.observe.windows import windows_for
from autoscaler.units import format_duration

# Until the data says otherwise: what most ServiceMonitors have.
USUAL_INTERVAL = 15.0
MEASURE_EVERY = 300.0
# An instant answer's clock this far from ours is another clock, not a slow network.
CLOCKS_DIFFER = 5.0

TIMES, INTERVAL = "sample times", "scrape interval"


class PrometheusSource:
    """Reads all pods at once. `windows` and `scrape_interval` (seconds) are measured if None.

    `at=True` is replay: every query is asked for the instant `now`.
    """

    name = "prometheus"

    def __init__(
        self,
        access: Access | str,
        *,
        windows: Windows | None = None,
        scrape_interval: float | None = None,
        at: bool = False,
    ) -> None:
        self._api = QueryApi(Access(access) if isinstance(access, str) else access)
        self._given_windows = windows
        self._interval = scrape_interval or USUAL_INTERVAL
        self._measures = scrape_interval is None
        self._measured_at: float | None = None
        self._at = at
        self._examples: Sequence[str] = ()

    @property
    def windows(self) -> Windows:
        return self._given_windows or windows_for(self._interval)

    async def close(self) -> None:
        await self._api.close()

    async def read(self, queries: Sequence[str], now: float, deadline: float) -> Readings:
        """See `Source.read`. Nothing that Prometheus does raises here."""
        with no_collection():
            return await self._read(queries, now, deadline)

    async def _read(self, queries: Sequence[str], now: float, deadline: float) -> Readings:
        due = time.monotonic() + deadline
        answers = await self._measure(now, deadline / 2) if self._must_measure(now) else {}
        windows = self.windows
        texts = triton.queries(windows, self._interval) | gpu.gpu_queries(windows)
        table = Table()
        reduce = reductions(table)
        asks = {name: (text, reduce(name)) for name, text in texts.items() if name not in answers}
        own = {f"query {text}": (text, columns.one_number) for text in queries}
        answers |= await self._ask(asks | own, now, due - time.monotonic())
        metrics = {
            text: columns.metric_signal(answers.pop(name), now) for name, (text, _) in own.items()
        }
        return self._readings(table, answers, metrics, windows, now)

    async def _ask(
        self, asks: Mapping[str, tuple[str, Reduce]], now: float, deadline: float
    ) -> dict[str, Any]:
        return await self._api.ask(asks, now if self._at else None, max(0.0, deadline))

    def _readings(
        self,
        table: Table,
        answers: Mapping[str, Any],
        metrics: Mapping[str, Signal],
        windows: Windows,
        now: float,
    ) -> Readings:
        times = answers[TIMES]
        readings = Readings(
            at=now,
            windows=windows,
            source=self.name,
            metrics=metrics,
            scrape_interval=self._interval,
        )
        if isinstance(times, Missing):
            # Without the samples' times nothing can be known to be fresh.
            return replace(readings, failed=_failure(answers, times))
        self._examples = _examples(times.pods)
        skew = _skew(times.now, now)
        return replace(
            readings,
            pods=pod_readings(table, answers, times, skew, windows, now),
            problems=(*_problems(answers), *_remarks(times, skew)),
        )

    # --- the scrape interval -----------------------------------------------------------------

    def _must_measure(self, now: float) -> bool:
        if not self._measures:
            return False
        return self._measured_at is None or abs(now - self._measured_at) >= MEASURE_EVERY

    async def _measure(self, now: float, deadline: float) -> dict[str, Any]:
        """The interval from the data, at the start and every five minutes, until it is known.

        Returns the sample times where it had to ask for them: they need no second question.
        """
        due = time.monotonic() + deadline
        answers: dict[str, Any] = {}
        if not self._examples:
            text = triton.queries(self.windows)[TIMES]
            answers = await self._ask({TIMES: (text, columns.sample_times)}, now, deadline)
            if isinstance(answers[TIMES], Missing):
                return {}
            self._examples = _examples(answers[TIMES].pods)
        if self._examples:
            ask = triton.scrape_times_query(self._examples), columns.scrape_interval
            found = (await self._ask({INTERVAL: ask}, now, due - time.monotonic()))[INTERVAL]
            if isinstance(found, float) and found > 0:
                self._measured_at = now
                # The windows stand still while the measurement wavers.
                if abs(found - self._interval) > 0.2 * self._interval:
                    self._interval = round(found, 1)
        return answers


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Holds back the cyclic garbage collector while a read makes its objects.

    They are all still in use, so its passes over them find nothing: at 10,000 pods of 2 models
    they took 0.6 of 1.1 s. What is let go is freed at once all the same, by its reference count.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _examples(pods: Mapping[PodKey, float]) -> tuple[str, ...]:
    """A few pods spread over all of them: jobs may differ in their interval."""
    names = sorted({pod for _, pod in pods if re.fullmatch(r"[\w.-]+", pod)})
    return tuple(names[:: max(1, len(names) // 3)][:4])


def _skew(theirs: float | None, ours: float) -> float:
    difference = 0.0 if theirs is None else theirs - ours
    return difference if abs(difference) > CLOCKS_DIFFER else 0.0


def _failure(answers: Mapping[str, Any], times: Missing) -> str:
    """One sentence: the same for all, or what the question that everything hangs on came to."""
    reasons = Counter(answer.missing for answer in answers.values() if isinstance(answer, Missing))
    reason, count = reasons.most_common(1)[0]
    if count == len(answers):
        return f"Prometheus: {reason}"
    return f"Prometheus, {TIMES}: {times.missing}"


def _problems(answers: Mapping[str, Any]) -> list[str]:
    """One sentence for each reason, naming the questions that it hit."""
    hit: dict[str, list[str]] = {}
    for name, answer in answers.items():
        if isinstance(answer, Missing):
            hit.setdefault(answer.missing, []).append(name)
    return [f"Prometheus, {_some(names)}: {reason}" for reason, names in hit.items()]


def _remarks(times: SampleTimes, skew: float) -> Iterable[str]:
    if not times.pods and not times.unlabelled:
        yield (
            f"Prometheus has no {triton.SUCCESS}: is Triton's port 8002 scraped "
            "(PodMonitor or ServiceMonitor)?"
        )
    if times.unlabelled:
        yield (
            f"{times.unlabelled} of Triton's series carry no namespace and pod and are left out: "
            "scrape pods through kubernetes_sd_configs or a PodMonitor, or relabel"
        )
    if skew:
        side = "ahead of" if skew > 0 else "behind"
        apart = format_duration(abs(skew))
        yield f"Prometheus' clock is {apart} {side} this one's; ages allow for it"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
