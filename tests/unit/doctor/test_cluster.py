"""What doctor says of the cluster: rights, owners of the metrics APIs, HPAs, other writers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.doctor.clinic import (
    DEPLOYMENT,
    HPAS,
    MONITORS,
    OPERATORS,
    SCALED,
    V1BETA1,
    WIDE,
    Clinic,
    deployment,
    hpa,
    pods_metric,
)


@pytest.fixture
def adapter(clinic: Clinic) -> Clinic:
    """The seed's cluster: prometheus-adapter serves avg_time_queue_us."""
    clinic.kubernetes.api_service(V1BETA1, "monitoring/prometheus-adapter")
    clinic.kubernetes.served("avg_time_queue_us", "http_requests")
    return clinic


@pytest.fixture
def ours(clinic: Clinic) -> Clinic:
    clinic.mode = "recommend"
    clinic.kubernetes.api_service(V1BETA1, "triton-autoscaler/triton-autoscaler-metrics")
    clinic.kubernetes.hpa(hpa())
    return clinic


async def test_nothing_is_ever_written(ours: Clinic) -> None:
    await ours.findings()
    assert ours.kubernetes.written == []


async def test_the_seeds_slip_ms_for_us_is_found(adapter: Clinic) -> None:
    """NVIDIA's article: the adapter serves …_us, the HPA asks for …_ms and holds for ever."""
    adapter.kubernetes.hpa(hpa("flower-hpa", metrics=pods_metric("avg_time_queue_ms")))
    found = await adapter.one("hpa-metrics", "fail")
    assert "asks for avg_time_queue_ms, which nobody serves" in found.what
    assert "did you mean avg_time_queue_us?" in found.remedy
    assert "kubectl edit hpa -n default flower-hpa" in found.remedy


async def test_an_hpa_of_another_fleet_only_warns(adapter: Clinic) -> None:
    elsewhere = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    adapter.kubernetes.hpa(hpa("web", scaleTargetRef=elsewhere, metrics=pods_metric("rps")))
    await adapter.one("hpa-metrics", "warn")


async def test_desired_replicas_of_another_object_is_no_decision_of_ours(ours: Clinic) -> None:
    wrong = hpa()
    wrong["spec"]["metrics"][0]["object"]["describedObject"]["name"] = "flowr"
    ours.kubernetes.hpa(wrong)
    found = await ours.one("hpa-metrics", "fail")
    assert "Deployment/flowr; policies decide about Deployment/flower" in found.what


async def test_what_discovery_lists_is_what_is_served(ours: Clinic) -> None:
    """With --metric-name a prometheus-adapter user keeps the old names."""
    ours.kubernetes.served("triton_queue", "desired_replicas")
    ours.kubernetes.hpa(hpa(metrics=pods_metric("avg_time_queue_us")))
    assert "avg_time_queue_us" in (await ours.one("hpa-metrics", "fail")).what


@pytest.mark.parametrize("mode", ["observe", "recommend"])
async def test_prometheus_adapter_in_our_place(adapter: Clinic, mode: str) -> None:
    adapter.mode = mode
    found = [f for f in await adapter.says("api-services") if f.subject == V1BETA1]
    assert found[0].status == ("fail" if mode == "recommend" else "ok")
    assert "prometheus-adapter (Service monitoring/prometheus-adapter)" in found[0].what


async def test_what_would_break_when_prometheus_adapter_goes(adapter: Clinic) -> None:
    elsewhere = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    adapter.kubernetes.hpa(
        hpa(metrics=pods_metric("avg_time_queue_us")),
        hpa("web", scaleTargetRef=elsewhere, metrics=pods_metric("http_requests")),
    )
    found = await adapter.one("displaced-metrics", "warn")
    assert "http_requests of prometheus-adapter" in found.what
    assert "default/web" in found.what


async def test_what_the_adapter_does_not_serve_cannot_break(adapter: Clinic) -> None:
    adapter.kubernetes.hpa(hpa(metrics=pods_metric("avg_time_queue_ms")))
    await adapter.one("displaced-metrics", "ok")


