"""The metrics API over TLS at 10, 100, 1,000 and 10,000 pods, as the aggregator asks it for an HPA.

The server is a process of its own that ticks (publishes a fresh view every 5 s), behind the real
gate: the front proxy's certificate and its X-Remote-* headers, SubjectAccessReviews remembered as
always (the API server itself is a stub that allows). The load comes from another process: clients
on kept-alive connections, one request at a time each. Outgoing connections of the server are
counted by an audit hook (each first query of Prometheus would be one), reviews by the stub.

    python -m bench.metrics_api [--pods 1000] [--seconds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import trustme

from bench.figures import figure, resident_mb, say

SIZES = (10, 100, 1_000, 10_000)
CLIENTS = 8
TICK = 5.0
TARGET = (
    "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/avg_time_queue_us"
    "?labelSelector=app%3Dflower"
)
HPA = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
REMOTE = (
    f"X-Remote-User: {HPA}\r\nX-Remote-Uid: 7a0c6f1e\r\n"
    "X-Remote-Group: system:serviceaccounts\r\n"
    "X-Remote-Group: system:serviceaccounts:kube-system\r\n"
    "X-Remote-Group: system:authenticated\r\n"
    "X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id: JTI=9f2d\r\n"
)


# --- the server -------------------------------------------------------------------------------


def serve(pods: int, folder: str, port: Connection) -> None:
    connects = 0

    def hook(event: str, _: Any) -> None:
        nonlocal connects
        if event == "socket.connect":
            connects += 1

    sys.addaudithook(hook)
    pem, authorities = (Path(folder, name).read_bytes() for name in ("server.pem", "ca.pem"))
    asyncio.run(_serve(pods, pem, authorities.decode(), port, lambda: connects))


async def _serve(
    pods: int, pem: bytes, authorities: str, port: Connection, connects: Callable[[], int]
) -> None:
    from autoscaler.clock import SystemClock
    from autoscaler.serve.access.front_proxy import parse
    from autoscaler.serve.access.gate import DelegatingGate
    from autoscaler.serve.access.reviews import Reviews
    from autoscaler.serve.access.tls import ServingTls
    from autoscaler.serve.metrics_api.server import MetricsApi

    reviews = 0

    class Allowing:
        async def request(self, *_: object, **__: object) -> dict[str, Any]:
            nonlocal reviews
            reviews += 1
            return {"status": {"allowed": True}}

    class Fixed:
        now = parse(
            {
                "requestheader-client-ca-file": authorities,
                "requestheader-allowed-names": '["front-proxy-client"]',
                "requestheader-username-headers": '["X-Remote-User"]',
                "requestheader-group-headers": '["X-Remote-Group"]',
                "requestheader-uid-headers": '["X-Remote-Uid"]',
                "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
            }
        )

    tls = ServingTls(say)
    tls.use_certificate(pem, pem)
    tls.use_authorities(Fixed.now.pem)
    clock = SystemClock()
    gate = DelegatingGate(cast(Any, Fixed()), Reviews(cast(Any, Allowing()), clock), clock)
    api = MetricsApi(gate, clock)
    await api.start("127.0.0.1", 0, tls.context)
    ticks = asyncio.create_task(_tick(api, pods))
    loop = asyncio.get_running_loop()
    port.send(api.port)
    while (await loop.run_in_executor(None, port.recv)) == "count":
        port.send((connects(), reviews, api.answers.rendered))
    ticks.cancel()
    await api.close()


async def _tick(api: Any, pods: int) -> None:
    """Every 5 s other values, on samples that are 7 s old."""
    number = 0
    while True:
        number += 1
        api.publish(*_world(pods, time.time(), number))
        await asyncio.sleep(TICK)


def _world(pods: int, now: float, number: int) -> tuple[Any, ...]:
    from dataclasses import replace

    from autoscaler.model import ModelSignals, Observation, Pod, Replicas, Sample
    from autoscaler.serve.metrics_api.views import TargetLabels
    from bench.decide import POLICY

    policy = replace(POLICY, mode="recommend")
    at = now - 7
    fleet = []
    for n in range(pods):
        rate = 20.0 + (n * 7919 + number) % 97
        wait = rate * 1e-6 * ((n * 104_729 + number * 31) % 50_000)
        models = tuple(
            ModelSignals(name, completions=Sample(rate, at, 60.0), queueing=Sample(wait, at, 60.0))
            for name in ("resnet50", "bert_large")
        )
        fleet.append(Pod(f"flower-5cf8b78894-{n:05d}", models=models))
    observation = Observation(policy.key, now, Replicas(pods, pods), tuple(fleet))
    names = {pod.name: {"app": "flower", "pod-template-hash": "5cf8b78894"} for pod in fleet}
    labels = {policy.target: TargetLabels("app=flower", {}, names)}
    return now, [policy], {policy.key: observation}, [], labels


# --- the load ---------------------------------------------------------------------------------


def load(
    port: int, folder: str, clients: int, seconds: float, gzip: bool, back: Connection
) -> None:
    """Sends back the latency of each request in seconds, the bytes of a body and the time taken."""
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    context.load_cert_chain(f"{folder}/client.pem")
    coding = b"Accept-Encoding: gzip\r\n" if gzip else b""
    request = (
        (
            f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\n"
            f"Accept: application/vnd.kubernetes.protobuf, */*\r\n{REMOTE}"
        ).encode()
        + coding
        + b"\r\n"
    )
    times: list[list[float]] = [[] for _ in range(clients)]
    sizes = [0] * clients
    gate = threading.Barrier(clients + 1)
    end = [0.0]

    def client(number: int) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            buffer = bytearray(1 << 20)
            _exchange(tls, request, buffer)  # the first one renders
            gate.wait()
            mine = times[number]
            while True:
                began = time.perf_counter()
                if began >= end[0]:
                    break
                sizes[number] = _exchange(tls, request, buffer)
                mine.append(time.perf_counter() - began)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    end[0] = time.perf_counter() + seconds + 0.5
    gate.wait()
    began = time.perf_counter()
    end[0] = began + seconds
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - began
    back.send(([one for mine in times for one in mine], max(sizes), taken))


def _exchange(tls: ssl.SSLSocket, request: bytes, buffer: bytearray) -> int:
    """One request and its whole answer; the length of the body."""
    tls.sendall(request)
    got = tls.recv_into(buffer)
    head = bytes(buffer[: min(got, 2048)])
    if not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"unexpected answer: {head[:300]!r}")
    at = head.index(b"\r\n\r\n") + 4
    field = head.lower().index(b"content-length: ") + 16
    length = int(head[field : head.index(b"\r\n", field)])
    left = length - (got - at)
    while left > 0:
        read = tls.recv_into(buffer)
        if read == 0:
            raise SystemExit("the answer ends early")
        left -= read
    return length


# --- both --------------------------------------------------------------------------------------


def certificates(folder: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    server = authority.issue_cert("localhost")
    client = authority.issue_cert(common_name="front-proxy-client")
    server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    client.private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))


def one_size(pods: int, seconds: float, gzip: bool, folder: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=serve, args=(pods, folder, theirs), daemon=True)
    server.start()
    try:
        port = ours.recv()
        alone = _load(spawn, port, folder, 1, seconds / 2, gzip)
        together = _load(spawn, port, folder, CLIENTS, seconds, gzip)
        ours.send("count")
        counts = ours.recv()
        size = f"{pods} pods, {'gzip' if gzip else 'identity'}"
        _report(size, alone, together, *counts)
        assert server.pid is not None
        figure("metrics_api_resident", resident_mb(server.pid), "MB", size)
        ours.send("stop")
        server.join(10)
    finally:
        server.kill()


def _load(
    spawn: Any, port: int, folder: str, clients: int, seconds: float, gzip: bool
) -> tuple[list[float], int, float]:
    ours, theirs = spawn.Pipe()
    process = spawn.Process(
        target=load, args=(port, folder, clients, seconds, gzip, theirs), daemon=True
    )
    process.start()
    try:
        if not ours.poll(seconds + 60):
            raise SystemExit("the load generator gave no answer")
        found: tuple[list[float], int, float] = ours.recv()
        process.join(10)
        return found
    finally:
        process.kill()


def _report(
    size: str, alone: Any, together: Any, connects: int, reviews: int, rendered: int
) -> None:
    for clients, (times, _, taken) in ((1, alone), (CLIENTS, together)):
        of = f"{size}, {clients} client{'s' if clients > 1 else ''}"
        cuts = statistics.quantiles(times, n=100, method="inclusive")
        figure("metrics_api_rate", len(times) / taken, "requests/s", of)
        figure("metrics_api_p50", cuts[49] * 1e3, "ms", of)
        figure("metrics_api_p99", cuts[98] * 1e3, "ms", of)
    requests = len(alone[0]) + len(together[0])
    figure("metrics_api_body", together[1] / 1e3, "kB", size)
    figure("metrics_api_queries_per_request", connects / requests, "1", size, requests=requests)
    figure("metrics_api_reviews_per_request", reviews / requests, "1", size, reviews=reviews)
    figure("metrics_api_renderings", rendered, "1", size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pods", type=int, action="append", help="these sizes only")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load with 8 clients")
    arguments = parser.parse_args()
    say("metrics API: pods/*/avg_time_queue_us through the real gate; an HPA takes gzip")
    with TemporaryDirectory() as folder:
        certificates(Path(folder))
        for pods in arguments.pods or SIZES:
            for gzip in (True, False):
                one_size(pods, arguments.seconds, gzip, folder)


if __name__ == "__main__":
    main()
