"""What the daemon serves over HTTP."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from autoscaler.clock import WalkingClock
from autoscaler.model import Decision
from autoscaler.serve.board import Board
from autoscaler.serve.page import render
from autoscaler.serve.server import ListenError, Server, start
from autoscaler.serve.telemetry import Telemetry
from tests.unit.serve.shown import board, named


@pytest.fixture
def shown() -> Board:
    return board()


@pytest.fixture
async def server(shown: Board) -> AsyncIterator[Server]:
    clock = WalkingClock(100.0)
    running = await start(shown, Telemetry(shown, clock.now).registry, clock, "127.0.0.1", 0)
    yield running
    await running.close()


async def get(server: Server, path: str, **kwargs: object) -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{server.port}{path}", **kwargs) as answer,  # type: ignore[arg-type]
    ):
        return answer.status, answer.content_type, await answer.text()


async def test_health_says_its_reason(server: Server, shown: Board) -> None:
    assert (await get(server, "/livez"))[0] == 200
    assert (await get(server, "/readyz")) == (200, "text/plain", "1 policy, observing\n")
    shown.observed_once = False
    assert (await get(server, "/readyz")) == (503, "text/plain", "nothing was observed yet\n")
    shown.beat = 0.0
    status, _, reason = await get(server, "/livez")
    assert (status, reason) == (503, "no tick finished in 100 s (limit 30 s)\n")


async def test_metrics_decisions_and_the_page(server: Server) -> None:
    _, kind, metrics = await get(server, "/metrics")
    assert kind == "text/plain"
    assert 'desired_replicas{namespace="default",policy="flower",target="flower"} 4.0' in metrics
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{server.port}/v1/decisions") as answer,
    ):
        found = await answer.json()
    assert (found["at"], found["decisions"][0]["desired"]) == (1000.0, 4)
    _, kind, page = await get(server, "/")
    assert kind == "text/html"
    assert "2 → 4" in page


async def test_before_the_first_tick_there_is_a_page_all_the_same(
    server: Server, shown: Board
) -> None:
    shown.decisions, shown.tick_at = (), None
    assert "No decision yet." in (await get(server, "/"))[2]
    assert (await get(server, "/v1/decisions"))[2] == '{"at":null,"decisions":[]}\n'


async def test_huge_headers_and_bodies_are_refused(server: Server) -> None:
    status, _, _ = await get(server, "/livez", headers={"X-Big": "x" * 20_000})
    assert status == 400
    assert (await get(server, "/nowhere"))[0] == 404


async def test_a_taken_port_says_which_and_what_to_type(shown: Board) -> None:
    clock = WalkingClock(0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port}: .*--listen 127\.0\.0\.1:"):
            await start(shown, Telemetry(shown, clock.now).registry, clock, "127.0.0.1", port)


def test_every_value_on_the_page_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    fields = {"sentence": evil, "hold": evil, "flip": evil, "binding": evil, "notes": (evil,)}
    hostile: Decision = named(evil, **fields)
    shown = board(hostile)
    shown.reload_good, shown.reload_errors, shown.faults = False, (evil,), (evil,)
    page = render(shown, 1003.0, 100.0)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 8


def test_the_page_says_what_is_wrong_first() -> None:
    shown = board()
    shown.faults = ("http://prometheus:9090 refused the connection",)
    shown.reload_good, shown.reload_errors = False, ("a.yaml:3: unknown field",)
    page = render(shown, 1003.0, 200.0)
    assert page.index("no tick finished in 100 s") < page.index("a.yaml:3: unknown field")
    assert page.index("refused the connection") < page.index("default/flower")