async def test_insecure_skip_tls_verify_is_told(adapter: Clinic) -> None:
    insecure = {"spec": {"insecureSkipTLSVerify": True}}
    adapter.kubernetes.api_service(V1BETA1, "monitoring/prometheus-adapter", **insecure)
    assert "insecureSkipTLSVerify" in (await adapter.one("api-services", "warn")).what


async def test_recommend_without_an_api_service_says_what_to_apply(clinic: Clinic) -> None:
    clinic.mode = "recommend"
    found = (await clinic.says("api-services"))[0]
    assert found.status == "fail"
    assert "add manifests/components/metrics-api to your overlay" in found.remedy


async def test_an_unavailable_api_service_gives_the_aggregators_reason(ours: Clinic) -> None:
    gone = [{"type": "Available", "status": "False", "message": "no endpoints available"}]
    ours.kubernetes.api_service(
        V1BETA1, "triton-autoscaler/triton-autoscaler-metrics", conditions=gone
    )
    found = [f for f in await ours.says("api-services") if f.subject == V1BETA1]
    assert found[0].status == "fail"
    assert "no endpoints available" in found[0].what


async def test_a_missing_right_comes_with_the_rolebinding_to_type(clinic: Clinic) -> None:
    clinic.service_account = "triton-autoscaler:triton-autoscaler"
    clinic.kubernetes.denied = {"get deployments/scale"}
    found = await clinic.one("rights", "fail")
    assert found.subject == "system:serviceaccount:triton-autoscaler:triton-autoscaler"
    assert "may not get deployments/scale in namespace default" in found.what
    assert "kubectl create rolebinding" in found.remedy
    assert "--serviceaccount=triton-autoscaler:triton-autoscaler" in found.remedy
    assert {body["kind"] for body in clinic.kubernetes.reviewed} == {"SubjectAccessReview"}


async def test_rights_are_those_that_the_mode_needs(clinic: Clinic) -> None:
    await clinic.findings()
    observing = asked(clinic)
    assert observing == {
        *("get deployments", "list deployments", "watch deployments"),
        *("list pods", "watch pods"),
    }
    clinic.mode = "recommend"
    await clinic.findings()
    assert {"create tokenreviews", "create subjectaccessreviews"} < asked(clinic)
    clinic.mode = "scale"
    await clinic.findings()
    assert "update deployments" in asked(clinic)


def asked(clinic: Clinic) -> set[str]:
    every = [body["spec"]["resourceAttributes"] for body in clinic.kubernetes.reviewed]
    return {f"{one['verb']} {one['resource']}" for one in every}


async def test_an_older_cluster_swallows_small_steps_and_doctor_says_which(ours: Clinic) -> None:
    """20 → 21 is within the usual 10 %; before 1.35 `tolerance` is dropped without a word."""
    loose = hpa(maxReplicas=20)
    for rules in loose["spec"]["behavior"].values():
        rules.pop("tolerance", None)
    ours.kubernetes.minor = "34+"
    ours.kubernetes.hpa(loose)
    found = await ours.one("hpa-tolerance", "warn")
    assert "at 20 replicas a decision for 18 to 22 changes nothing" in found.what
    assert "Kubernetes 1.34 drops `tolerance`" in found.what
    assert "--horizontal-pod-autoscaler-tolerance=0" in found.remedy
    ours.kubernetes.minor = "36"
    assert "kubectl patch hpa" in (await ours.one("hpa-tolerance", "warn")).remedy


async def test_below_ten_replicas_no_step_is_within_ten_percent(ours: Clinic) -> None:
    loose = hpa(maxReplicas=9, behavior={})
    ours.kubernetes.hpa(loose)
    assert "no step is lost" in (await ours.one("hpa-tolerance", "ok")).what


async def test_two_billion_pods_would_stop_all_growth(ours: Clinic) -> None:
    overflow = WIDE | {"value": 2_147_483_647}
    rules = {"stabilizationWindowSeconds": 0, "tolerance": "0", "policies": [overflow]}
    ours.kubernetes.hpa(hpa(behavior={"scaleUp": rules, "scaleDown": hpa_rules()}))
    assert "overflows" in (await ours.one("hpa-behavior", "fail")).what


