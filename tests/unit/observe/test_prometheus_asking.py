"""How Prometheus is asked: how often, with what credentials, over which windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from autoscaler.model import Windows
from autoscaler.observe.prometheus import PrometheusSource
from autoscaler.observe.query_api import Access
from autoscaler.observe.triton import scrape_times_query
from autoscaler.observe.windows import windows_for
from tests.unit.observe.fake_prometheus import (
    INTERVAL,
    NOW,
    POD,
    FakePrometheus,
    busy,
    model,
    row,
    vector,
)

TIMES = scrape_times_query([POD[1]])


def scraped(*times: float) -> dict[str, Any]:
    values = [[at, "1"] for at in times]
    result = [{"metric": {"pod": POD[1]}, "values": values}]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


async def ask(
    server: FakePrometheus, source: PrometheusSource, at: float = NOW, queries: Sequence[str] = ()
) -> int:
    """Questions that one read takes."""
    before = len(server.asked)
    await source.read(queries, at, 5.0)
    return len(server.asked) - before


async def test_a_tick_asks_eleven_questions_whatever_the_number_of_pods() -> None:
    pods = [f"flower-5cf8b78894-{n:05}" for n in range(200)]
    rows = busy(
        completions=[model(1, pod=pod) for pod in pods],
        sample_times=[row(NOW, pod=pod) for pod in pods],
    )
    async with FakePrometheus(rows).serving() as server:
        source = PrometheusSource(server.url, scrape_interval=INTERVAL)
        assert await ask(server, source) == 11
        assert await ask(server, source, queries=["vector(1)", "vector(2)"]) == 13
        await source.close()


async def test_the_scrape_interval_is_measured_and_measured_again() -> None:
    async with FakePrometheus(busy(), windows_for(5.0)).serving() as server:
        server.own[TIMES] = scraped(*(NOW - 5 * n for n in range(60, 0, -1)))
        source = PrometheusSource(server.url)
        assert await ask(server, source) == 12  # the sample times are asked once
        assert source.windows == Windows(20.0, 300.0)
        assert await ask(server, source, NOW + 60) == 11
        assert await ask(server, source, NOW + 301) == 12
        await source.close()


async def test_a_young_fleet_is_not_taken_for_a_seldom_scraped_one() -> None:
    async with FakePrometheus(busy()).serving() as server:
        source = PrometheusSource(server.url)
        server.own[TIMES] = scraped(NOW)
        await ask(server, source)
        assert source.windows == Windows(60.0, 300.0)  # unknown yet: the usual 15 s
        server.own[TIMES] = scraped(NOW - 5, NOW)
        await ask(server, source)  # and asked again at the next tick
        assert source.windows == Windows(20.0, 300.0)
        await source.close()


async def test_windows_do_not_waver_with_the_measurement() -> None:
    async with FakePrometheus(busy()).serving() as server:
        source = PrometheusSource(server.url)
        server.own[TIMES] = scraped(NOW - 32, NOW - 16, NOW)
        await ask(server, source)
        assert source.windows == Windows(60.0, 300.0)
        await source.close()


@pytest.mark.parametrize(
    ("interval", "fast", "slow"),
    [(0.4, 2, 300), (1, 4, 300), (5, 20, 300), (15, 60, 300), (30, 120, 600), (60, 150, 1200)],
)
def test_windows_hold_at_least_two_scrapes(interval: float, fast: float, slow: float) -> None:
    windows = windows_for(interval)
    assert (windows.fast, windows.slow) == (fast, slow)
    assert windows.fast >= 2.5 * interval or interval < 1


async def test_only_a_replay_names_the_instant(prometheus: FakePrometheus) -> None:
    live = PrometheusSource(prometheus.url, scrape_interval=INTERVAL)
    await ask(prometheus, live)
    await live.close()
    assert set(prometheus.times) == {None}
    prometheus.times.clear()
    replay = PrometheusSource(prometheus.url, scrape_interval=INTERVAL, at=True)
    await ask(prometheus, replay, NOW + 0.25)
    await replay.close()
    assert set(prometheus.times) == {f"{NOW + 0.25:.3f}"}


async def test_a_renewed_token_is_read_again(prometheus: FakePrometheus, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    access = Access(prometheus.url, token_file=token, headers={"X-Scope-OrgID": "team-a"})
    source = PrometheusSource(access, scrape_interval=INTERVAL)
    await ask(prometheus, source)
    assert {h["Authorization"] for h in prometheus.headers} == {"Bearer first"}
    assert {h["X-Scope-OrgID"] for h in prometheus.headers} == {"team-a"}
    token.write_text("second\n")
    prometheus.headers.clear()
    await ask(prometheus, source)
    assert {h["Authorization"] for h in prometheus.headers} == {"Bearer second"}
    await source.close()


async def test_netrc_does_not_replace_the_token(
    prometheus: FakePrometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "token").write_text("ours")
    access = Access(prometheus.url, token_file=tmp_path / "token")
    source = PrometheusSource(access, scrape_interval=INTERVAL)
    await ask(prometheus, source)
    assert {h["Authorization"] for h in prometheus.headers} == {"Bearer ours"}
    await source.close()


async def test_user_and_password(prometheus: FakePrometheus, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open sesame\n")
    access = Access(prometheus.url, user="ali", password_file=tmp_path / "password")
    source = PrometheusSource(access, scrape_interval=INTERVAL)
    await ask(prometheus, source)
    assert {h["Authorization"] for h in prometheus.headers} == {"Basic YWxpOm9wZW4gc2VzYW1l"}
    await source.close()


async def test_a_token_file_that_is_gone_is_named(prometheus: FakePrometheus) -> None:
    access = Access(prometheus.url, token_file=Path("/nowhere/token"))
    source = PrometheusSource(access, scrape_interval=INTERVAL)
    readings = await source.read((), NOW, 5.0)
    await source.close()
    assert readings.failed is not None
    assert "/nowhere/token" in readings.failed
    assert prometheus.asked == []


async def test_a_password_in_the_url_is_never_repeated() -> None:
    source = PrometheusSource("http://ali:sesame@127.0.0.1:1", scrape_interval=INTERVAL)
    readings = await source.read((), NOW, 5.0)
    await source.close()
    assert readings.failed is not None
    assert "sesame" not in readings.failed


async def test_a_policys_answer_that_comes_is_kept_beside_one_that_does_not(
    prometheus: FakePrometheus,
) -> None:
    prometheus.own["good"] = vector([row(3)])
    source = PrometheusSource(prometheus.url, scrape_interval=INTERVAL, at=True)
    readings = await source.read(["good", "empty"], NOW, 5.0)
    await source.close()
    assert getattr(readings.metrics["good"], "value", None) == 3.0
    assert hasattr(readings.metrics["empty"], "missing")
