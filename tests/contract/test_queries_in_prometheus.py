"""The queries in a real Prometheus: exporters of every kind, and pods that are scraped twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.model import Missing, Sample, Signal
from autoscaler.observe.port import Readings
from autoscaler.observe.prometheus import PrometheusSource
from tests.contract.backfilled import Sample as Stored
from tests.contract.backfilled import of_page, prometheus_with
from tests.testbed.parts import PrometheusBinaries
from tests.unit.observe.triton_pages import page

pytestmark = pytest.mark.real

START, STEP, SCRAPES = 1_795_248_900.0, 15.0, 40
NOW = START + STEP * (SCRAPES - 1) + 1
UTIL = "DCGM_FI_DEV_GPU_UTIL"
BLANK = 9223372036854775794.0


def triton(pod: str, gpu: float | None = None, job: str = "triton") -> Iterator[Stored]:
    for n in range(SCRAPES):
        text = page(success=1500 * n, queue_us=1e6 * n, pending=3, gpu=gpu)
        yield from of_page(text, f'namespace="default",pod="{pod}",job="{job}"', START + STEP * n)


def gauge(metric: str, value: float, **labels: str) -> Iterator[Stored]:
    """As an exporter shows it in every scrape; `job` tells exporters apart."""
    text = ",".join(f'{name}="{label}"' for name, label in ({"job": "dcgm"} | labels).items())
    for n in range(SCRAPES):
        yield metric, text, value, START + STEP * n


def workload(pod: str, **labels: str) -> dict[str, str]:
    """dcgm-exporter's labels where honorLabels is false: `pod` is the exporter itself."""
    exporter = {"namespace": "gpu-operator", "pod": "dcgm-exporter-x7k2p"}
    return exporter | {"exported_namespace": "default", "exported_pod": pod} | labels


async def read(binaries: PrometheusBinaries, folder: Path, *stored: Iterator[Stored]) -> Readings:
    samples = [sample for many in stored for sample in many]
    with prometheus_with(binaries, folder, samples) as server:
        source = PrometheusSource(server.url, at=True)
        readings = await source.read((), NOW, 10.0)
        await source.close()
    assert (readings.problems, readings.failed) == ((), None)
    return readings


def value(signal: Signal) -> float:
    assert isinstance(signal, Sample), signal
    return signal.value


async def test_duty_cycle_comes_from_whichever_exporter_knows_the_pod(
    prometheus_versions: PrometheusBinaries, tmp_path: Path
) -> None:
    readings = await read(
        prometheus_versions,
        tmp_path,
        *(
            triton(f"{name}-0")
            for name in ("both", "util", "direct", "mig", "gke", "blank", "half", "none")
        ),
        triton("own-0", gpu=0.5),
        # GR_ENGINE_ACTIVE goes before GPU_UTIL, and the busiest of two GPUs counts
        gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.2, gpu="0", **workload("both-0")),
        gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.7, gpu="1", **workload("both-0")),
        gauge(UTIL, 99, **workload("both-0")),
        gauge(UTIL, 85, **workload("util-0")),
        gauge(UTIL, 40, namespace="default", pod="direct-0"),
        gauge(UTIL, 0, GPU_I_ID="3", GPU_I_PROFILE="1g.5gb", **workload("mig-0")),
        gauge("duty_cycle", 61, job="gke", namespace="default", pod="gke-0"),
        gauge(UTIL, BLANK, **workload("blank-0")),
        gauge(UTIL, BLANK, gpu="0", **workload("half-0")),
        gauge(UTIL, 33, gpu="1", **workload("half-0")),
    )
    duty = {pod: reading.duty_cycle for (_, pod), reading in readings.pods.items()}
    assert value(duty["both-0"]) == 0.7
    assert value(duty["util-0"]) == 0.85
    assert value(duty["direct-0"]) == pytest.approx(0.4)
    assert value(duty["gke-0"]) == pytest.approx(0.61)
    assert value(duty["own-0"]) == 0.5
    assert value(duty["half-0"]) == pytest.approx(0.33)
    assert "MIG" in str(duty["mig-0"])
    assert isinstance(duty["mig-0"], Missing)
    assert isinstance(duty["blank-0"], Missing)
    assert isinstance(duty["none-0"], Missing)


async def test_power_needs_both_the_draw_and_the_limit(
    prometheus_versions: PrometheusBinaries, tmp_path: Path
) -> None:
    readings = await read(
        prometheus_versions,
        tmp_path,
        triton("own-0", gpu=0.5),
        *(triton(f"{name}-0") for name in ("dcgm", "half")),
        gauge("DCGM_FI_DEV_POWER_USAGE", 210, **workload("dcgm-0")),
        gauge("DCGM_FI_DEV_POWER_MGMT_LIMIT", 700, **workload("dcgm-0")),
        gauge("DCGM_FI_DEV_POWER_USAGE", 210, **workload("half-0")),
    )
    power = {pod: reading.gpu_power for (_, pod), reading in readings.pods.items()}
    assert value(power["own-0"]) == 0.5
    assert value(power["dcgm-0"]) == pytest.approx(0.3)
    assert isinstance(power["half-0"], Missing)


async def test_an_exporter_that_restarted_does_not_fail_the_query(
    prometheus_versions: PrometheusBinaries, tmp_path: Path
) -> None:
    """Two exporter pods within the window show the same workload: renaming makes them equal."""
    renamed = workload("util-0") | {"pod": "dcgm-exporter-b9f4q"}
    readings = await read(
        prometheus_versions,
        tmp_path,
        triton("util-0"),
        gauge(UTIL, 30, **workload("util-0")),
        gauge(UTIL, 50, **renamed),
    )
    assert value(readings.pods["default", "util-0"].duty_cycle) == 0.5


async def test_a_pod_scraped_by_two_jobs_has_its_load_once(
    prometheus_versions: PrometheusBinaries, tmp_path: Path
) -> None:
    readings = await read(
        prometheus_versions, tmp_path, triton("twice-0"), triton("twice-0", job="annotations")
    )
    (signals,) = readings.pods["default", "twice-0"].models
    assert value(signals.completions) == pytest.approx(100.0)
    assert value(signals.pending) == 3.0


@pytest.mark.parametrize("broken", [{-1}, {-2, -1}, {-3, -2, -1}, {-4, -3, -2}], ids=str)
async def test_counters_that_turn_nan_are_unknown_at_once_and_never_zero(
    prometheus_binaries: PrometheusBinaries, tmp_path: Path, broken: set[int]
) -> None:
    """One number among NaNs has not grown: that reads like nobody was served and nobody waited."""
    wrong = {START + STEP * (SCRAPES + n) for n in broken}
    stored = [
        (metric, labels, float("nan") if at in wrong and "pending" not in metric else number, at)
        for metric, labels, number, at in triton("flower-a")
    ]
    readings = await read(prometheus_binaries, tmp_path, iter(stored))
    (model,) = readings.pods["default", "flower-a"].models
    assert isinstance(model.completions, Missing), model.completions
    assert isinstance(model.queueing, Missing), model.queueing
