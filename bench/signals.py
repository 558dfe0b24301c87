"""Signal error against ground truth, beside the error of NVIDIA's published formula.

Pods with exactly known requests (every arrival, wait and completion) publish Triton's counters at
15 s; a real Prometheus holds them; both formulas are asked at the same instants. Truth is taken
over the span that the scrapes inside each formula's own window cover: what no reader of scrapes
can do better than. Error = |measured − true| / true, over all instants with traffic.
"""

from __future__ import annotations

import asyncio
import bisect
import gzip
import random
import statistics
import tempfile
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from autoscaler.model import ModelSignals, Sample, Windows
from autoscaler.observe.prometheus import PrometheusSource
from bench.figures import figure, say
from tests.testbed.backfill import backfill
from tests.testbed.parts import ensure_prometheus
from tests.testbed.prometheus_server import PrometheusServer

START, MINUTES, SCRAPE = 1_700_000_000.0, 20, 15.0
INSTANTS = [START + 420 + 37.0 * n for n in range(20)]
NVIDIA = (
    "avg by (pod)(delta(nv_inference_queue_duration_us[30s])"
    " / (1 + delta(nv_inference_request_success[30s])))"
)


@dataclass
class Model:
    """Requests of one model: sorted arrival times, and completions with running sums of waits."""

    arrivals: list[float]
    completions: list[float]
    waits: list[float]  # seconds, by completion
    rejected: list[float]
    waited: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.waited = [0.0, *accumulate(self.waits)]

    def completed(self, at: float) -> int:
        return bisect.bisect_right(self.completions, at)


@dataclass
class BenchPod:
    name: str
    models: list[Model]
    restarted_at: float | None = None


def make_model(rng: random.Random, rate: float, wait: float, rejects: float) -> Model:
    arrivals, done, rejected, at = [], [], [], START
    while at < START + 60 * MINUTES:
        at += rng.expovariate(rate)
        arrivals.append(at)
        if rng.random() < rejects:
            rejected.append(at)
            continue
        queued = rng.expovariate(1 / wait)
        done.append((at + queued + 0.01, queued))
    done.sort()
    return Model(arrivals, [d for d, _ in done], [w for _, w in done], rejected)


def make_pod(name: str, models: int, rate: float, rejects: float = 0.0, **more: float) -> BenchPod:
    """One hot model carries half of the load and waits 50 ms; the rest share the other half."""
    rng = random.Random(name)
    shares = [1.0] if models == 1 else [0.5] + [0.5 / (models - 1)] * (models - 1)
    waits = [0.05] + [0.001] * (models - 1)
    made = [
        make_model(rng, rate * share, wait, rejects)
        for share, wait in zip(shares, waits, strict=True)
    ]
    return BenchPod(name, made, **more)


def pods() -> list[BenchPod]:
    plain = [
        make_pod(f"m{models}-r{rate:g}", models, rate)
        for models in (1, 2, 5, 10, 20)
        for rate in (0.05, 0.5, 5.0, 50.0, 500.0)
    ]
    odd = [make_pod(f"restart-r{r:g}", 2, r, restarted_at=START + 607.0) for r in (5.0, 500.0)]
    odd += [make_pod(f"reject-r{r:g}", 2, r, rejects=0.1) for r in (5.0, 500.0)]
    return plain + odd


def scrape_times(pod: BenchPod) -> list[float]:
    """Every 15 s at an offset of the pod's own; a restarting pod misses two scrapes."""
    first = START + random.Random(pod.name + "offset").uniform(0, SCRAPE)
    times = [first + n * SCRAPE for n in range(int(60 * MINUTES / SCRAPE))]
    gone = pod.restarted_at
    return times if gone is None else [t for t in times if not gone <= t < gone + 2 * SCRAPE]


def openmetrics(all_pods: list[BenchPod]) -> str:
    families: dict[str, list[str]] = {
        name: [f"# TYPE {name} unknown"]
        for name in (
            "nv_inference_request_success",
            "nv_inference_queue_duration_us",
            "nv_inference_request_failure",
            "nv_inference_pending_request_count",
        )
    }
    success, queue, failure, pending = families.values()
    for pod in all_pods:
        times = scrape_times(pod)
        for number, model in enumerate(pod.models):
            labels = f'namespace="bench",pod="{pod.name}",model="model-{number}",version="1"'
            base_done = base_wait = base_rejected = 0.0
            if pod.restarted_at is not None:
                at_restart = model.completed(pod.restarted_at)
                base = (at_restart, model.waited[at_restart])
                rejected = bisect.bisect_right(model.rejected, pod.restarted_at)
            for at in times:
                if pod.restarted_at is not None and at >= pod.restarted_at:
                    (base_done, base_wait), base_rejected = base, rejected
                done = model.completed(at)
                waited = (model.waited[done] - base_wait) * 1e6
                refused = bisect.bisect_right(model.rejected, at)
                inside = bisect.bisect_right(model.arrivals, at) - done - refused
                success.append(f"nv_inference_request_success{{{labels}}} {done - base_done} {at}")
                queue.append(f"nv_inference_queue_duration_us{{{labels}}} {waited:.0f} {at}")
                failure.append(
                    f'nv_inference_request_failure{{{labels},reason="REJECTED"}} '
                    f"{refused - base_rejected} {at}"
                )
                pending.append(f"nv_inference_pending_request_count{{{labels}}} {inside} {at}")
    return "\n".join(line for lines in families.values() for line in lines) + "\n# EOF\n"


