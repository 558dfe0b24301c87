"""Who else has a hand on the replicas, read from a real API server by list and by watch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autoscaler.model import Target
from autoscaler.observe.cluster import TargetReading
from tests.contract.observing.world import World, custom_kind
from tests.testbed.api import ApiRefused
from tests.testbed.control_plane import eventually

pytestmark = pytest.mark.real


def hpa(world: World, name: str, target: str, **metadata: Any) -> None:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    body = {
        "metadata": {"name": name, "namespace": world.namespace, **metadata},
        "spec": {
            "scaleTargetRef": ref,
            "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": cpu}],
        },
    }
    path = world.path("horizontalpodautoscalers", group="/apis/autoscaling/v2")
    world.plane.api.post(path, body)


# --- who wrote spec.replicas -------------------------------------------------------------------


def test_a_deployment_that_nobody_sized_has_no_writer(world: World) -> None:
    world.deploy(None)
    assert world.read().hands.writer is None


def test_who_created_it_with_a_size_is_its_writer(world: World) -> None:
    body = json.dumps(world.deployment(2))
    world.plane.kubectl("apply", "-f", "-", stdin=body)
    assert str(world.read().hands.writer).startswith("kubectl-client-side-apply, Update, 20")


def test_our_own_write_is_not_somebody_elses(world: World) -> None:
    world.deploy(2)
    world.scale_as_we_do(3)
    reading = world.read()
    assert reading.replicas.desired == 3
    assert reading.hands.writer is None


def test_dynamo_4420_a_hand_that_scales_after_us_is_named(world: World) -> None:
    """Manual edits wedged it: here they are told from our own writes, and by which tool."""
    world.deploy(2)
    world.scale_as_we_do(3)
    world.kubectl("scale", "deployment", "flower", "--replicas=5")
    assert world.read().hands.writer == "kubectl, Update of scale"
    world.scale_as_we_do(4)
    assert world.read().hands.writer is None


def test_a_gitops_tool_that_agrees_for_now_still_holds_the_field(world: World) -> None:
    """It applies the same number again and again: it would undo our next write."""
    world.deploy(None)
    world.scale_as_we_do(3)
    world.apply_as("argocd-controller", world.deployment(3))
    assert str(world.read().hands.writer).startswith("argocd-controller, Apply, 20")


def test_a_write_of_the_same_number_takes_nothing_over(world: World) -> None:
    world.deploy(2)
    world.scale_as_we_do(3)
    world.kubectl("scale", "deployment", "flower", "--replicas=3")
    assert world.read().hands.writer is None


# --- HPAs and ScaledObjects --------------------------------------------------------------------


def test_production_stack_903_an_hpa_on_the_target_is_named(world: World) -> None:
    """Two controllers fought over the replicas and nobody said so."""
    world.deploy(1)
    world.deploy(1, name="other")
    hpa(world, "flower-hpa", "flower")
    hpa(world, "other-hpa", "other")
    found = f"HorizontalPodAutoscaler {world.namespace}/flower-hpa"
    assert world.read().hands.others == (found,)
    assert world.read(scaled=False).hands.others == (), "only who writes needs to know"


def test_the_hpa_of_a_scaled_object_is_named_as_that(world: World) -> None:
    """KEDA made the HPA: whoever deletes the HPA sees it come back."""
    world.deploy(1)
    with custom_kind(world.plane, "ScaledObject", "keda.sh", "v1alpha1", "scaledobjects"):
        path = world.path("scaledobjects", group="/apis/keda.sh/v1alpha1")
        body = {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "flower"},
            "spec": {"scaleTargetRef": {"name": "flower"}},
        }
        made = world.plane.api.post(path, body)
        keda = f"ScaledObject {world.namespace}/flower"
        assert world.read().hands.others == (keda,)
        owner = {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "name": "flower",
            "uid": made["metadata"]["uid"],
            "controller": True,
        }
        hpa(world, "keda-hpa-flower", "flower", ownerReferences=[owner])
        through = f"{keda} (by HorizontalPodAutoscaler keda-hpa-flower)"
        assert world.read().hands.others == (through,)
    eventually(lambda: _gone(world, path), "the kind is gone")
    world.kubectl("delete", "hpa", "--all")
    assert world.read().hands.others == (), "without KEDA there is no ScaledObject"


def _gone(world: World, path: str) -> bool:
    try:
        world.plane.api.get(path)
    except ApiRefused as refused:
        return refused.status == 404
    return False


def test_an_hpa_list_that_is_forbidden_is_not_an_empty_one(world: World) -> None:
    world.deploy(1)
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list", "watch"]},
    ]
    grant(world, "base", rules)
    kubeconfig = world.plane.kubeconfig_for(service_account=f"{world.namespace}/default")
    reading = world.read_as(kubeconfig)
    assert isinstance(reading, TargetReading)
    (said,) = reading.hands.others
    assert said.startswith(
        "cannot tell who else scales it: not allowed to list horizontalpodautoscalers in namespace"
    )
    assert "--verb=list,watch --resource=horizontalpodautoscalers" in said
    frozen = reading.hands.paused
    assert frozen is not None
    assert frozen.startswith("cannot tell whether all is frozen: not allowed to list ConfigMap")
    quiet = world.read_as(kubeconfig, scaled=False)
    assert isinstance(quiet, TargetReading)
    assert (quiet.hands.others, quiet.hands.paused) == ((), None), "who only watches needs none"


def test_the_rights_that_are_asked_for_are_enough(world: World) -> None:
    world.deploy(1)
    watch = ["list", "watch"]
    freeze = "triton-autoscaler-freeze"
    rules: list[dict[str, Any]] = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": watch},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": watch},
        {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": watch},
        {"apiGroups": ["keda.sh"], "resources": ["scaledobjects"], "verbs": watch},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [freeze], "verbs": watch},
    ]
    grant(world, "hands", rules)
    kubeconfig = world.plane.kubeconfig_for(service_account=f"{world.namespace}/default")
    reading = world.read_as(kubeconfig)
    assert isinstance(reading, TargetReading)
    assert (reading.hands.others, reading.hands.paused) == ((), None)


def grant(world: World, name: str, rules: list[dict[str, Any]]) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    metadata = {"name": name}
    world.plane.api.post(world.path("roles", group=rbac), {"metadata": metadata, "rules": rules})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": world.namespace}
    body = {"metadata": metadata, "roleRef": ref, "subjects": [subject]}
    world.plane.api.post(world.path("rolebindings", group=rbac), body)


# --- pause and freeze --------------------------------------------------------------------------


def test_a_pause_annotation_says_who_and_why(world: World) -> None:
    world.deploy(1)
    key = "triton-autoscaler/paused"
    world.kubectl("annotate", "deployment", "flower", f"{key}=incident 7")
    said = str(world.read().hands.paused)
    assert said.startswith(f"annotation {key} (by kubectl-annotate, Update, 20")
    assert said.endswith("): incident 7")
    world.kubectl("annotate", "--overwrite", "deployment", "flower", f"{key}=false")
    assert world.read().hands.paused is None


def test_the_freeze_of_everything_says_who_and_why(world: World) -> None:
    world.deploy(1)
    name = "triton-autoscaler-freeze"
    world.kubectl("create", "configmap", "another", "--from-literal=reason=nothing")
    assert world.read().hands.paused is None
    world.kubectl("create", "configmap", name, "--from-literal=reason=moving the cluster")
    said = str(world.read().hands.paused)
    assert said.startswith(f"ConfigMap {world.namespace}/{name} (by kubectl-create, Update, 20")
    assert said.endswith("): moving the cluster")
    assert world.read(scaled=False).hands.paused is None
    world.kubectl("delete", "configmap", name)
    assert world.read().hands.paused is None


# --- rollouts, quotas, owners ------------------------------------------------------------------


def test_a_rollout_is_told_and_a_scale_up_is_none(world: World) -> None:
    world.deploy(1)
    world.await_ready(1)
    world.scale_as_we_do(6)
    while world.status().get("readyReplicas") != 6:
        rollout = world.read().hands.rollout
        assert rollout is None or "not acted on yet" in rollout
    slow = {"testbed.triton-autoscaler/ready-after": "1h"}
    world.deploy(None, image="tritonserver:25.01", annotations=slow)
    reading = world.await_reading(
        lambda seen: seen.hands.rollout and "of the new version" in seen.hands.rollout, "a rollout"
    )
    assert reading.hands.rollout is not None
    world.kubectl("rollout", "pause", "deployment", "flower")
    world.await_reading(lambda seen: "is paused" in (seen.hands.rollout or ""), "a paused one")


def test_a_quota_that_is_used_up_is_said_in_the_quotas_words(world: World) -> None:
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "2"}}}
    world.plane.api.post(world.path("resourcequotas", group="/api/v1"), quota)
    world.deploy(3)
    reading = world.await_reading(lambda seen: seen.hands.refused, "a refusal")
    refused = reading.hands.refused
    assert refused is not None
    assert refused.startswith("exceeded quota: gpus, requested: requests.nvidia.com/gpu=1")
    assert len(reading.pods) == 2
    assert reading.replicas.desired == 3
    world.scale_as_we_do(2)
    world.await_reading(lambda seen: seen.hands.refused is None, "no refusal at two")


def test_production_stack_903_an_hpa_on_the_owner_counts_too(world: World) -> None:
    """Until KEDA was moved onto the custom resource's own scale it fought with the operator."""
    with custom_kind(world.plane, "Runtime", "serving.example", "v1", "runtimes", scale=True):
        path = world.path("runtimes", group="/apis/serving.example/v1")
        body = {
            "apiVersion": "serving.example/v1",
            "kind": "Runtime",
            "metadata": {"name": "llama"},
            "spec": {"replicas": 2},
        }
        made = world.plane.api.post(path, body)
        owned = world.deployment(2)
        owner = {"apiVersion": "serving.example/v1", "kind": "Runtime", "name": "llama"}
        owned["metadata"]["ownerReferences"] = [
            {**owner, "uid": made["metadata"]["uid"], "controller": True}
        ]
        world.plane.apply(json.dumps(owned))
        hpas = world.path("horizontalpodautoscalers", group="/apis/autoscaling/v2")
        spec = {"scaleTargetRef": owner, "maxReplicas": 5}
        world.plane.api.post(hpas, {"metadata": {"name": "llama"}, "spec": spec})
        reading = world.read()
        (said,) = reading.hands.others
        where = f"HorizontalPodAutoscaler {world.namespace}/llama"
        assert said == f"{where}, through Runtime llama, which owns it"
        assert "Runtime llama owns it and may set its replicas back" in reading.notes[0]


def test_a_kind_of_their_own_is_read_with_its_hands_too(world: World) -> None:
    with custom_kind(world.plane, "Runtime", "serving.example", "v1", "runtimes", scale=True):
        path = world.path("runtimes", group="/apis/serving.example/v1")
        body = {
            "apiVersion": "serving.example/v1",
            "kind": "Runtime",
            "metadata": {"name": "llama", "annotations": {"triton-autoscaler/paused": "true"}},
            "spec": {"replicas": 2},
        }
        world.plane.api.post(path, body)
        world.plane.api.patch(f"{path}/llama/status", {"status": {"selector": "app=llama"}})
        reading = world.read(Target(world.namespace, "llama", "serving.example/v1", "Runtime"))
        assert reading.replicas.desired == 2
        assert str(reading.hands.paused).startswith("annotation triton-autoscaler/paused (by ")
        assert str(reading.hands.writer).endswith("Z")
