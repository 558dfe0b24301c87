"""The metrics API beside the tick: answers while the tick works, and tells what goes wrong."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from autoscaler.kube import watch
from autoscaler.observe.cluster import ClusterReading, TargetReading
from autoscaler.run.loop import Tick
from autoscaler.run.metrics import TAKEN_WITHIN, MetricsServing, MetricsSettings
from autoscaler.serve.access.assembly import MountedFiles
from autoscaler.serve.board import Board
from autoscaler.serve.metrics_api.answers import Answers
from autoscaler.serve.metrics_api.catalog import Catalog
from autoscaler.serve.server import ListenError
from tests.unit.access.doorway import CONFIG_MAPS, Authorities, client_of, config_map
from tests.unit.kube.scripted import ScriptedApi, eventually
from tests.unit.metrics_api.served import PODS, Fleet, flower

ADMIN = {"X-Remote-User": "root", "X-Remote-Group": "system:masters"}


class Log:
    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def info(self, text: str, **more: Any) -> None:
        self.said.append((text, more))

    warning = error = info

    def about(self, text: str) -> list[dict[str, Any]]:
        return [more for said, more in self.said if said == text]


class MovedClock:
    """The present; monotonic time goes on as the test says."""

    def __init__(self) -> None:
        self.moved = 0.0

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() + self.moved

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Beside:
    """The API, open; `ask` from a thread, as nobody else's event loop needs to turn."""

    metrics: MetricsServing
    clock: MovedClock
    log: Log
    authorities: Authorities
    client: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    @property
    def port(self) -> int:
        (said,) = self.log.about("serving the metrics API")
        return int(said["address"].rstrip("/").rpartition(":")[2])

    def ask(self, path: str = PODS) -> tuple[int, Any]:
        connection = http.client.HTTPSConnection(
            "localhost", self.port, context=self.client, timeout=10
        )
        try:
            connection.request("GET", path, headers=ADMIN)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def publish(self, *fleets: Fleet) -> None:
        decisions = tuple(one.decision() for one in fleets)
        observations = {one.policy.key: one.observation() for one in fleets}
        policies = tuple(one.policy for one in fleets)
        cluster = {
            one.policy.target: TargetReading(
                one.replicas, one.pods, one.labels.selector, pod_labels=one.labels.pods
            )
            for one in fleets
            if one.labels is not None
        }
        tick = Tick(self.clock.now(), decisions, observations, 0.1, policies=policies)
        self.metrics.publish(tick, ClusterReading(cluster))  # type: ignore[arg-type]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Beside]:
    authorities = Authorities()
    leaf = authorities.serving.issue_cert("localhost")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "tls.pem"))
    async with ScriptedApi().serving() as api:
        api.put(CONFIG_MAPS, config_map([authorities.front], authorities.cluster))
        files = MountedFiles(folder / "tls.pem", folder / "tls.pem")
        settings = MetricsSettings("127.0.0.1", 0, files, Catalog())
        clock, log = MovedClock(), Log()
        board = Board("test", 5.0, dry_run=True, beat=clock.monotonic())
        metrics = MetricsServing(settings, lambda: api.client(folder), clock, board, log)
        found = Beside(metrics, clock, log, authorities)
        authorities.serving.configure_trust(found.client)
        client_of(authorities.front).configure_cert(found.client)
        await metrics.open()
        try:
            yield found
        finally:
            await metrics.close()


@pytest.fixture
async def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Beside]:
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.01)
    async with opened(tmp_path) as found:
        yield found


async def test_answers_while_a_tick_keeps_the_other_loop(beside: Beside) -> None:
    beside.publish(flower())
    with ThreadPoolExecutor(1) as pool:
        status, _ = pool.submit(beside.ask).result(timeout=20)  # this loop stands still
    assert status == 503, "a fleet of another day is stale, and is said to be"
    assert beside.metrics.problems == ()


async def test_each_tick_is_the_newest(beside: Beside) -> None:
    status, answer = await asyncio.to_thread(beside.ask)
    assert (status, answer["message"].startswith("nothing was observed yet")) == (503, True)
    beside.publish(flower())
    status, answer = await asyncio.to_thread(beside.ask)
    assert (status, "is not known now" in answer["message"]) == (503, True)
    beside.publish()
    status, answer = await asyncio.to_thread(beside.ask)
    assert (status, "no policy serves" in answer["message"]) == (404, True)
    assert beside.metrics.counts.reviews == 0, "system:masters need none"


async def test_an_error_over_there_is_logged_and_the_next_request_is_answered(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Answers, "answer", fails)
    assert (await asyncio.to_thread(beside.ask))[0] == 500
    monkeypatch.setattr(Answers, "publish", fails)
    beside.publish(flower())
    await eventually(lambda: len(beside.log.about("the metrics API failed")) == 2)
    errors = [more["error"] for more in beside.log.about("the metrics API failed")]
    assert errors == ["RuntimeError('a bug')"] * 2
    assert (await asyncio.to_thread(beside.ask, "/apis/custom.metrics.k8s.io/v1beta2"))[0] == 200


async def test_a_thread_that_hangs_is_a_fault_of_the_tick(beside: Beside) -> None:
    release = threading.Event()
    beside.metrics._thread.soon(release.wait, 20)
    beside.publish(flower())
    assert beside.metrics.problems == ()
    beside.clock.moved += TAKEN_WITHIN + 1
    (problem,) = beside.metrics.problems
    assert "has not taken up a tick for" in problem
    release.set()
    await eventually(lambda: beside.metrics.problems == ())


async def test_a_thread_that_ended_is_a_fault_of_the_tick(beside: Beside) -> None:
    await beside.metrics._thread.run(beside.metrics._close())
    await beside.metrics._thread.close()
    assert "the metrics API has stopped: restart the daemon" in beside.metrics.problems
    beside.publish(flower())  # harms nobody


async def test_a_taken_port_is_said_and_the_end_is_clean(tmp_path: Path, beside: Beside) -> None:
    async with ScriptedApi().serving() as api:
        files = MountedFiles(tmp_path / "tls.pem", tmp_path / "tls.pem")
        settings = MetricsSettings("127.0.0.1", beside.port, files, Catalog())
        second = MetricsServing(
            settings, lambda: api.client(tmp_path), beside.clock, beside.metrics._board, Log()
        )
        with pytest.raises(ListenError, match="cannot listen on"):
            await second.open()
        await second.close()
        assert not second._thread.alive


async def test_what_was_never_opened_is_closed_without_a_word(beside: Beside) -> None:
    log = Log()
    never = MetricsServing(
        beside.metrics._settings, beside.metrics._connect, beside.clock, beside.metrics._board, log
    )
    await never.close()
    assert log.said == []
