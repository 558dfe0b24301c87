"""What doctor says of Prometheus and the series in it."""

from __future__ import annotations

import pytest

from autoscaler.model import Windows
from autoscaler.observe.windows import windows_for
from tests.unit.doctor.clinic import Clinic
from tests.unit.observe.fake_kubernetes import pod
from tests.unit.observe.fake_prometheus import NOW, POD, FakePrometheus, model, refuses, row


async def test_a_healthy_patient_has_nothing(clinic: Clinic) -> None:
    bad = [f for f in await clinic.findings() if f.status != "ok"]
    assert bad == []


async def test_no_prometheus_says_where_it_knocked_and_what_to_try(clinic: Clinic) -> None:
    clinic.prometheus.faults["*"] = refuses(500, "internal", "out of memory")
    found = await clinic.one("prometheus-reachable", "fail")
    assert "out of memory" in found.what
    assert "curl" in found.remedy
    assert (await clinic.one("series", "unknown")).what == "Prometheus gave no readings"


@pytest.mark.parametrize(
    ("version", "status"), [("3.15.0", "ok"), ("2.21.0", "warn"), (None, "unknown")]
)
async def test_the_seeds_prometheus_2_21_is_older_than_what_is_tested(
    clinic: Clinic, version: str | None, status: str
) -> None:
    clinic.prometheus.version = version
    await clinic.one("prometheus-version", status)


async def test_a_slow_scrape_is_told_with_the_windows_that_it_makes(clinic: Clinic) -> None:
    slow_down(clinic, 60.0)
    found = await clinic.one("scrape-interval", "warn")
    assert "every 1m" in found.what
    assert "interval: 15s" in found.remedy


async def test_a_query_of_30_s_on_a_scrape_of_20_s_holds_for_ever(clinic: Clinic) -> None:
    query = "sum(rate(nv_inference_request_success[30s]))"
    clinic.more = f"  objectives: [{{metric: {{query: '{query}', averageValue: '40'}}}}]\n"
    assert (await clinic.one("policy-windows", "ok")).status == "ok"
    slow_down(clinic, 20.0)
    found = await clinic.one("policy-windows", "fail")
    assert "two scrapes of 20s" in found.what
    assert found.subject.endswith("flower.yaml:9")


async def test_a_policys_own_query_without_an_answer_is_named(clinic: Clinic) -> None:
    clinic.more = "  objectives: [{metric: {query: 'sum(nowhere)', averageValue: '40'}}]\n"
    found = await clinic.one("policy-query", "fail")
    assert "metric-1: the query's answer is empty" in found.what


async def test_a_live_pod_without_series_is_named(clinic: Clinic) -> None:
    clinic.kubernetes.add("flower", 2, pod("flower-5cf8b78894-silent"))
    found = await clinic.one("series", "warn")
    assert "1 of 2 live pods have no series" in found.what
    assert "flower-5cf8b78894-silent" in found.what


async def test_a_ghosts_series_do_not_make_up_for_live_pods(clinic: Clinic) -> None:
    clinic.kubernetes.pods["default"] = [pod("flower-5cf8b78894-new00")]
    found = await clinic.one("series", "fail")
    assert "none of its 1 live pod" in found.what


async def test_pods_on_their_way_in_or_out_need_no_series(clinic: Clinic) -> None:
    leaving = pod("flower-5cf8b78894-gone0", metadata={"deletionTimestamp": "2026-11-21T09:00:00Z"})
    coming = pod("flower-5cf8b78894-soon0", phase="Pending")
    clinic.kubernetes.add("flower", 2, leaving, coming)
    assert "fresh series of 1 live pod" in (await clinic.one("series", "ok")).what


async def test_series_in_another_namespace_are_recognised(clinic: Clinic) -> None:
    for name in ("sample times", "completions"):
        clinic.prometheus.rows[name] = [
            {**one, "metric": one["metric"] | {"namespace": "monitoring"}}
            for one in clinic.prometheus.rows[name]
        ]
    found = await clinic.one("series", "fail")
    assert "carry namespace monitoring, not default" in found.what


async def test_series_that_stand_still_are_old_not_there(clinic: Clinic) -> None:
    clinic.prometheus.rows["sample times"] = [row(NOW - 200)]
    found = await clinic.one("series", "warn")
    assert "1 none newer than 50s" in found.what


async def test_an_old_triton_without_the_pending_gauge_is_told(clinic: Clinic) -> None:
    clinic.prometheus.rows["pending"] = []
    found = await clinic.one("signals", "warn")
    assert "nv_inference_pending_request_count" in found.what
    assert "23.09" in found.what


async def test_duty_cycle_names_its_source(clinic: Clinic) -> None:
    assert "DCGM_FI_DEV_GPU_UTIL" in (await clinic.one("duty-cycle", "ok")).what


async def test_duty_cycle_on_mig_fails_only_the_policy_that_asks_for_it(clinic: Clinic) -> None:
    clinic.prometheus.rows["duty cycle"] = [row(0, source="mig")]
    assert "no objective of this policy needs it" in (await clinic.one("duty-cycle", "ok")).what
    clinic.more = "  objectives: [{dutyCycle: {averageUtilization: 70%}}]\n"
    found = await clinic.one("duty-cycle", "fail")
    assert "MIG" in found.what
    assert "DCGM_FI_PROF_GR_ENGINE_ACTIVE" in found.remedy


async def test_prometheus_alone_is_enough_and_the_rest_is_said_to_be_unchecked(
    clinic: Clinic,
) -> None:
    clinic.with_kubernetes = False
    findings = await clinic.findings()
    by_check = {finding.check: finding for finding in findings}
    assert "by their names" in by_check["series"].what
    assert by_check["hpa-metrics"].status == "unknown"
    assert "--no-kubernetes" in by_check["hpa-metrics"].what


async def test_without_kubernetes_another_targets_series_are_no_excuse(clinic: Clinic) -> None:
    clinic.with_kubernetes = False
    for name in ("sample times", "completions"):
        clinic.prometheus.rows[name] = [model(NOW - 4, pod="bert-5cf8b78894-2qqz8")]
    found = await clinic.one("series", "fail")
    assert "no series of pods named flower-…" in found.what


def slow_down(clinic: Clinic, seconds: float) -> None:
    """Questions follow the measured interval, so the fake must know those of the new windows."""
    windows: Windows = windows_for(seconds)
    names = FakePrometheus({}, windows)._names
    clinic.prometheus._names = clinic.prometheus._names | names
    clinic.prometheus.scrape_every(seconds)
    assert POD
