"""Every overlay, built by the real kubectl and applied to a real API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from autoscaler.run.doctor import Finding, examine
from autoscaler.run.doctor.checks.access import needed
from autoscaler.run.doctor.gather import Where, gather
from tests.testbed.control_plane import ControlPlane, KubectlFailed, eventually
from tests.testbed.parts import ControlPlaneBinaries
from tests.unit.manifests.shipped import MANIFESTS, OVERLAYS, Object, build, find

pytestmark = pytest.mark.real

ACCOUNT = "system:serviceaccount:triton-autoscaler:triton-autoscaler"
NOW = 1_795_248_926.0


@pytest.fixture(scope="module")
def plane(control_plane_binaries: ControlPlaneBinaries) -> Iterator[ControlPlane]:
    """One of its own: APIServices without a server would break discovery for other tests."""
    with ControlPlane(control_plane_binaries) as running:
        for plural, kind in (
            ("podmonitors", "PodMonitor"),
            ("servicemonitors", "ServiceMonitor"),
            ("prometheusrules", "PrometheusRule"),
            ("prometheuses", "Prometheus"),
        ):
            running.apply(json.dumps(definition(plural, kind)))
            running.kubectl(
                *("wait", "--for=condition=Established", "--timeout=20s"),
                f"crd/{plural}.monitoring.coreos.com",
            )
        running.create_namespace("monitoring")
        yield running


def definition(plural: str, kind: str) -> Object:
    """As much of the Prometheus operator's CRD as a server needs to take such objects."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    group = "monitoring.coreos.com"
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    metadata = {"name": f"{plural}.{group}"}
    kinds = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**kinds, "metadata": metadata, "spec": spec}


def built(plane: ControlPlane, overlay: str) -> list[Object]:
    return list(yaml.safe_load_all(build(plane.kubectl_binary, overlay)))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_accepted_whole(plane: ControlPlane, overlay: str) -> None:
    """Twice, as every later edit is: the second time nothing changes."""
    manifest = build(plane.kubectl_binary, overlay)
    objects = list(yaml.safe_load_all(manifest))
    said = plane.apply(manifest).splitlines()
    assert len(said) == len(objects)
    assert all(line.endswith("serverside-applied") for line in said)
    before = versions(plane, objects)
    plane.apply(manifest)
    assert versions(plane, objects) == before


def versions(plane: ControlPlane, objects: list[Object]) -> dict[str, str]:
    """Generations of what has a spec: status is others' business."""
    names = [
        f"{one['kind'].lower()}/{one['metadata']['name']}"
        for one in objects
        if one["kind"] in ("Deployment", "HorizontalPodAutoscaler", "NetworkPolicy")
    ]
    found = {}
    for name, one in zip(names, [o for o in objects if o["kind"] in KINDS], strict=True):
        namespace = one["metadata"]["namespace"]
        path = "jsonpath={.metadata.generation}{.spec}"
        found[name] = plane.kubectl("get", "-n", namespace, name, "-o", path)
    return found


KINDS = ("Deployment", "HorizontalPodAutoscaler", "NetworkPolicy")


def test_the_pods_meet_the_restricted_standard(plane: ControlPlane) -> None:
    """The namespace enforces it: a pod that did not meet it would not be made."""
    plane.apply(build(plane.kubectl_binary, "recommend"))
    path = "/api/v1/namespaces/triton-autoscaler/pods"
    eventually(lambda: len(plane.api.get(path)["items"]) >= 2, "two pods")


def test_the_tolerance_of_zero_is_kept(plane: ControlPlane) -> None:
    plane.apply(build(plane.kubectl_binary, "flower-desired-replicas"))
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/flower"
    behavior = plane.api.get(path)["spec"]["behavior"]
    for direction in ("scaleUp", "scaleDown"):
        assert behavior[direction]["tolerance"] == "0"
        assert behavior[direction]["stabilizationWindowSeconds"] == 0


