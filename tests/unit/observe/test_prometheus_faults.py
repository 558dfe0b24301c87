"""Whatever Prometheus does: a number only where there is one, else Missing with the reason."""

from __future__ import annotations

import asyncio
import json
import re
import threading

import pytest
from aiohttp import web

from autoscaler.model import Missing, ModelSignals, Sample, Signal
from autoscaler.observe.port import Readings
from autoscaler.observe.prometheus import PrometheusSource
from tests.unit.observe.fake_prometheus import (
    INTERVAL,
    NOW,
    POD,
    FakePrometheus,
    model,
    refuses,
    row,
    says,
    vector,
)

QUERY = "sum(rate(x[2m]))"


async def read(source: PrometheusSource, *queries: str, deadline: float = 5.0) -> Readings:
    return await source.read(queries, NOW, deadline)


def bert(readings: Readings) -> ModelSignals:
    (signals,) = readings.pods[POD].models
    return signals


def why(signal: Signal) -> str:
    assert isinstance(signal, Missing), signal
    return signal.missing


async def test_a_healthy_prometheus_leaves_nothing_missing(source: PrometheusSource) -> None:
    readings = await read(source)
    assert readings.failed is None
    assert readings.problems == ()
    signals = bert(readings)
    assert signals.arrivals == Sample(20.0, NOW - 4, 60.0)
    assert signals.queueing == Sample(0.5, NOW - 4, 60.0)  # 0.5 s per second / 20/s = 25 ms
    assert signals.pending == Sample(4.0, NOW - 4)
    assert readings.pods[POD].duty_cycle == Sample(0.6, NOW, 60.0)


async def test_nothing_listens() -> None:
    source = PrometheusSource("http://127.0.0.1:1", scrape_interval=INTERVAL)
    readings = await read(source)
    await source.close()
    assert readings.failed is not None
    assert "127.0.0.1:1" in readings.failed
    assert "refused" in readings.failed.lower()
    assert readings.pods == {}


