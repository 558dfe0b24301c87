"""The test bed itself: each real part does what the stories built on it take for granted."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from tests.testbed.backfill import backfill
from tests.testbed.loopback import ask
from tests.testbed.parts import PerfAnalyzerInstall, PrometheusBinaries, TritonInstall
from tests.testbed.perf_analyzer import LoadNotKept, PerfAnalyzerFailed, run_perf_analyzer
from tests.testbed.process import ProcessFailed
from tests.testbed.prometheus_server import PrometheusRefused, PrometheusServer
from tests.testbed.targets import Targets
from tests.testbed.triton_server import (
    ToyModel,
    TritonServer,
    model_repository,
    triton_address,
)

pytestmark = pytest.mark.real

_LOAD_BEGAN = 1795248926.1


def _counter(metrics: str, name: str, model: str) -> float:
    found = re.search(rf'^{name}{{model="{model}",version="1"}} (\S+)$', metrics, re.MULTILINE)
    assert found, f"no {name} of {model}"
    return float(found[1])


def _eventually(check: Callable[[], bool], within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.2)


def test_a_recording_answers_queries(
    prometheus_versions: PrometheusBinaries, recordings: Path, tmp_path: Path
) -> None:
    backfill(
        prometheus_versions.promtool,
        recordings / "h200-bert-large-4gpu" / "scrapes.om.gz",
        tmp_path,
    )
    with PrometheusServer(prometheus_versions, storage=tmp_path) as prometheus:
        found = prometheus.query("nv_inference_request_success", at=_LOAD_BEGAN + 200)
    assert sorted(sample.labels["pod"] for sample in found) == [f"triton-{n}" for n in range(4)]


def test_refused_requests_leave_no_trace_in_the_recording_of_two_models(
    prometheus_binaries: PrometheusBinaries, recordings: Path, tmp_path: Path
) -> None:
    backfill(prometheus_binaries.promtool, recordings / "h200-mix-1gpu" / "scrapes.om.gz", tmp_path)
    with PrometheusServer(prometheus_binaries, storage=tmp_path) as prometheus:
        end = 1795256619.0 + 330
        models = prometheus.query("sum by (model) (nv_inference_request_success) > 0", at=end)
        failed = prometheus.query("sum(nv_inference_request_failure)", at=end)
    assert {sample.labels["model"] for sample in models} == {"bert_large", "bert_small"}
    assert [sample.value for sample in failed] == [0.0]


def test_targets_come_and_go_while_prometheus_runs(
    prometheus_versions: PrometheusBinaries, triton_install: TritonInstall, tmp_path: Path
) -> None:
    repository = model_repository(tmp_path / "models", [ToyModel("toy")])
    targets = Targets(tmp_path / "targets.json")
    configs = [targets.scrape_config("triton")]
    with (
        TritonServer(triton_install, repository, address=triton_address()) as triton,
        PrometheusServer(prometheus_versions, scrape_configs=configs) as prometheus,
    ):
        labels = {"namespace": "default", "pod": "flower-0"}
        targets.add(triton.metrics_target, labels)
        _eventually(lambda: len(prometheus.query("nv_inference_request_success")) == 1)
        (sample,) = prometheus.query("nv_inference_request_success")
        assert labels.items() <= sample.labels.items()
        targets.remove(triton.metrics_target)
        _eventually(lambda: not prometheus.query("nv_inference_request_success"))
        prometheus.reload([])
        with pytest.raises(PrometheusRefused):
            prometheus.reload([{"job_name": "x", "no_such_key": 1}])


def test_server_counts_exactly_the_requests_that_perf_analyzer_counts(
    triton_install: TritonInstall, perf_analyzer_install: PerfAnalyzerInstall, tmp_path: Path
) -> None:
    repository = model_repository(tmp_path, [ToyModel("toy", delay_s=0.01, max_batch_size=4)])
    with TritonServer(triton_install, repository, address=triton_address()) as triton:
        result = run_perf_analyzer(
            perf_analyzer_install, model="toy", grpc=triton.grpc, concurrency=4, request_count=400
        )
        assert result.counted == 400
        assert _counter(triton.metrics(), "nv_inference_request_success", "toy") == 400


def test_time_windows_miss_only_requests_under_way_at_their_edges(
    triton_install: TritonInstall, perf_analyzer_install: PerfAnalyzerInstall, tmp_path: Path
) -> None:
    repository = model_repository(tmp_path, [ToyModel("toy", delay_s=0.01)])
    with TritonServer(triton_install, repository, address=triton_address()) as triton:
        for attempt in Retrying(
            retry=retry_if_exception_type(LoadNotKept), stop=stop_after_attempt(5), reraise=True
        ):
            with attempt:
                before = _counter(triton.metrics(), "nv_inference_request_success", "toy")
                result = run_perf_analyzer(
                    perf_analyzer_install,
                    model="toy",
                    http=triton.http_url,
                    request_rate=40,
                    poisson=True,
                )
        served = _counter(triton.metrics(), "nv_inference_request_success", "toy") - before
    (row,) = result.rows
    assert row.load == 40
    assert row.p99_us >= row.p50_us >= 10_000
    assert result.counted <= served <= result.counted + 40


def test_full_queue_refuses_and_triton_counts_no_failure(
    triton_install: TritonInstall, perf_analyzer_install: PerfAnalyzerInstall, tmp_path: Path
) -> None:
    small = ToyModel("toy", delay_s=0.2, max_batch_size=1, max_queue_size=1)
    repository = model_repository(tmp_path, [small])
    with TritonServer(triton_install, repository, address=triton_address()) as triton:
        with pytest.raises(PerfAnalyzerFailed, match="Exceeds maximum queue size"):
            run_perf_analyzer(perf_analyzer_install, model="toy", grpc=triton.grpc, concurrency=8)
        failures = re.findall(
            r"^nv_inference_request_failure\{.*\} (\S+)$", triton.metrics(), re.MULTILINE
        )
    assert failures
    assert set(failures) == {"0"}


def test_triton_loads_unloads_crashes_and_restarts(
    triton_install: TritonInstall, tmp_path: Path
) -> None:
    repository = model_repository(tmp_path, [ToyModel("one", instances=2), ToyModel("two")])
    with TritonServer(triton_install, repository, address=triton_address()) as triton:
        ready = f"{triton.http_url}/v2/models/two/ready"
        assert ask(ready).status == 200
        triton.unload_model("two")
        _eventually(lambda: ask(ready).status != 200)
        triton.load_model("two")
        assert ask(ready).status == 200
        before = triton.process.pid
        triton.kill()
        with pytest.raises(OSError, match="refused"):
            ask(ready)
        triton.start()
        triton.restart()
        assert triton.process.pid != before


def test_a_server_that_cannot_start_shows_its_log(
    prometheus_binaries: PrometheusBinaries, triton_install: TritonInstall, tmp_path: Path
) -> None:
    with pytest.raises(ProcessFailed, match="no-such-flag"):
        PrometheusServer(prometheus_binaries, extra_args=["--no-such-flag"]).__enter__()
    broken = model_repository(tmp_path, [ToyModel("toy", delay_s=-1.0)])
    (broken / "toy" / "1" / "model.py").write_text("raise RuntimeError('a broken model')")
    with pytest.raises(ProcessFailed, match="a broken model"):
        TritonServer(triton_install, broken, address=triton_address()).__enter__()
