"""One read and join of 100, 1,000 and 10,000 pods of 2 models, from a Prometheus-shaped server.

The server is a process of its own that answers with canned bytes, so that what is measured is
ours: HTTP, JSON, arithmetic, join. Every model is busy: no answer is short for being zero. Each
size runs in a process of its own. Prints JSON Lines: name, value, unit, size.

    python bench/observe_scale.py [--pods 10000] [--reads 5]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from autoscaler.model import Bounds, Demand, Pod, Policy, Replicas, Sla, Target
from autoscaler.observe.cluster import ClusterReading, TargetReading
from autoscaler.observe.gpu import gpu_queries
from autoscaler.observe.prometheus import PrometheusSource
from autoscaler.observe.snapshot import join
from autoscaler.observe.triton import queries
from autoscaler.observe.windows import windows_for

INTERVAL = 15.0
NOW = 1_795_248_926.1
PODS_PER_NODE = 8
PODS_PER_TARGET, MODELS = 10, ("resnet50", "bert_large")


def names(pods: int) -> list[tuple[str, str, str]]:
    """(namespace, target, pod) of every pod."""
    return [
        (f"team-{t % 50}", f"triton-{t}", f"triton-{t}-5cf8b78894-{chr(98 + i)}qqz8")
        for t in range(max(1, pods // PODS_PER_TARGET))
        for i in range(PODS_PER_TARGET)
    ]


def answers(pods: int) -> dict[str, bytes]:
    """Query → body, as Prometheus would write it."""
    fleet = names(pods)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for part in ("completions", "completions slow", "queueing", "queueing slow", "pending"):
        by_name[part] = [
            _row(f"{123.456789012 + n % 97}", model=model, namespace=namespace, pod=pod)
            for n, (namespace, _, pod) in enumerate(fleet)
            for model in MODELS
        ]
    for part, split in (
        ("pending range", ("floor", "peak")),
        ("pending change", ("fast", "slow")),
    ):
        by_name[part] = [
            _row("3.0666666666", _part=one, model=model, namespace=namespace, pod=pod)
            for one in split
            for namespace, _, pod in fleet
            for model in MODELS
        ]
    by_name["failures"] = []
    by_name["sample times"] = [_row(f"{NOW - 3}", namespace=n, pod=p) for n, _, p in fleet]
    by_name["duty cycle"] = [_row("0.731", namespace=n, pod=p, source="util") for n, _, p in fleet]
    by_name["power"] = [_row("0.62", namespace=n, pod=p, source="triton") for n, _, p in fleet]
    windows = windows_for(INTERVAL)
    texts = queries(windows) | gpu_queries(windows)
    return {texts[name]: _body(rows) for name, rows in by_name.items()}


def _row(value: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [NOW, value]}


def _body(rows: list[dict[str, Any]]) -> bytes:
    data = {"status": "success", "data": {"resultType": "vector", "result": rows}}
    return json.dumps(data, separators=(",", ":")).encode()


def serve(pods: int, port: Connection) -> None:
    bodies = answers(pods)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = bodies[parse_qs(urlsplit(self.path).query)["query"][0]]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.send(server.server_address[1])
    server.serve_forever()


def fleet(pods: int) -> tuple[list[Policy], ClusterReading]:
    by_target: dict[Target, list[Pod]] = {}
    born = NOW - 9e4
    for n, (namespace, target, pod) in enumerate(names(pods)):
        known = Pod(
            pod,
            created_at=born,
            node=f"node-{n // PODS_PER_NODE}",
            image="nvcr.io/nvidia/tritonserver:24.10-py3",
            gpus=1,
            scheduled_at=born + 1,
            started_at=born + 60,
            ready_at=born + 90,
        )
        by_target.setdefault(Target(namespace, target), []).append(known)
    policies = [
        Policy(target.namespace, target.name, target, Bounds(1, 20), Sla(0.05), (Demand(),))
        for target in by_target
    ]
    readings = {
        target: TargetReading(Replicas(len(of), len(of)), tuple(of), "app=triton")
        for target, of in by_target.items()
    }
    return policies, ClusterReading(readings)


async def measure(url: str, pods: int, reads: int) -> None:
    source = PrometheusSource(url, scrape_interval=INTERVAL, at=True)
    policies, cluster = fleet(pods)
    read_cpu, join_cpu, wall = [], [], []
    for _ in range(reads):
        started, clock = time.process_time(), time.perf_counter()
        readings = await source.read((), NOW, 60.0)
        read = time.process_time()
        observations = join(policies, readings, cluster, NOW)
        done = time.process_time()
        wall.append(time.perf_counter() - clock)
        read_cpu.append(read - started)
        join_cpu.append(done - read)
        assert readings.failed is None, readings.failed
        assert not readings.problems, readings.problems
        assert len(observations) == len(policies)
    await source.close()
    size = f"{len(policies)} policies, {pods} pods of {len(MODELS)} models"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, value, unit in (
        ("observe_read_cpu", statistics.median(read_cpu), "s"),
        ("observe_join_cpu", statistics.median(join_cpu), "s"),
        ("observe_read_and_join_wall", statistics.median(wall), "s"),
        ("observe_peak_memory", peak, "MiB"),
        ("observe_queries", len(queries(source.windows)) + len(gpu_queries(source.windows)), "1"),
    ):
        print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "size": size}))


def one_size(pods: int, reads: int) -> None:
    ours, theirs = multiprocessing.Pipe()
    # Spawned: a forked server would share, and count, our memory.
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(pods, theirs), daemon=True
    )
    server.start()
    try:
        asyncio.run(measure(f"http://127.0.0.1:{ours.recv()}", pods, reads))
    finally:
        server.terminate()
        server.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pods", type=int, help="one size only")
    parser.add_argument("--reads", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.pods is not None:
        one_size(arguments.pods, arguments.reads)
        return
    for pods in (100, 1_000, 10_000):
        command = [sys.executable, __file__, "--pods", str(pods), "--reads", str(arguments.reads)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