@dataclass(frozen=True)
class Truth:
    queue_time: float | None
    arrivals: float | None


def truth(pod: BenchPod, at: float, window: float) -> Truth:
    """Over the span between the first and the last scrape inside (at − window, at]."""
    inside = [t for t in scrape_times(pod) if at - window < t <= at]
    if len(inside) < 2 or (pod.restarted_at and inside[0] < pod.restarted_at <= inside[-1]):
        return Truth(None, None)  # what a restart swallowed nobody can know
    first, last = inside[0], inside[-1]
    if at - last > 2 * SCRAPE:
        return Truth(None, None)  # the pod is down at this moment: it has no rate
    count = waited = arrived = 0.0
    for model in pod.models:
        a, b = model.completed(first), model.completed(last)
        count += b - a
        waited += model.waited[b] - model.waited[a]
        arrived += bisect.bisect_right(model.arrivals, last) - bisect.bisect_right(
            model.arrivals, first
        )
    span = last - first
    return Truth(waited / count if count else None, arrived / span if arrived else None)


def ours(models: tuple[ModelSignals, ...]) -> tuple[float | None, float | None]:
    """(queue time, arrivals) of a pod: ratios of sums over its models; None where Missing."""
    queueing, completions, arrivals = 0.0, 0.0, 0.0
    for m in models:
        parts = (m.queueing, m.completions, m.arrivals)
        if not all(isinstance(part, Sample) for part in parts):
            return None, None
        queueing += m.queueing.value
        completions += m.completions.value
        arrivals += m.arrivals.value
    return (queueing / completions if completions else None), arrivals


Errors = dict[str, list[float]]


async def measure(
    url: str, server: PrometheusServer, all_pods: list[BenchPod]
) -> dict[str, Errors]:
    source = PrometheusSource(url, windows=Windows(60.0, 300.0), scrape_interval=SCRAPE, at=True)
    errors: dict[str, Errors] = {"queue_time": {}, "arrivals": {}, "nvidia_queue_time": {}}
    for at in INSTANTS:
        readings = await source.read([], at, deadline=60.0)
        published = {s.labels["pod"]: s.value / 1e6 for s in server.query(NVIDIA, at=at)}
        for pod in all_pods:
            known, short = truth(pod, at, 60.0), truth(pod, at, 30.0)
            queue, arrivals = ours(readings.pods["bench", pod.name].models)
            note(errors["queue_time"], pod.name, queue, known.queue_time)
            note(errors["arrivals"], pod.name, arrivals, known.arrivals)
            note(errors["nvidia_queue_time"], pod.name, published.get(pod.name), short.queue_time)
    await source.close()
    return errors


def note(errors: Errors, pod: str, measured: float | None, true: float | None) -> None:
    if measured is not None and true:
        errors.setdefault(pod, []).append(abs(measured - true) / true)


def report(errors: dict[str, Errors]) -> None:
    for signal, by_pod in errors.items():
        values = sorted(value for pod in by_pod.values() for value in pod)
        size = f"{len(by_pod)} pods x {len(INSTANTS)} instants, 1-20 models, 0.05-500 req/s"
        figure(f"{signal}_error_median", 100 * statistics.median(values), "%", size)
        figure(f"{signal}_error_p95", 100 * values[int(0.95 * len(values))], "%", size)
        worst = max(by_pod, key=lambda pod: max(by_pod[pod]))
        figure(f"{signal}_error_max", 100 * values[-1], "%", size, worst=worst)


def main() -> None:
    say("signals: error against ground truth, in a real Prometheus")
    made = pods()
    binaries = ensure_prometheus()
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(scratch) / "bench.om.gz"
        text.write_bytes(gzip.compress(openmetrics(made).encode(), 1))
        storage = Path(scratch) / "tsdb"
        storage.mkdir()
        backfill(binaries.promtool, text, storage)
        with PrometheusServer(binaries, storage=storage) as server:
            report(asyncio.run(measure(server.url, server, made)))


if __name__ == "__main__":
    main()
