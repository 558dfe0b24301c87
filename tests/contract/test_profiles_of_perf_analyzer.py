"""What the real perf_analyzer writes is read, and its CSV and its JSON say the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from autoscaler.model import Sla
from autoscaler.policy.profile import Answer, Choice, ProfileError, capacity_at, read_profiles
from tests.testbed.loopback import without_proxies
from tests.testbed.parts import PerfAnalyzerInstall, TritonInstall
from tests.testbed.triton_server import ToyModel, TritonServer, model_repository, triton_address

pytestmark = pytest.mark.real

BATCH = 4


@pytest.fixture(scope="module")
def measured(
    triton_install: TritonInstall,
    perf_analyzer_install: PerfAnalyzerInstall,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """sweep.csv and sweep.json of concurrency 1 to 3 with client batch 4, some 10 s."""
    folder = tmp_path_factory.mktemp("sweep")
    repository = model_repository(folder / "models", [ToyModel("toy")])
    with TritonServer(triton_install, repository, address=triton_address()) as triton:
        argv = [
            str(perf_analyzer_install.binary),
            *("-m", "toy", "-i", "grpc", "-u", triton.grpc, "-b", str(BATCH)),
            *("-f", str(folder / "sweep.csv"), "--verbose-csv"),
            *("--profile-export-file", str(folder / "sweep.json")),
            *("--concurrency-range", "1:3", "-p", "1000", "-r", "3", "-s", "999"),
        ]
        env = {**without_proxies(), "LD_LIBRARY_PATH": str(perf_analyzer_install.libraries)}
        subprocess.run(argv, env=env, check=True, capture_output=True, timeout=120)
    return folder


def test_csv_and_request_log_agree(measured: Path) -> None:
    (table,) = read_profiles((measured / "sweep.csv").read_text(), Choice(batch=BATCH)).profiles
    (log,) = read_profiles((measured / "sweep.json").read_text()).profiles
    assert [point.load for point in table.points] == [point.load for point in log.points]
    for row, requests in zip(table.points, log.points, strict=True):
        assert requests.requests_per_second == pytest.approx(row.requests_per_second, rel=0.02)
        assert requests.mean_latency == pytest.approx(row.mean_latency, rel=0.02)
        for quantile, seconds in row.latency.items():
            assert requests.latency[quantile] == pytest.approx(seconds, rel=0.02), quantile


def test_a_forgotten_client_batch_is_noticed(measured: Path) -> None:
    with pytest.raises(ProfileError, match="reads like 4 of them a request, not 1"):
        read_profiles((measured / "sweep.csv").read_text())


def test_it_answers_within_what_was_measured(measured: Path) -> None:
    (profile,) = read_profiles((measured / "sweep.json").read_text()).profiles
    answer = capacity_at(profile, Sla(latency=((0.5, 0.018),)))
    assert isinstance(answer, Answer)
    rates = [point.requests_per_second for point in profile.points]
    assert min(rates) <= answer.requests_per_second <= max(rates)
