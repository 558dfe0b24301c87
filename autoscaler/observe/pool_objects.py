"""What sizes a node pool, read from its JSON: how large, whose, and why it brings nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.observe.pod_detail import unix
from autoscaler.units import shortened

Json = Mapping[str, Any]

CAPI_MAX = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size"
# Who acts on a CapacityBuffer looks at it each 30 s; four looks without a word are nobody's.
SILENT_AFTER = 120.0


@dataclass(frozen=True, slots=True)
class PoolRow:
    """`size` in the driver's unit; `pods_like` is the workload whose template a buffer takes."""

    size: int
    resource_version: str
    owner: str | None = None
    refusal: str | None = None
    pods_like: str | None = None
    fits: str | None = None  # the buffer's word that there is room already
    silent_since: float | None = None  # Unix time since which nobody has acted on it


def trimmer(kind: str) -> Callable[[Any], PoolRow]:
    """By the kind of the object."""
    return {
        "CapacityBuffer": buffer_row,
        "Deployment": placeholder_row,
        "NodePool": node_pool_row,
    }.get(kind, scaled_row)


def buffer_row(item: Any) -> PoolRow:
    """autoscaling.x-k8s.io/v1beta1. One with `percentage` is as large as its status says."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    size = spec.get("replicas")
    if size is None:
        size = status.get("replicas") or 0
    ref, provisioning = spec.get("scalableRef") or {}, _condition(status, "Provisioning")
    fits = provisioning.get("status") == "True"
    return PoolRow(
        size=int(size),
        resource_version=metadata["resourceVersion"],
        refusal=_unready(status) or _no_room(provisioning),
        pods_like=f"{ref['kind']} {ref['name']}" if ref else None,
        fits=shortened(provisioning.get("message") or "it fits") if fits else None,
        silent_since=None if status.get("conditions") else unix(metadata["creationTimestamp"]),
    )


def placeholder_row(item: Any) -> PoolRow:
    """A Deployment of placeholder pods; why they wait is the pods' to say."""
    metadata, spec = item["metadata"], item["spec"]
    return PoolRow(int(spec.get("replicas", 1)), metadata["resourceVersion"])


def node_pool_row(item: Any) -> PoolRow:
    """karpenter.sh/v1: one with spec.replicas is static, and is sized from outside."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    dynamic = "replicas" not in spec
    return PoolRow(
        size=int(status.get("nodes") or 0) if dynamic else int(spec["replicas"]),
        resource_version=metadata["resourceVersion"],
        owner="Karpenter sizes it itself: it has no spec.replicas" if dynamic else None,
        refusal=_first_false(
            status, "ValidationSucceeded", "NodeClassReady", "NodeRegistrationHealthy", "Ready"
        ),
    )


def scaled_row(item: Any) -> PoolRow:
    """Cluster API's MachineDeployment, and anything with spec.replicas and conditions."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    most = (metadata.get("annotations") or {}).get(CAPI_MAX)
    behind = int(status.get("readyReplicas") or 0) < int(spec.get("replicas") or 0)
    return PoolRow(
        size=int(spec.get("replicas") or 0),
        resource_version=metadata["resourceVersion"],
        owner=f"the Cluster Autoscaler may size it up to {most} (annotation {CAPI_MAX})"
        if most
        else None,
        refusal=_first_false(status, "MachineSetReady", "Ready", "Available") if behind else None,
    )


def failed_claim(item: Any) -> tuple[str, str] | None:
    """karpenter.sh/v1 NodeClaim: its NodePool, and why no machine came; None where one did."""
    launched = _condition(item.get("status") or {}, "Launched")
    waiting = launched.get("reason") in {None, "AwaitingReconciliation"}
    if launched.get("status") == "True" or waiting:
        return None
    return item["metadata"]["labels"]["karpenter.sh/nodepool"], _words(launched)


def _unready(status: Json) -> str | None:
    return _first_false(status, "ReadyForProvisioning") or (
        _words(limited)
        if (limited := _condition(status, "LimitedByQuotas")).get("status") == "True"
        else None
    )


def _no_room(provisioning: Json) -> str | None:
    """Karpenter says False while it still buys: `2/2 virtual pods required new capacity, 0
    failed` is on its way; `…, 2 failed` is not.
    """
    if provisioning.get("status") != "False":
        return None
    said = provisioning.get("message") or ""
    if provisioning.get("reason") == "RequiresNewCapacity" and said.endswith(" 0 failed"):
        return None
    return _words(provisioning)


def _first_false(status: Json, *kinds: str) -> str | None:
    for kind in kinds:
        condition = _condition(status, kind)
        if condition.get("status") == "False":
            return f"{kind} is False: {_words(condition)}"
    return None


def _words(condition: Json) -> str:
    said = [condition.get("reason"), condition.get("message")]
    return ": ".join(shortened(word) for word in said if word) or "no reason given"


def _condition(status: Json, kind: str) -> Json:
    return next((one for one in status.get("conditions") or () if one.get("type") == kind), {})
