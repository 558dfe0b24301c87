"""What `metrics_api` measures: a process whose loop ticks for real, with the metrics API beside it.

Composed as the daemon is, with one difference: the pods come from memory rather than from a watch,
so that 10,000 need not be made in a cluster. Signals come over HTTP from a Prometheus-shaped
server in another process. All policies are in one namespace, so that one answer has all pods.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from autoscaler.clock import SystemClock
from autoscaler.kube.client import KubeClient
from autoscaler.model import Policy
from autoscaler.observe.cluster import ClusterReading, TargetReading
from autoscaler.observe.gpu import gpu_queries
from autoscaler.observe.prometheus import PrometheusSource
from autoscaler.observe.triton import queries
from autoscaler.observe.windows import windows_for
from autoscaler.run.journal import FileJournal
from autoscaler.run.loop import Loop, Tick
from autoscaler.run.metrics import Counts, MetricsServing, MetricsSettings
from autoscaler.run.state import FileStates
from autoscaler.serve.access.assembly import SelfSigned
from autoscaler.serve.board import Board
from autoscaler.serve.metrics_api.catalog import Catalog
from bench.figures import say
from bench.observe_scale import INTERVAL, NOW, answers, fleet
from bench.tick import Known, sized

TICK = 5.0
NAMESPACE = "default"
_POD = re.compile(rb"triton-\d+-5cf8b78894-\wqqz8")


@dataclass(frozen=True)
class Setup:
    pods: int
    prometheus: str
    kubeconfig: Path
    host: str
    port: int
    service: SelfSigned


class Log:
    """What goes wrong is for the reader of the bench."""

    def info(self, *_: Any, **__: Any) -> None: ...

    def warning(self, text: str, **more: Any) -> None:
        say(f"metrics API: {text} {more or ''}")

    error = warning


def serve(setup: Setup, told: Connection) -> None:
    asyncio.run(_serve(setup, told))


async def _serve(setup: Setup, told: Connection) -> None:
    clock = SystemClock()
    board = Board("bench", TICK, dry_run=True, beat=clock.monotonic())
    settings = MetricsSettings(setup.host, setup.port, setup.service, Catalog())
    metrics = MetricsServing(
        settings, lambda: KubeClient.connect(setup.kubeconfig), clock, board, Log()
    )
    policies, cluster = world(setup.pods)
    source = PrometheusSource(setup.prometheus, scrape_interval=INTERVAL)
    ticks: list[float] = []

    def publish(tick: Tick) -> None:
        faults = [fault.text for fault in tick.problems]
        if faults:
            say(f"tick: {faults[:3]}")
        metrics.publish(tick, cluster)
        board.beat = clock.monotonic()
        ticks.append(tick.duration)

    with tempfile.TemporaryDirectory() as scratch:
        loop = Loop(
            lambda: policies,
            source,
            cluster=Known(cluster),
            states=FileStates(Path(scratch) / "state.json"),
            journal=FileJournal(Path(scratch) / "journal.jsonl", unchanged=60.0),
            clock=clock,
            interval=TICK,
            budget=60.0,
            on_tick=publish,
        )
        await metrics.open()
        running = asyncio.create_task(loop.run())
        this = asyncio.get_running_loop()
        while (await this.run_in_executor(None, told.recv)) == "count":
            while (loop.ticking or not ticks) and not running.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            if running.done():
                running.result()  # raises what ended it
            told.send((list(ticks), metrics.counts))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await metrics.close()
    await source.close()


def world(size: int) -> tuple[list[Policy], ClusterReading]:
    """As `observe_scale.fleet`, in one namespace, served, with the pods' labels."""
    policies, cluster = fleet(size)
    served = []
    readings = {}
    for policy in policies:
        target = replace(policy.target, namespace=NAMESPACE)
        reading = cluster.targets[policy.target]
        assert isinstance(reading, TargetReading)
        pods = tuple(replace(pod, name=renamed(pod.name)) for pod in reading.pods)
        labels = {pod.name: {"app": "triton", "set": target.name} for pod in pods}
        readings[target] = replace(reading, pods=pods, pod_labels=labels)
        served.append(replace(sized(policy), namespace=NAMESPACE, target=target, mode="recommend"))
    return served, ClusterReading(readings)


# --- what it reads ------------------------------------------------------------------------------


def prometheus(pods: int, port: Connection) -> None:
    """Canned answers whose samples are always 3 s old; counts the queries."""
    bodies = {text: _one_namespace(text, body) for text, body in answers(pods).items()}
    asked = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            nonlocal asked
            url = urlsplit(self.path)
            if url.path == "/asked":
                body = str(asked).encode()
            else:
                asked += 1
                body = bodies[parse_qs(url.query)["query"][0]]
                now = time.time()
                for age in (0, 3):
                    body = body.replace(b"%.1f" % (NOW - age), b"%.1f" % (now - age))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.send(server.server_address[1])
    server.serve_forever()


def renamed(pod: str) -> str:
    """With a random end, as a ReplicaSet names its pods: alike ones would be compressed away."""
    pick = random.Random(pod)
    return pod[:-5] + "".join(pick.choices("bcdfghjklmnpqrstvwxz2456789", k=5))


def _one_namespace(query: str, body: bytes) -> bytes:
    """And a queue time for each pod: alike ones would be compressed to nothing."""
    body = re.sub(rb'"team-\d+"', b'"default"', body)
    body = _POD.sub(lambda name: renamed(name[0].decode()).encode(), body)
    if "queue_duration" not in query:
        return body
    pick = random.Random(len(body))
    return re.sub(rb'"[\d.]+"\]', lambda _: b'"%.9f"]' % pick.uniform(0.0, 5.0), body)


class Server:
    """The process under measurement, from outside."""

    def __init__(self, pid: int, told: Connection, prometheus: str) -> None:
        self.pid = pid
        self._told = told
        self._prometheus = prometheus
        windows = windows_for(INTERVAL)
        self.queries_per_tick = len(queries(windows)) + len(gpu_queries(windows))

    def count(self) -> tuple[list[float], Counts, int]:
        """Seconds of each tick so far; the API's own counts; queries that Prometheus was sent."""
        from tests.testbed.loopback import ask

        self._told.send("count")
        if not self._told.poll(90):
            raise SystemExit("the measured process gave no answer")
        found = self._told.recv()
        return (*found, int(ask(f"{self._prometheus}/asked").body))


@contextmanager
def running(
    pods: int, kubeconfig: Path, place: tuple[str, int], service: tuple[str, str, str]
) -> Iterator[Server]:
    """Until the end of the block; returns after the first tick."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    canned = spawn.Process(target=prometheus, args=(pods, theirs), daemon=True)
    canned.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    told, its = spawn.Pipe()  # its end is closed here: the process' end is then an EOFError
    server = spawn.Process(
        target=serve,
        args=(Setup(pods, url, kubeconfig, *place, SelfSigned(*service)), its),
        daemon=True,
    )
    server.start()
    its.close()
    assert server.pid is not None
    try:
        found = Server(server.pid, told, url)
        found.count()
        yield found
        told.send("stop")
        server.join(15)
        if server.exitcode != 0:
            sys.exit(f"the measured process ended with {server.exitcode}")
    finally:
        for process in (server, canned):
            process.kill()
            process.join()
