"""Huge, slow and broken requests: each bounded in bytes, in time, and in what it is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from autoscaler.serve.metrics_api import routes, server
from autoscaler.serve.server import ListenError
from tests.unit.metrics_api.served import PODS, Served, fleet, pod
from tests.unit.metrics_api.test_load import large


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10.0):
        while not holds():  # noqa: ASYNC110 -- the server has no event for it
            await asyncio.sleep(0.01)


STATUS = b'{"kind":"Status"'


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n"
        + b"".join(b"X-%d: 1\r\n" % n for n in range(300))
        + b"\r\n",
        b"\x16\x03\x01 this is a TLS hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
    ids=["line", "header", "headers", "tls", "version"],
)
async def test_broken_or_huge_is_400_and_the_connection_ends(
    flowers: Served, request_: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await flowers.raw(request_)
    assert answer.startswith(b"HTTP/1.")
    assert b" 400 " in answer.splitlines()[0]
    assert STATUS in answer
    assert "Traceback" not in capfd.readouterr().err
    assert (await flowers.get(PODS)).status == 200


async def test_a_long_selector_that_fits_is_answered(flowers: Served) -> None:
    names = ",".join(f"flower-{n}" for n in range(1000))
    answer = await flowers.get(f"{PODS}?labelSelector=app+notin+({names})")
    assert answer.status == 200
    assert not flowers.api._routes._plans  # too long to remember


async def test_a_body_is_not_waited_for(flowers: Served) -> None:
    answer = await flowers.raw(
        f"POST {PODS} HTTP/1.1\r\nHost: a\r\n".encode(),
        b"Connection: close\r\nContent-Length: 3\r\n\r\nabc",
    )
    assert b" 405 " in answer.splitlines()[0]


async def test_a_client_that_never_finishes_its_first_request_is_cut_off(
    api: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "FIRST_REQUEST", 0.05)
    assert await api.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ") == b""
    assert await api.raw() == b""


async def test_a_client_that_does_not_read_is_cut_off(
    api: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2.3 MB that nobody takes would stay in memory for as long as he likes."""
    monkeypatch.setattr(routes, "SEND_WITHIN", 0.1)
    api.tick(large(10_000))
    with socket.create_connection(("127.0.0.1", api.api.port)) as lazy:
        # The kernel alone buffers several MB on loopback: ten answers are more than that.
        lazy.sendall(f"GET {PODS} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 10)
        await until(lambda: api.api.connections == 1)
        await until(lambda: api.api.connections == 0)
    assert (await api.get(PODS)).status == 200


async def test_too_many_connections_are_turned_away_and_the_others_go_on(
    flowers: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await flowers.get(PODS)).status == 200  # keeps its connection
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    assert await flowers.raw() == b""
    assert (await flowers.get(PODS)).status == 200


async def test_requests_in_one_packet_are_all_answered(flowers: Served) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert (await flowers.raw(one * 50 + last)).count(b"HTTP/1.1 200") == 51


async def test_a_client_that_hangs_up_half_way_leaves_nothing_behind(api: Served) -> None:
    api.tick(large(10_000))
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", api.api.port)) as rude:
            rude.sendall(f"GET {PODS} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await asyncio.sleep(0.01)
    await until(lambda: api.api.connections == 0)
    assert api.broken == []


async def test_names_with_odd_characters_are_quoted_never_code(api: Served) -> None:
    api.tick(fleet("flower", pod('we"ird\\\u2028')))
    answer = await api.get(PODS.replace("avg_time_queue_us", "gpu_duty_cycle"))
    assert list(answer.values) == ['we"ird\\\u2028']
    evil = await api.get("/apis/custom.metrics.k8s.io/v1beta2/namespaces/a/pods/*/%22%0d%0aX:%20y")
    assert evil.status == 404
    assert "X" not in evil.headers


async def test_a_taken_port_says_which_and_what_to_type(api: Served) -> None:
    other = Served()
    with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{api.api.port}: .*--metrics-api"):
        await other.api.start("127.0.0.1", api.api.port, None)


async def test_closing_ends_open_connections(flowers: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", flowers.api.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    await flowers.api.close()
    assert await asyncio.wait_for(reader.read(), 5.0)
    writer.close()


async def test_what_was_asked_for_is_told_for_telemetry(flowers: Served) -> None:
    for target in (PODS, "/healthz", "/apis", "/nowhere", f"{PODS}?labelSelector=!!"):
        await flowers.get(target)
    assert flowers.told == [
        ("values", 200),
        ("health", 200),
        ("discovery", 200),
        ("nothing", 404),
        ("refused", 400),
    ]