async def test_an_hpa_without_behavior_waits_five_minutes_more(ours: Clinic) -> None:
    ours.kubernetes.hpa(hpa(behavior={}))
    words = " ".join(f.what for f in await ours.says("hpa-behavior"))
    assert "scaleDown waits 5m more" in words
    assert "at most double" in words


async def test_narrower_bounds_than_the_policys_are_told(ours: Clinic) -> None:
    ours.kubernetes.hpa(hpa(maxReplicas=5))
    found = await ours.one("hpa-bounds", "warn")
    assert "allows 1 to 5, policy default/flower wants 1 to 7" in found.what


async def test_the_controllers_own_words_are_passed_on(ours: Clinic) -> None:
    stuck = {"type": "ScalingActive", "status": "False"}
    stuck |= {"reason": "FailedGetPodsMetric", "message": "unable to get metric"}
    ours.kubernetes.hpa(hpa(status={"conditions": [stuck]}))
    found = await ours.one("hpa-active", "fail")
    assert "FailedGetPodsMetric: unable to get metric" in found.what


async def test_a_manifest_in_v2beta1_is_found_by_what_applied_it(ours: Clinic) -> None:
    text = '{"apiVersion":"autoscaling/v2beta1"}'
    applied = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": text}}
    ours.kubernetes.hpa(hpa(metadata=applied))
    assert "gone since Kubernetes 1.25" in (await ours.one("hpa-version", "warn")).what


async def test_a_reference_to_apps_v1beta1_is_found(ours: Clinic) -> None:
    old = {"apiVersion": "apps/v1beta1", "kind": "Deployment", "name": "flower"}
    ours.kubernetes.hpa(hpa(scaleTargetRef=old))
    assert "apps/v1beta1" in (await ours.one("hpa-version", "warn")).what


async def test_two_hpas_on_one_target_do_nothing(ours: Clinic) -> None:
    ours.kubernetes.hpa(hpa(), hpa("flower-old", metrics=pods_metric("avg_time_queue_us")))
    found = await ours.one("two-writers", "fail")
    assert "AmbiguousSelector" in found.what
    assert "kubectl delete hpa -n default flower-old" in found.remedy


async def test_production_stack_903_an_hpa_beside_mode_scale_is_a_second_writer(
    clinic: Clinic,
) -> None:
    clinic.mode = "scale"
    clinic.kubernetes.hpa(hpa())
    found = await clinic.one("two-writers", "fail")
    assert "HPA default/flower writes the replicas" in found.what


async def test_a_scaled_object_and_its_own_hpa_are_one_writer(clinic: Clinic) -> None:
    reference = {"name": "flower"}
    metadata = {"name": "flower", "namespace": "default"}
    clinic.kubernetes.objects[SCALED] = {
        "items": [{"metadata": metadata, "spec": {"scaleTargetRef": reference}}]
    }
    made = {"ownerReferences": [{"kind": "ScaledObject", "name": "flower"}]}
    clinic.kubernetes.hpa(hpa("keda-hpa-flower", metadata=made))
    found = await clinic.one("two-writers", "ok")
    assert found.what == "ScaledObject default/flower scales it"


async def test_recommend_with_nobody_who_follows(ours: Clinic) -> None:
    ours.kubernetes.hpa()
    assert "no HPA or ScaledObject follows" in (await ours.one("two-writers", "warn")).what


@pytest.mark.parametrize(
    "metadata",
    [
        {
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": '{"spec":{"replicas":3}}'
            }
        },
        {
            "managedFields": [
                {
                    "manager": "argocd-controller",
                    "operation": "Apply",
                    "fieldsV1": {"f:spec": {"f:replicas": {}}},
                }
            ]
        },
    ],
    ids=["client-side", "server-side"],
)
async def test_replicas_in_an_applied_manifest_undo_the_scaling(
    clinic: Clinic, metadata: dict[str, Any]
) -> None:
    clinic.kubernetes.objects[DEPLOYMENT] = deployment(**metadata)
    assert "each apply undoes" in (await clinic.one("applied-replicas", "warn")).what


