"""A scripted past, and a server that answers range queries about it as Prometheus would."""

from __future__ import annotations

import json
import threading
import urllib.parse
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from autoscaler.model import Bounds, Capacity, Demand, Policy, QueueTime, Sla, Target
from autoscaler.observe.triton import FAILURE, PENDING, QUEUE, SUCCESS
from autoscaler.sim.backtest.build import history
from autoscaler.sim.backtest.history import History
from autoscaler.sim.backtest.pull import Rows

STEP = 15
START = 1_699_920_000  # 2023-11-14, midnight UTC
TARGET = Target("default", "bert")
POLICY = Policy(
    "default",
    "bert",
    TARGET,
    Bounds(1, 8),
    Sla(queue_time=0.025),
    (Demand(), QueueTime(0.025, 0.012)),
    capacity=Capacity("given", 1000.0),
)
METRICS = {
    "completions": SUCCESS,
    "queueing": QUEUE,
    "pending": PENDING,
    "failures": FAILURE,
}

Samples = Mapping[int, float]  # by seconds since START


@dataclass
class Series:
    """`samples`: seconds since START → value."""

    family: str  # of METRICS
    pod: str
    samples: Samples
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> dict[str, str]:
        usual = {"namespace": "default", "pod": self.pod, "model": "m", "version": "1"}
        found = {"__name__": METRICS[self.family], **usual, "job": "triton", **self.labels}
        return {name: value for name, value in found.items() if value}


def line(rate: float, first: int, last: int, begin: float = 0.0) -> dict[int, float]:
    """A counter that grows by `rate` a second, sampled each STEP from first to last."""
    return {at: begin + rate * (at - first) for at in range(first, last + 1, STEP)}


def pod(
    name: str, rate: float, first: int, last: int, wait: float = 0.007, pending: float = 2.0
) -> list[Series]:
    """One that answers `rate` requests/s, each after `wait` seconds in the queue."""
    return [
        Series("completions", name, line(rate, first, last)),
        Series("queueing", name, line(rate * wait * 1e6, first, last)),
        Series("pending", name, dict.fromkeys(line(0, first, last), pending)),
    ]


def rows(many: list[Series], length: int, lookback: int = 300) -> dict[str, Rows]:
    """What a pull of START − 330 s to START + length would bring; as Prometheus, each step shows
    the last sample of five minutes.
    """
    found = {name: Rows() for name in ("sample times", "completions", "queueing", "pending")}
    found["failures"] = Rows()
    stamps: dict[str, dict[int, float]] = {}
    for one in many:
        steps, values = [], []
        for at in range(-330, length + 1, STEP):
            last = max((t for t in one.samples if at - lookback < t <= at), default=None)
            if last is None:
                continue
            if one.family == "completions":
                by_step = stamps.setdefault(one.pod, {})
                number = (START + at) // STEP
                by_step[number] = max(by_step.get(number, 0.0), float(START + last))
            if one.family == "failures" and one.samples[last] <= 0:
                continue
            steps.append((START + at) // STEP)
            values.append(one.samples[last])
        if steps:
            key = tuple(sorted(one.named.items()))
            found[one.family].series[key] = array("q", steps), array("d", values)
    for name, by_step in stamps.items():
        key = (("namespace", "default"), ("pod", name))
        numbers = sorted(by_step)
        stamped = array("d", [by_step[n] for n in numbers])
        found["sample times"].series[key] = array("q", numbers), stamped
    return found


def past(many: list[Series], length: int, interval: float = STEP) -> History:
    return history(TARGET, rows(many, length), START, START + length, STEP, interval)


# --- a server --------------------------------------------------------------------------------

# (query, start, end, step) → status, body
Answering = Callable[[str, int, int, int], tuple[int, bytes]]


@dataclass
class Asked:
    """What a server was asked, in order."""

    queries: list[tuple[str, int, int, int]] = field(default_factory=list)


@contextmanager
def prometheus(answer: Answering) -> Iterator[tuple[str, Asked]]:
    asked = Asked()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            form = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            what = form["query"], int(form["start"]), int(form["end"]), int(form["step"])
            asked.queries.append(what)
            with suppress(ConnectionError):  # who asks may be cut off, and so may an answer
                status, body = answer(*what)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def matrix(
    series: list[tuple[Mapping[str, str], list[tuple[float, float]]]], **more: object
) -> bytes:
    result = [
        {"metric": dict(labels), "values": [[at, f"{value:.17g}"] for at, value in points]}
        for labels, points in series
    ]
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": result}} | more
    ).encode()


def refused(kind: str, text: str) -> bytes:
    return json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


def recorded(many: list[Series]) -> Answering:
    """Understands what a backtest asks for, and nothing else."""

    def answer(query: str, start: int, end: int, step: int) -> tuple[int, bytes]:
        times = range(start, end + 1, step)
        ours = [one for one in many if one.pod.startswith("bert-") and one.named.get("pod")]
        done = [one for one in ours if one.family == "completions"]
        if query.startswith("label_replace(count("):
            everybody = [one for one in many if one.family == "completions"]
            parts = [("ours", done), ("all", everybody)]
            return 200, matrix(
                [({"_part": name}, _counts(some, times)) for name, some in parts if some]
            )
        if query.startswith("max by (namespace,pod)(timestamp("):
            return 200, matrix(
                [
                    (
                        {"namespace": "default", "pod": one.pod},
                        [(t, START + at) for t, at in _last(one, times)],
                    )
                    for one in done
                ]
            )
        if query.startswith("topk(1"):
            return 200, matrix([(many[0].named, [(float(end), 1.0)])])
        for family, metric in METRICS.items():
            if query.startswith(f"{metric}{{"):
                return 200, matrix(
                    [
                        (one.named, [(t, one.samples[at]) for t, at in _last(one, times)])
                        for one in ours
                        if one.family == family
                    ]
                )
        return 200, matrix([])

    return answer


def _last(one: Series, times: range) -> Iterator[tuple[float, int]]:
    """(time asked for, seconds of the sample that Prometheus shows then)"""
    for t in times:
        at = max((s for s in one.samples if t - START - 300 < s <= t - START), default=None)
        if at is not None:
            yield float(t), at


def _counts(some: list[Series], times: range) -> list[tuple[float, float]]:
    found = []
    for t in times:
        count = sum(1 for one in some for _ in _last(one, range(t, t + 1)))
        if count:
            found.append((float(t), float(count)))
    return found
