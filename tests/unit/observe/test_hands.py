"""Other hands on a target, from the JSON of objects."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.kube.hands import (
    NO_HANDS,
    Owner,
    freeze_of,
    hands_of,
    hpa_of,
    scaled_object_of,
)
from autoscaler.model import Target
from autoscaler.observe.scalers import Scalers

FLOWER = Target("default", "flower")
PAUSED = "triton-autoscaler/paused"
AT = "2026-11-21T08:00:00Z"


def entry(manager: str, operation: str = "Update", at: str = AT, **more: Any) -> dict[str, Any]:
    fields: Any = {"f:spec": {"f:replicas": {}}}
    return {"manager": manager, "operation": operation, "time": at, "fieldsV1": fields, **more}


def target(kind: str = "Deployment", **changes: Any) -> Any:
    metadata = {"name": "flower", "namespace": "default", "generation": 3}
    metadata |= changes.pop("metadata", {})
    status = {"observedGeneration": 3, **changes.pop("status", {})}
    spec = {"replicas": 5, **changes.pop("spec", {})}
    return hands_of({"metadata": metadata, "spec": spec, "status": status}, kind)


def written(*entries: dict[str, Any]) -> str | None:
    found: str | None = target(metadata={"managedFields": list(entries)}).writer
    return found


# --- managedFields -----------------------------------------------------------------------------


def test_nobody_is_nobody() -> None:
    assert target() is NO_HANDS, "one object for all that say nothing"
    assert written() is None


def test_ours_is_not_foreign() -> None:
    assert written(entry("triton-autoscaler", subresource="scale")) is None


def test_a_foreign_writer_is_named_with_how_and_when() -> None:
    assert written(entry("helm", "Apply")) == f"helm, Apply, {AT}"
    of_scale = entry("kube-controller-manager", subresource="scale")
    del of_scale["time"]  # as the API server leaves it
    assert written(of_scale) == "kube-controller-manager, Update of scale"


def test_an_applier_that_agrees_with_us_is_still_named() -> None:
    ours, theirs = entry("triton-autoscaler"), entry("argocd", "Apply")
    assert written(ours, theirs) == f"argocd, Apply, {AT}"


def test_the_last_of_several_is_named() -> None:
    later = entry("flux", "Apply", "2026-11-21T09:00:00Z")
    assert written(entry("argocd", "Apply"), later) == "flux, Apply, 2026-11-21T09:00:00Z"


def test_who_set_other_fields_is_no_writer_of_replicas() -> None:
    other: Any = {"fieldsV1": {"f:spec": {"f:template": {}}}}
    status: Any = {"fieldsV1": {"f:status": {"f:replicas": {}}}, "subresource": "status"}
    assert written(entry("helm") | other, entry("kube-controller-manager") | status) is None


# --- pause and freeze --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "paused"),
    [("", False), ("false", False), ("False ", False), ("true", True), ("0", True), ("no", True)],
)
def test_a_pause_in_doubt_pauses(value: str, paused: bool) -> None:
    said = target(metadata={"annotations": {PAUSED: value}}).paused
    assert (said is not None) == paused


def test_a_pause_says_who_and_why() -> None:
    fields: Any = {"f:metadata": {"f:annotations": {f"f:{PAUSED}": {}}}}
    by = {"manager": "kubectl-annotate", "operation": "Update", "time": AT, "fieldsV1": fields}
    metadata = {"annotations": {PAUSED: "incident 7"}, "managedFields": [by]}
    assert target(metadata=metadata).paused == (
        f"annotation {PAUSED} (by kubectl-annotate, Update, {AT}): incident 7"
    )


def test_a_freeze_without_a_reason_is_one() -> None:
    metadata = {"name": "triton-autoscaler-freeze", "namespace": "ops"}
    assert freeze_of({"metadata": metadata}) == "ConfigMap ops/triton-autoscaler-freeze"


# --- rollouts ----------------------------------------------------------------------------------


def rollout(kind: str = "Deployment", **changes: Any) -> str | None:
    found: str | None = target(kind, **changes).rollout
    return found


def test_a_scale_up_in_progress_is_no_rollout() -> None:
    """3 of 5 pods are made, all of the new version: spec.replicas is not what to compare with."""
    assert rollout(status={"replicas": 3, "updatedReplicas": 3}) is None


def test_kubernetes_72775_old_pods_beside_new_ones_are_a_rollout() -> None:
    """The HPA read the metrics of both versions and grew; here it can be told."""
    said = rollout(status={"replicas": 6, "updatedReplicas": 2})
    assert said == "2 of 6 pods are of the new version"
    assert rollout(status={"replicas": 5}) == "0 of 5 pods are of the new version"


def test_a_rollout_that_is_stuck_or_paused_says_so() -> None:
    stuck = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": "ReplicaSet flower-x has timed out progressing.",
    }
    status = {"replicas": 6, "updatedReplicas": 1, "conditions": [stuck]}
    said = "; it is stuck: ReplicaSet flower-x has timed out progressing."
    assert str(rollout(status=status)).endswith(said)
    paused = rollout(spec={"paused": True}, status={"replicas": 6, "updatedReplicas": 1})
    assert str(paused).endswith("; the rollout is paused")


def test_a_spec_that_nobody_acted_on_is_told() -> None:
    said = rollout(metadata={"generation": 4})
    assert said == "its spec of generation 4 is not acted on yet (at 3)"


def test_a_stateful_set_rolls_out_by_revisions() -> None:
    status = {"replicas": 3, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}
    assert rollout("StatefulSet", status=status) == "1 of 3 pods are of the new version"
    done = status | {"currentRevision": "b"}
    assert rollout("StatefulSet", status=done) is None


def test_a_kind_whose_rollouts_we_do_not_know_has_none() -> None:
    assert rollout("ReplicaSet", status={"replicas": 3}) is None
    assert rollout("Rollout", status={"replicas": 3}, metadata={"generation": 9}) is None


# --- refusals ----------------------------------------------------------------------------------


def failure(message: str, reason: str = "FailedCreate") -> dict[str, Any]:
    one = {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": message}
    return {"conditions": [one]}


def test_a_quota_is_told_without_the_name_of_a_pod_that_never_was() -> None:
    """Each try makes up another name: the same refusal would be news on every tick."""
    quota = "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: 2, limited: 2"
    for name in ("x7k2p", "9qqz8"):
        message = f'pods "flower-5cf8b78894-{name}" is forbidden: {quota}'
        assert target(status=failure(message)).refused == quota
    assert (
        target(status=failure("admission webhook says no")).refused == "admission webhook says no"
    )


def test_a_pod_that_could_not_be_deleted_is_no_refusal_to_make_one() -> None:
    assert target(status=failure("cannot delete", "FailedDelete")).refused is None


# --- HPAs and ScaledObjects --------------------------------------------------------------------


def hpa(name: str = "flower", of: str = "flower", **changes: Any) -> Any:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": of} | changes.pop("ref", {})
    metadata = {"name": name, "namespace": changes.pop("namespace", "default"), **changes}
    return hpa_of({"metadata": metadata, "spec": {"scaleTargetRef": ref}})


def scaled_object(**changes: Any) -> Any:
    ref = {"name": "flower"} | changes.pop("ref", {})
    metadata = {"name": "flower", "namespace": "default", **changes}
    return scaled_object_of({"metadata": metadata, "spec": {"scaleTargetRef": ref}})


def others(*scalers: Any, owner: Owner | None = None, unknown: tuple[str, ...] = ()) -> Any:
    return Scalers(scalers, unknown).others(FLOWER, owner)


def test_only_who_scales_this_target_counts() -> None:
    assert others(hpa(of="other"), hpa(namespace="other")) == ()
    assert others(hpa(ref={"kind": "StatefulSet"}), hpa(ref={"apiVersion": "x/v1"})) == ()
    assert others(hpa()) == ("HorizontalPodAutoscaler default/flower",)


def test_another_version_of_the_group_is_the_same_target() -> None:
    assert others(hpa(ref={"apiVersion": "apps/v1beta2"}))
    assert others(hpa(ref={"apiVersion": ""})), "one that does not say may well mean it"


def test_kedas_hpa_and_its_scaled_object_are_one_hand() -> None:
    owned = hpa("keda-hpa-flower", ownerReferences=[{"kind": "ScaledObject", "name": "flower"}])
    said = "ScaledObject default/flower (by HorizontalPodAutoscaler keda-hpa-flower)"
    assert others(owned, scaled_object()) == (said,)
    assert others(scaled_object(), owned) == (said,)
    assert others(owned) == (said,), "also where ScaledObjects may not be listed"


def test_a_paused_scaled_object_is_a_hand_that_may_come_back() -> None:
    paused = scaled_object(annotations={"autoscaling.keda.sh/paused": "true"})
    assert others(paused) == ("ScaledObject default/flower (paused now, free to go on)",)
    back = scaled_object(annotations={"autoscaling.keda.sh/paused": "false"})
    assert others(back) == ("ScaledObject default/flower",)


def test_several_hands_are_all_named_in_order() -> None:
    found = others(hpa("b"), hpa("a"), scaled_object())
    assert [one.split()[1] for one in found] == ["default/a", "default/b", "default/flower"]


def test_an_hpa_on_the_owner_reaches_the_target_through_it() -> None:
    owner = Owner("serving.example/v1", "Runtime", "llama")
    above = hpa(
        "llama", ref={"apiVersion": "serving.example/v1", "kind": "Runtime", "name": "llama"}
    )
    assert others(above) == ()
    said = "HorizontalPodAutoscaler default/llama, through Runtime llama, which owns it"
    assert others(above, owner=owner) == (said,)


def test_what_may_not_be_read_is_a_hand_too() -> None:
    assert others(unknown=("cannot tell",)) == ("cannot tell",)