async def test_a_slow_query_costs_its_signals_only(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    async def sleepy(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    prometheus.faults["queueing"] = sleepy
    readings = await read(source, deadline=2.0)
    assert why(bert(readings).queueing) == "no answer within 2s"
    assert bert(readings).completions == Sample(20.0, NOW - 4, 60.0)
    assert readings.problems == ("Prometheus, queueing: no answer within 2s",)


async def test_a_server_that_drips_bytes_frees_its_threads_at_the_deadline(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for byte in b'{"status":"success"' * 200:
            await response.write(bytes([byte]))
            await asyncio.sleep(0.05)
        return response

    prometheus.faults["*"] = drip
    async with asyncio.timeout(60):  # the whole drip would take 190 s
        readings = await read(source, deadline=2.0)
    assert readings.failed is not None
    # six threads, more queries: one was cut off, or found no time left when its turn came
    assert re.search("no answer within|no time left", readings.failed)
    prometheus.faults.clear()
    assert (await read(source, deadline=30.0)).failed is None  # and no thread is still at it
    assert sum(thread.name.startswith("prometheus") for thread in threading.enumerate()) <= 6


async def test_a_read_that_is_cancelled_frees_its_threads(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    """SIGTERM in mid-tick: a thread that goes on reading would hold the process."""

    all_asked = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        if len(prometheus.asked) == 6:  # every thread has one
            all_asked.set()
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(600):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    prometheus.faults["*"] = hang
    reading = asyncio.create_task(read(source, deadline=20.0))
    await all_asked.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    prometheus.faults.clear()
    assert (await read(source)).failed is None


@pytest.mark.parametrize(
    "url", ["prometheus:9090", "http://", "http://a b:9090", "//x", "http://x:y"]
)
async def test_what_is_no_url_is_said(url: str) -> None:
    source = PrometheusSource(url, scrape_interval=INTERVAL)
    readings = await read(source)
    await source.close()
    assert readings.failed is not None
    assert "is no URL to ask: write for example http://prometheus:9090" in readings.failed


async def test_headers_that_drip_are_cut_off_too() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"x-drip: 1\r\n" * 1000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    source = PrometheusSource(f"http://127.0.0.1:{port}", scrape_interval=INTERVAL)
    readings = await read(source, deadline=0.3)
    assert readings.failed is not None
    await source.close()
    server.close()
    for _ in range(100):
        if not any(thread.name.startswith("prometheus") for thread in threading.enumerate()):
            return
        await asyncio.sleep(0.05)
    pytest.fail("a thread still reads the drip")


async def test_prometheus_own_words_are_passed_on(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    prometheus.faults["completions"] = refuses(422, "execution", "query processing would load")
    readings = await read(source)
    reason = why(bert(readings).completions)
    assert reason == "HTTP 422 execution: query processing would load"


async def test_a_5xx_is_tried_once_more(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    tries = 0

    async def once(_: web.Request) -> web.StreamResponse:
        nonlocal tries
        tries += 1
        if tries == 1:
            return web.Response(status=503, text="starting up")
        return web.json_response(vector([model(20)]))

    prometheus.faults["completions"] = once
    assert bert(await read(source)).completions == Sample(20.0, NOW - 4, 60.0)
    assert tries == 2


async def test_a_5xx_that_stays_is_not_asked_for_ever(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    prometheus.faults["*"] = says("<h1>Bad Gateway</h1>", 502)
    readings = await read(source)
    assert readings.failed == "Prometheus: HTTP 502 Bad Gateway"
    assert prometheus.asked.count("completions") == 2


async def test_401_says_what_to_give(source: PrometheusSource, prometheus: FakePrometheus) -> None:
    prometheus.faults["*"] = says("Unauthorized", 401)
    readings = await read(source)
    assert readings.failed is not None
    assert "HTTP 401 Unauthorized; give a bearer token" in readings.failed
    assert prometheus.asked.count("completions") == 1  # no second try: it would not help


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<html><body>Sign in</body></html>", "is not JSON (cut off, or not Prometheus?): Sign in"),
        (json.dumps(vector([model(20)]))[:-9], "is not JSON (cut off"),
        ("", "is not JSON (cut off, or not Prometheus?): (empty)"),
        ("[]", "it answers []"),
        ('{"status":"error","errorType":"x","error":"boom"}', "it answers boom"),
        ('{"status":"success"}', "not a vector"),
        ('{"status":"success","data":{"resultType":"string","result":[1,"a"]}}', "not a vector"),
        ('{"status":"success","data":{"resultType":"vector","result":{}}}', "not a vector"),
        ('{"status":"success","data":{"resultType":"vector","result":[7]}}', "strange shape"),
        (json.dumps(vector([model("twelve")])), "strange shape"),
    ],
)
async def test_garbage_is_never_a_number(
    source: PrometheusSource, prometheus: FakePrometheus, body: str, reason: str
) -> None:
    prometheus.faults["completions"] = says(body)
    assert reason in why(bert(await read(source)).completions)
    assert reason in why(bert(await read(source)).arrivals)


async def test_a_partial_answer_is_no_answer(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    """Thanos with a store down: half the pods' requests would read as a load that fell."""
    warned = vector([model(20)], warnings=["store thanos-store-1: context deadline exceeded"])
    prometheus.faults["completions"] = says(json.dumps(warned))
    reason = why(bert(await read(source)).arrivals)
    assert reason == "partial answer: store thanos-store-1: context deadline exceeded"


async def test_prometheus_remarks_on_counters_names_are_no_warning(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    remark = 'PromQL info: metric might not be a counter, name does not end in _total: "nv"'
    told = vector([model(20)], warnings=[remark], infos=[remark])
    prometheus.faults["completions"] = says(json.dumps(told))
    assert bert(await read(source)).completions == Sample(20.0, NOW - 4, 60.0)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
async def test_keda_3065_nan_is_not_zero(
    source: PrometheusSource, prometheus: FakePrometheus, value: str
) -> None:
    """KEDA read an empty or NaN answer as 0 and took production to its minimum at peak."""
    prometheus.rows["completions"] = [model(value)]
    prometheus.own[QUERY] = vector([row(value)])
    readings = await read(source, QUERY)
    assert why(bert(readings).arrivals) == "Prometheus answers NaN or Inf"
    assert "0/0, or a metric" in why(readings.metrics[QUERY])


async def test_keda_3065_empty_is_not_zero(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    prometheus.own[QUERY] = vector([])
    prometheus.rows["completions"] = []
    readings = await read(source, QUERY)
    assert why(readings.metrics[QUERY]) == "the query's answer is empty"
    assert "younger than two scrapes" in why(bert(readings).arrivals)


async def test_several_series_where_one_was_asked(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    prometheus.own[QUERY] = vector([row(1), row(2)])
    reason = why((await read(source, QUERY)).metrics[QUERY])
    assert reason == "the query gives 2 series: aggregate, as in sum(…)"


async def test_a_scalar_is_one_number(source: PrometheusSource, prometheus: FakePrometheus) -> None:
    scalar = {"resultType": "scalar", "result": [NOW, "42"]}
    prometheus.own[QUERY] = {"status": "success", "data": scalar}
    assert (await read(source, QUERY)).metrics[QUERY] == Sample(42.0, NOW)


async def test_a_range_vector_is_not(source: PrometheusSource, prometheus: FakePrometheus) -> None:
    matrix = {"resultType": "matrix", "result": [{"metric": {}, "values": [[NOW, "1"]]}]}
    prometheus.own[QUERY] = {"status": "success", "data": matrix}
    assert "range vector" in why((await read(source, QUERY)).metrics[QUERY])


async def test_without_sample_times_nothing_is_fresh(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    prometheus.faults["sample times"] = refuses(400, "bad_data", "no timestamp()")
    readings = await read(source)
    assert readings.failed == "Prometheus, sample times: HTTP 400 bad_data: no timestamp()"
    assert readings.pods == {}


async def test_a_redirect_is_followed(source: PrometheusSource, prometheus: FakePrometheus) -> None:
    async def away(request: web.Request) -> web.StreamResponse:
        if "again" in request.query:
            return web.json_response(vector([model(20)]))
        raise web.HTTPFound(str(request.rel_url.update_query(again="1")))

    prometheus.faults["completions"] = away
    assert bert(await read(source)).completions == Sample(20.0, NOW - 4, 60.0)


async def test_a_redirect_in_circles_is_said(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    async def circle(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(str(request.rel_url))

    prometheus.faults["completions"] = circle
    assert "redirects in circles" in why(bert(await read(source)).completions)


async def test_a_connection_that_breaks_in_mid_answer(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"status":')
        assert request.transport is not None
        request.transport.close()
        return response

    prometheus.faults["completions"] = breaks
    assert "no connection to http://127.0.0.1" in why(bert(await read(source)).completions)


async def test_no_triton_at_all_is_a_remark_and_no_pod(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    prometheus.rows.clear()
    readings = await read(source)
    assert readings.failed is None
    assert readings.pods == {}
    assert "no nv_inference_request_success" in readings.problems[0]


async def test_series_without_a_pod_label_are_counted(
    source: PrometheusSource, prometheus: FakePrometheus
) -> None:
    bare = {"metric": {}, "value": [NOW, str(NOW)]}
    prometheus.rows["sample times"] = [bare]
    prometheus.rows["completions"] = [{"metric": {"model": "bert"}, "value": [NOW, "20"]}]
    readings = await read(source)
    assert readings.pods == {}
    assert readings.problems[0].startswith("1 of Triton's series carry no namespace and pod")


async def test_a_prometheus_with_another_clock(
    prometheus: FakePrometheus,
) -> None:
    """Its clock is two minutes ahead: a sample 4 s old must not read as from the future."""
    source = PrometheusSource(prometheus.url, scrape_interval=INTERVAL)
    readings = await source.read((), NOW - 120, 5.0)
    await source.close()
    assert readings.pods[POD].fresh_at == NOW - 120 - 4
    assert readings.problems == ("Prometheus' clock is 2m ahead of this one's; ages allow for it",)