@pytest.mark.parametrize("operation", ["Update", "Apply"])
async def test_what_an_hpa_wrote_is_no_manifest(clinic: Clinic, operation: str) -> None:
    wrote = {
        "manager": "kube-controller-manager",
        "operation": operation,
        "subresource": "scale",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    clinic.kubernetes.objects[DEPLOYMENT] = deployment(managedFields=[wrote])
    await clinic.one("applied-replicas", "ok")


async def test_an_hpa_list_that_is_forbidden_is_unknown_and_not_fine(clinic: Clinic) -> None:
    clinic.kubernetes.refusals["horizontalpodautoscalers"] = (403, "forbidden")
    found = await clinic.one("two-writers", "unknown")
    assert "HPAs cannot be read: HTTP 403: forbidden" in found.what


async def test_the_targets_namespaces_are_asked_where_all_are_forbidden(clinic: Clinic) -> None:
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    clinic.kubernetes.refusals[HPAS] = (403, "forbidden")
    clinic.kubernetes.objects[path] = {"items": [hpa()]}
    assert "HPA default/flower scales it" in (await clinic.one("two-writers", "ok")).what


async def test_a_target_that_does_not_exist(clinic: Clinic) -> None:
    clinic.kubernetes.scales.clear()
    found = await clinic.one("target", "fail")
    assert "no Deployment flower in namespace default" in found.what


# --- PodMonitors: why Prometheus ignores one ------------------------------------------------


def monitor(**spec: Any) -> dict[str, Any]:
    labels = {"release": "kube-prometheus-stack"}
    usual = {
        "namespaceSelector": {"matchNames": ["default"]},
        "selector": {"matchLabels": {"app": "flower"}},
        "podMetricsEndpoints": [{"port": "metrics-triton"}],
    }
    metadata = {"name": "tritonmetrics", "namespace": "monitoring", "labels": labels}
    return {"metadata": metadata, "spec": usual | spec}


@pytest.fixture
def unscraped(clinic: Clinic) -> Clinic:
    for name in clinic.prometheus.rows:
        clinic.prometheus.rows[name] = []
    selector = {"matchLabels": {"release": "kube-prometheus-stack"}}
    server = {"metadata": {"name": "k8s", "namespace": "monitoring"}}
    clinic.kubernetes.objects[OPERATORS] = {
        "items": [server | {"spec": {"podMonitorSelector": selector}}]
    }
    return clinic


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"selector": {"matchLabels": {"app": "flowers"}}}, "asks for app=flowers, the labels"),
        ({"namespaceSelector": {}}, "looks in monitoring, not in default"),
        ({"podMetricsEndpoints": [{"port": "metrics"}]}, "the pods have metrics-triton"),
    ],
    ids=["labels", "namespace", "port"],
)
async def test_the_usual_slips_of_a_pod_monitor(
    unscraped: Clinic, spec: dict[str, Any], words: str
) -> None:
    unscraped.kubernetes.objects[MONITORS] = {"items": [monitor(**spec)]}
    found = await unscraped.one("pod-monitor", "fail")
    assert words in found.what
    assert "podmonitor -n monitoring tritonmetrics" in found.remedy


async def test_a_pod_monitor_without_the_release_label_is_not_taken(unscraped: Clinic) -> None:
    bare = monitor()
    del bare["metadata"]["labels"]
    unscraped.kubernetes.objects[MONITORS] = {"items": [bare]}
    found = await unscraped.one("pod-monitor", "fail")
    assert "asks for release=kube-prometheus-stack" in found.what
    assert "kubectl label podmonitor -n monitoring tritonmetrics release=" in found.remedy


async def test_the_nearest_of_several_monitors_is_the_one_to_mend(unscraped: Clinic) -> None:
    other = monitor(selector={"matchLabels": {"app": "web"}})
    nearly = monitor(podMetricsEndpoints=[{"port": "metrics"}])
    unscraped.kubernetes.objects[MONITORS] = {"items": [other, nearly]}
    assert "asks for port metrics" in (await unscraped.one("pod-monitor", "fail")).what


async def test_without_the_operator_the_hint_is_another(unscraped: Clinic) -> None:
    del unscraped.kubernetes.objects[MONITORS]
    assert "no Prometheus operator" in (await unscraped.one("pod-monitor", "warn")).what


def hpa_rules() -> dict[str, Any]:
    rules: dict[str, Any] = hpa()["spec"]["behavior"]["scaleDown"]
    return rules
