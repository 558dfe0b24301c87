"""The first half of a backtest: what is asked for, and the pull, up to a History."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoscaler.model import Policy
from autoscaler.observe.query_api import Access
from autoscaler.observe.windows import windows_for
from autoscaler.sim.backtest import build, notes
from autoscaler.sim.backtest.cache import Cache
from autoscaler.sim.backtest.chunks import Chunk
from autoscaler.sim.backtest.findings import BacktestError, Finding, between
from autoscaler.sim.backtest.history import History
from autoscaler.sim.backtest.probe import Probe, probe
from autoscaler.sim.backtest.pull import MOST_SAMPLES, Progress, one, pull, too_many
from autoscaler.sim.backtest.questions import questions, starts
from autoscaler.sim.backtest.range_api import RangeApi
from autoscaler.sim.curve import ServerCurve


@dataclass(frozen=True, slots=True)
class Request:
    """What to backtest. Unix time, seconds. `tick`: between decisions; None: one a scrape.

    `server`: what one replica does; None: fitted to the history. `cold_start`: from the order of
    a replica to its being Ready; None: as kube-state-metrics tell, else as on a warm host.
    """

    policies: tuple[Policy, ...]
    access: Access
    start: float
    end: float
    tick: float | None = None
    server: ServerCurve | None = None
    cold_start: float | None = None
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """Called as it goes: a line to say, and the pull's progress."""

    say: Callable[[str], None] = lambda _: None
    progress: Callable[[Progress], None] = lambda _: None


@dataclass(slots=True)
class Pulled:
    history: History
    findings: list[Finding]
    queries: int
    cached: int
    bytes: int


class Watch:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now


def pulled_history(request: Request, telling: Telling, watch: Watch) -> Pulled:
    """Raises BacktestError."""
    target = request.policies[0].target
    cache = Cache(request.cache)
    api = RangeApi(request.access, cache)
    try:
        found = probe(api, target, request.start, request.end)
        start, end = _whole_steps(request, found)
        windows = windows_for(found.interval)
        lead = math.ceil((windows.slow + 2 * found.interval) / found.step) * found.step
        asked = questions(target, request.policies, windows)
        progress = Progress()
        answers, findings = pull(
            api, asked, start - lead, end, found.step, found.series, telling.progress, progress
        )
        cold_start = _cold_start(api, request, end)
        watch.lap("pull")
        history = build.history(target, answers, start, end, found.step, found.interval, cold_start)
        watch.lap("build")
    finally:
        api.close()
    if not history.pods:
        raise BacktestError(
            between(start, end),
            f"no pod of {target.name} was sampled (its pods are named {target.name}-<hash>-<5 "
            f"letters> or {target.name}-<number>)",
            "correct the policy's target",
        )
    said = [*found.findings, *findings, *notes.findings(history)]
    if cache.problem is not None:
        remedy = "give another --cache; the next run pulls all of it again"
        said.append(Finding("the cache", cache.problem, remedy))
    return Pulled(history, said, api.asked, api.cached, progress.bytes)


def _whole_steps(request: Request, found: Probe) -> tuple[int, int]:
    """From and to, of a time that is long enough and short enough."""
    start = math.ceil(request.start / found.step) * found.step
    end = math.floor(request.end / found.step) * found.step
    if end - start < 4 * found.step:
        raise BacktestError(
            between(request.start, request.end),
            f"shorter than four scrapes of {found.step}s",
            "backtest a longer time",
        )
    # Before hours of pulling: the counters alone, as many series all along as at the most.
    samples = 3 * found.series * (end - start) // found.step
    if samples > MOST_SAMPLES:
        about = f"{found.series:,} series at a time, about {samples / 1e6:,.0f} million samples"
        raise too_many(between(start, end), about)
    return start, end


def _cold_start(api: RangeApi, request: Request, end: int) -> float | None:
    """Of the pods of this time, by kube-state-metrics; None without."""
    if request.cold_start is not None:
        return None
    question = starts(request.policies[0].target, max(600.0, request.end - request.start))
    try:
        rows = one(api, question, Chunk(end, end, 1))
    except BacktestError:
        return None  # nobody needs it: a refusal of so wide a look back is no reason to stop
    value = float(rows[0]["values"][-1][1]) if rows else math.nan
    return value if math.isfinite(value) and value > 0 else None


def words(pulled: Pulled, watch: Watch) -> str:
    return (
        f"{pulled.queries} queries ({pulled.cached} answers from disk), "
        f"{pulled.bytes / 1e6:,.1f} MB in {watch.seconds['pull']:.1f} s."
    )