def test_the_fleet_keeps_its_size_when_it_is_applied_again(plane: ControlPlane) -> None:
    manifest = build(plane.kubectl_binary, "flower")
    plane.apply(manifest)
    plane.kubectl("scale", "-n", "default", "deployment/flower", "--replicas=5")
    plane.apply(manifest)
    path = "/apis/apps/v1/namespaces/default/deployments/flower/scale"
    assert plane.api.get(path)["spec"]["replicas"] == 5


def test_only_one_hpa_scales_the_flower_fleet(plane: ControlPlane) -> None:
    for overlay in ("flower", "flower-desired-replicas"):
        hpas = [o for o in built(plane, overlay) if o["kind"] == "HorizontalPodAutoscaler"]
        assert [o["metadata"]["name"] for o in hpas] == ["flower"]


def test_the_seeds_deployment_is_all_there(plane: ControlPlane) -> None:
    objects = built(plane, "flower")
    pod = find(objects, "Deployment", "flower")["spec"]["template"]["spec"]
    (triton,) = pod["containers"]
    assert triton["resources"]["limits"] == {"nvidia.com/mig-1g.5gb": 1}
    assert {p["name"]: p["containerPort"] for p in triton["ports"]} == {
        "http-triton": 8000,
        "grpc-triton": 8001,
        "metrics-triton": 8002,
    }
    endpoint = find(objects, "PodMonitor", "flower")["spec"]["podMetricsEndpoints"][0]
    assert endpoint == {"port": "metrics-triton", "path": "/metrics", "interval": "10s"}
    hpa = find(objects, "HorizontalPodAutoscaler", "flower")["spec"]
    assert (hpa["minReplicas"], hpa["maxReplicas"]) == (1, 7)


# --- the roles, and nothing more ------------------------------------------------------------


def may(plane: ControlPlane, verb: str, resource: str, *more: str) -> bool:
    try:
        said = plane.kubectl("auth", "can-i", verb, resource, f"--as={ACCOUNT}", *more)
    except KubectlFailed:  # its exit code for "no"
        return False
    return said.strip() == "yes"


@pytest.fixture
def installed(plane: ControlPlane) -> ControlPlane:
    """Without what the overlay `scale` gave: what that one grants has a test of its own."""
    for kind, name, namespace in (
        ("rolebinding", "triton-autoscaler-scales-targets", "default"),
        ("clusterrolebinding", "triton-autoscaler-sees-nodes", "default"),
    ):
        plane.kubectl("delete", kind, name, "-n", namespace, "--ignore-not-found")
    plane.apply(build(plane.kubectl_binary, "flower"))
    write = ("update", "deployments.apps", "--subresource=scale", "-n", "default")
    eventually(lambda: not may(plane, *write), "the right to scale is gone")
    return plane


@pytest.mark.parametrize(
    ("verb", "resource", "more"),
    [
        ("get", "secrets/triton-autoscaler-serving", ["-n", "triton-autoscaler"]),
        ("patch", "secrets/triton-autoscaler-serving", ["-n", "triton-autoscaler"]),
        ("create", "secrets", ["-n", "triton-autoscaler"]),
        ("patch", "apiservices/v1beta1.custom.metrics.k8s.io", []),
        ("watch", "pods", ["-n", "default"]),
        ("watch", "deployments.apps", ["-n", "default"]),
    ],
)
def test_the_daemon_may(installed: ControlPlane, verb: str, resource: str, more: list[str]) -> None:
    eventually(lambda: may(installed, verb, resource, *more), f"{verb} {resource}")


@pytest.mark.parametrize(
    ("verb", "resource", "more"),
    [
        ("list", "pods", ["-n", "kube-system"]),
        ("list", "pods", ["--all-namespaces"]),
        ("update", "deployments.apps", ["--subresource=scale", "-n", "default"]),
        ("patch", "deployments.apps", ["-n", "default"]),
        ("delete", "pods", ["-n", "default"]),
        ("get", "secrets/other", ["-n", "triton-autoscaler"]),
        ("list", "secrets", ["-n", "triton-autoscaler"]),
        ("patch", "apiservices/v1.apps", []),
        ("get", "nodes", []),
    ],
)
def test_the_daemon_may_not(
    installed: ControlPlane, verb: str, resource: str, more: list[str]
) -> None:
    assert not may(installed, verb, resource, *more)


