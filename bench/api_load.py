"""Requests on kept-alive TLS connections, from a process of its own: as fast as they are answered
(closed loop), or at fixed times whether they are answered or not (open loop).
"""

from __future__ import annotations

import multiprocessing
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path


@dataclass(frozen=True)
class Door:
    """Where to ask and as whom; `head` is the request without Accept-Encoding and its end."""

    host: str
    port: int
    authority: Path
    name: str  # that the serving certificate must have
    head: bytes
    certificate: tuple[Path, Path] | None = None

    def request(self, gzip: bool) -> bytes:
        return self.head + (b"Accept-Encoding: gzip\r\n\r\n" if gzip else b"\r\n")

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.authority))
        if self.certificate is not None:
            context.load_cert_chain(*self.certificate)
        plain = socket.create_connection((self.host, self.port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname=self.name)


@dataclass(frozen=True)
class Load:
    """`rate` in requests/s: an open loop; None: a closed one."""

    clients: int
    seconds: float
    gzip: bool
    rate: float | None = None


@dataclass(frozen=True)
class Measured:
    latencies: list[float]  # seconds; in an open loop from the time that was intended
    body: int  # bytes
    seconds: float


def put(door: Door, load: Load) -> Measured:
    """From a spawned process: the load's own work must not be the server's wait for the GIL."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_run, args=(door, load, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(load.seconds + 90):
            raise SystemExit("the load generator gave no answer")
        found = ours.recv()
        process.join(10)
    finally:
        process.kill()
    if isinstance(found, str):
        raise SystemExit(f"the load generator failed: {found}")
    measured: Measured = found
    return measured


def _run(door: Door, load: Load, back: Connection) -> None:
    try:
        back.send(_measure(door, load))
    except Exception as error:  # noqa: BLE001 -- told to the one who waits
        back.send(repr(error))


def _measure(door: Door, load: Load) -> Measured:
    times: list[list[float]] = [[] for _ in range(load.clients)]
    sizes, failures = [0] * load.clients, list[Exception]()
    gate = threading.Barrier(load.clients + 1, timeout=60)
    began = [0.0]

    def client(number: int) -> None:
        try:
            with door.connect() as tls:
                buffer, request = bytearray(1 << 20), door.request(load.gzip)
                exchange(tls, request, buffer)  # the first one renders
                gate.wait()
                ask = _closed if load.rate is None else _open
                sizes[number] = ask(
                    load, number, began, lambda: exchange(tls, request, buffer), times[number]
                )
        except Exception as error:  # noqa: BLE001 -- raised by the thread that waits
            failures.append(error)
            gate.abort()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(load.clients)]
    for thread in threads:
        thread.start()
    began[0] = time.perf_counter() + 3600
    try:
        gate.wait()
    except threading.BrokenBarrierError:
        raise failures[0] if failures else SystemExit("no connection within 60 s") from None
    began[0] = time.perf_counter()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    taken = time.perf_counter() - began[0]
    return Measured([one for mine in times for one in mine], max(sizes), taken)


def _closed(
    load: Load, number: int, began: list[float], ask: Callable[[], int], times: list[float]
) -> int:
    size = 0
    while (sent := time.perf_counter()) < began[0] + load.seconds:
        size = ask()
        times.append(time.perf_counter() - sent)
    return size


def _open(
    load: Load, number: int, began: list[float], ask: Callable[[], int], times: list[float]
) -> int:
    """Each connection takes every so-many-th slot. One that is late asks at once, and its latency
    counts from the slot: a server that stands still for a second delays all that were due in it.
    """
    assert load.rate is not None
    while began[0] > time.perf_counter() + 60:
        time.sleep(0.001)
    size, slot = 0, number
    while (due := began[0] + slot / load.rate) < began[0] + load.seconds:
        time.sleep(max(0.0, due - time.perf_counter()))
        size = ask()
        times.append(time.perf_counter() - due)
        slot += load.clients
    return size


def exchange(tls: ssl.SSLSocket, request: bytes, buffer: bytearray) -> int:
    """One request and its whole answer; the length of the body."""
    tls.sendall(request)
    got = tls.recv_into(buffer)
    while (at := buffer.find(b"\r\n\r\n", 0, got) + 4) == 3:
        got += _more(tls, memoryview(buffer)[got:])
    head = bytes(buffer[:at])
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"unexpected answer: {bytes(buffer[:300])!r}")
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return _chunked(tls, buffer, at, got)
    field = lower.index(b"content-length: ") + 16
    length = int(head[field : head.index(b"\r\n", field)])
    left = length - (got - at)
    while left > 0:
        left -= _more(tls, buffer)
    return length


def _chunked(tls: ssl.SSLSocket, buffer: bytearray, at: int, got: int) -> int:
    """Bytes with the chunks' own lengths. The last chunk ends the answer; no JSON ends like it."""
    length, end = got - at, bytes(buffer[at:got])[-5:]
    while end != b"0\r\n\r\n":
        read = _more(tls, buffer)
        length += read
        end = (end + bytes(buffer[max(0, read - 5) : read]))[-5:]
    return length


def _more(tls: ssl.SSLSocket, buffer: bytearray | memoryview) -> int:
    read = tls.recv_into(buffer)
    if read == 0:
        raise RuntimeError("the answer ends early")
    return read
