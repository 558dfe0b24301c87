"""14 days at 15 s: the pull from a local Prometheus, and all that comes after it.

A steady fleet under day-and-night traffic. Of 10 pods of 2 models the answers are made here, as
Prometheus would send them: 5 million samples take promtool minutes to write.
"""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

from autoscaler.model import Bounds, Capacity, Cost, Demand, Policy, QueueTime, Sla, Target
from autoscaler.observe.query_api import Access
from autoscaler.observe.windows import windows_for
from autoscaler.sim.backtest import backtest, build
from autoscaler.sim.backtest.gather import Pulled, Request, Watch
from autoscaler.sim.backtest.page import write
from autoscaler.sim.backtest.pull import Rows
from autoscaler.sim.backtest.questions import questions
from autoscaler.sim.curve import h200
from autoscaler.sim.workloads import workload
from bench.figures import figure, resident_mb, say, testbed_lacks

DAYS, SCRAPE, LEAD = 14, 15, 330
START = 1_795_305_600 - DAYS * 86400  # a Monday, 00:00 UTC
END = START + DAYS * 86400
TARGET = Target("default", "bert")


def policy(models: int) -> Policy:
    capacity = (
        Capacity("given", 1500.0)
        if models == 1
        else Capacity("given", models={f"model-{n}": 1500.0 for n in range(models)})
    )
    return Policy(
        "default",
        "bert",
        TARGET,
        Bounds(1, 20),
        Sla(queue_time=0.025),
        (Demand(), QueueTime(0.025, 0.012)),
        mode="scale",
        capacity=capacity,
        cost=Cost(2.5),
    )


def samples(pods: int, models: int) -> Iterator[tuple[int, float, float, float]]:
    """(time, requests, µs queued, pending) so far, of each model in each pod."""
    curve = h200()
    trace = workload("diurnal", seed=1, days=float(DAYS)).scaled(0.5, 1.0).shifted(float(START))
    done = queued = 0.0
    for at in range(START - LEAD, END + 1, SCRAPE):
        load = trace.rate(min(max(at, START), END - 1)) * 1500.0
        wait = curve.queue_time(min(load, curve.brink))
        done += math.floor(load / models * SCRAPE)
        queued += math.floor(load / models * SCRAPE) * wait * 1e6
        yield at, done, queued, math.floor(load / models * wait)


FAMILIES = (
    ("nv_inference_request_success", 1),
    ("nv_inference_queue_duration_us", 2),
    ("nv_inference_pending_request_count", 3),
)


def write_openmetrics(file: TextIO, pods: int) -> None:
    rows = list(samples(pods, 1))
    for name, column in FAMILIES:
        file.write(f"# TYPE {name} unknown\n")
        for pod in range(pods):
            labels = f'namespace="default",pod="bert-{pod}",model="m",version="1",job="triton"'
            file.writelines(f"{name}{{{labels}}} {row[column]:.0f} {row[0]}\n" for row in rows)
    file.write("# EOF\n")


def answers(pods: int, models: int) -> dict[str, Rows]:
    """What a pull would have brought."""
    rows = list(samples(pods, models))
    steps = array("q", [at // SCRAPE for at, *_ in rows])
    names = ("sample times", "completions", "queueing", "pending")
    columns = {name: array("d", [row[i] for row in rows]) for i, name in enumerate(names)}
    found = {question.name: Rows() for question in questions(TARGET, (), windows_for(SCRAPE))}
    for name, values in columns.items():
        for pod in range(pods):
            which = [("pod", f"bert-{pod}"), ("namespace", "default")]
            each = (
                [[]]
                if name == "sample times"
                else [[("model", f"model-{n}")] for n in range(models)]
            )
            for more in each:
                found[name].series[tuple(sorted(which + more))] = (steps, values)
    return found


def after_the_pull(made: dict[str, Rows], models: int, size: str) -> None:
    began, before = time.perf_counter(), os.times()
    watch = Watch()
    request = Request((policy(models),), Access("http://localhost:9090"), START, END)
    history = build.history(TARGET, made, START, END, SCRAPE, float(SCRAPE))
    watch.lap("build")
    found = backtest.judge(request, Pulled(history, [], 0, 0, 0), watch)
    report(found.seconds, time.perf_counter() - began, size)
    after = os.times()
    figure("backtest_memory", resident_mb(os.getpid()), "MiB", f"{size}, the process that tells")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "backtest.html"
        figure("backtest_page_wall", timed(lambda: write(path, found)), "s", size)
        figure("backtest_page_size", path.stat().st_size / 1e6, "MB", size)
    spent = (after.user + after.system + after.children_user + after.children_system) - (
        before.user + before.system + before.children_user + before.children_system
    )
    figure("backtest_replay_cpu", spent, "s", f"{size}, all processes together")


def report(seconds: Mapping[str, float], whole: float, size: str) -> None:
    figure("backtest_replay_wall", whole, "s", size)
    for stage in ("build", "fit", "said", "modelled"):
        figure(f"backtest_{stage}_wall", seconds[stage], "s", size)


def from_prometheus(pods: int, size: str) -> None:
    from tests.testbed.parts import ensure_prometheus
    from tests.testbed.prometheus_server import PrometheusServer

    binaries = ensure_prometheus()
    with tempfile.TemporaryDirectory() as scratch:
        plain, storage = Path(scratch) / "past.om", Path(scratch) / "data"
        with plain.open("w") as file:
            write_openmetrics(file, pods)
        # As long as Prometheus' own; by default 168 of 2 h, the file read for each.
        make = [binaries.promtool, "tsdb", "create-blocks-from", "openmetrics"]
        make += ["--max-block-duration=54h", plain, storage]
        subprocess.run(make, check=True, capture_output=True)
        cache = Path(scratch) / "cache"
        with PrometheusServer(binaries, storage=storage) as server:
            request = Request((policy(1),), Access(server.url), START, END, cache=cache)
            found = backtest.backtest(request)
            figure("backtest_pull_wall", found.seconds["pull"], "s", size)
            figure("backtest_pull_queries", found.queries, "queries", size)
            figure("backtest_pull_bytes", found.bytes / 1e6, "MB", size)
            stages = {name: took for name, took in found.seconds.items() if name != "pull"}
            report(stages, sum(stages.values()), size)
            again = timed(
                lambda: backtest.gather.pulled_history(request, backtest.Telling(), Watch())
            )
            figure("backtest_pull_again_wall", again, "s", f"{size}, from disk")


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    say("backtest: 14 days at 15 s, one policy, processes on every core")
    lacks = testbed_lacks("prometheus")
    if lacks:
        say(f"the pull is left out: {lacks}")
    else:
        from_prometheus(4, "14 days at 15 s, 4 pods x 1 model")
    for pods, models in ((4, 1), (10, 2)):
        words = f"14 days at 15 s, {pods} pods x {models} model{'s' * (models > 1)}"
        after_the_pull(answers(pods, models), models, f"{words}, made answers")


if __name__ == "__main__":
    main()