def test_the_hpa_controller_may_read_both_groups(installed: ControlPlane) -> None:
    account = "--as=system:serviceaccount:kube-system:horizontal-pod-autoscaler"
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    for group, verb in (("custom.metrics.k8s.io", "get"), ("external.metrics.k8s.io", "list")):
        asked = {"group": group, "resource": "pods", "verb": verb, "namespace": "default"}
        spec = {"user": account.partition("=")[2], "resourceAttributes": asked}
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        answer = installed.api.post(path, {**kind, "spec": spec})
        assert answer["status"]["allowed"], group


# --- doctor, on the real thing --------------------------------------------------------------


def doctor(plane: ControlPlane, **changes: Any) -> list[Finding]:
    where = Where(
        policies=[MANIFESTS / "overlays/flower/policies"],
        kubeconfig=plane.kubeconfig,
        **changes,
    )
    return list(examine(asyncio.run(gather(where, NOW))))


def test_doctor_finds_the_shipped_roles_enough_and_misses_one_that_is_gone(
    installed: ControlPlane,
) -> None:
    account = "triton-autoscaler:triton-autoscaler"
    (found,) = [f for f in doctor(installed, service_account=account) if f.check == "rights"]
    assert found.status == "ok", found
    name = "triton-autoscaler-reads-targets"
    installed.kubectl("delete", "rolebinding", "-n", "default", name)
    eventually(lambda: not may(installed, "watch", "pods", "-n", "default"), "the right is gone")
    lost = [f for f in doctor(installed, service_account=account) if f.check == "rights"]
    assert {f.status for f in lost} == {"fail"}
    assert len(lost) == len([r for r in needed(policies()) if r.namespace == "default"])
    remedy = lost[0].remedy.removeprefix("kubectl ")
    installed.kubectl(*remedy.split())  # what it says to type is what mends it
    eventually(lambda: may(installed, "watch", "pods", "-n", "default"), "the right is back")


def policies() -> Any:
    from autoscaler.policy import load

    return load([MANIFESTS / "overlays/flower/policies"]).policies


def test_doctor_on_the_seeds_slip_in_a_real_cluster(installed: ControlPlane) -> None:
    """Our APIService without a daemon behind it, and an HPA that asks for ms instead of µs."""
    hpa = find(built(installed, "flower"), "HorizontalPodAutoscaler", "flower")
    hpa["spec"]["metrics"][0]["pods"]["metric"]["name"] = "avg_time_queue_ms"
    installed.apply(json.dumps(hpa))
    found = {f.check: f for f in doctor(installed) if f.status == "fail"}
    assert "did you mean avg_time_queue_us?" in found["hpa-metrics"].remedy
    assert "unavailable" in found["api-services"].what
    unknown = {f.check for f in doctor(installed) if f.status == "unknown"}
    assert {"series", "duty-cycle"} <= unknown  # no Prometheus was given
    assert "target" not in unknown


def test_doctor_needs_no_more_than_a_reader_has(installed: ControlPlane) -> None:
    """The role `view`; what a user may do, everybody may ask."""
    kinds = ("clusterrolebinding", "look", "--clusterrole=view", "--user=looker")
    installed.kubectl("create", *kinds)
    looker = installed.kubeconfig_for(user="looker")
    where = Where(policies=[MANIFESTS / "overlays/flower/policies"], kubeconfig=looker)
    eventually(lambda: targets(where) == {"ok"}, "the user may look")


def targets(where: Where) -> set[str]:
    return {f.status for f in examine(asyncio.run(gather(where, NOW))) if f.check == "target"}
