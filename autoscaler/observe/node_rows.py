"""What is kept of a node: its GPUs, whether it is Ready, and whether it is about to go."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.observe.labels import Labels
from autoscaler.observe.pod_detail import gpu_count, gpus_of, pod_of, unix
from autoscaler.observe.rows import controller
from autoscaler.units import shortened

# Taint → what it means. A key that ends in `/` or `-` stands for all that begin with it.
LEAVING = {
    "node.kubernetes.io/unschedulable": "cordoned",
    "node.kubernetes.io/not-ready": "NotReady",
    "node.kubernetes.io/unreachable": "out of reach",
    "node.kubernetes.io/out-of-service": "out of service",
    "node.cloudprovider.kubernetes.io/shutdown": "shut down",
    "karpenter.sh/disrupted": "Karpenter is taking it away",
    "karpenter.sh/disruption": "Karpenter is taking it away",
    "cloud.google.com/impending-node-termination": "Google is about to take it back",
    "aws-node-termination-handler/": "AWS is about to take it back",
    "ToBeDeletedByClusterAutoscaler": "the Cluster Autoscaler is deleting it",
}
PREFIXES = tuple(key for key in LEAVING if key.endswith("/"))
# AKS tells of an eviction by a condition rather than a taint.
CONDITIONS = {
    "PreemptScheduled": "Azure is about to take it back",
    "TerminateScheduled": "Azure is about to take it back",
}
# A kubelet registers its node before it is Ready. Where Ready has been False since then, within
# these seconds, the node is on its way up and not down.
REGISTERS_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class NodeRow:
    name: str
    gpus: int  # allocatable
    ready: bool
    leaving: str | None
    labels: Labels


@dataclass(frozen=True, slots=True)
class GpuPod:
    """A pod that holds GPUs of a node, anybody's, or waits for them."""

    node: str | None
    owner: tuple[str, str] | None
    waiting: str | None


def node_row(item: Any) -> NodeRow:
    """Raises KeyError, TypeError or ValueError for what is no node."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    conditions = {one.get("type"): one for one in status.get("conditions") or ()}
    ready = conditions.get("Ready") or {}
    booting = _booting(metadata, ready)
    labels = metadata.get("labels") or {}
    return NodeRow(
        name=sys.intern(metadata["name"]),
        gpus=gpu_count(status.get("allocatable") or {}),
        ready=ready.get("status") == "True",
        leaving=_leaving(metadata, spec, conditions, booting=booting),
        labels={sys.intern(key): sys.intern(value) for key, value in labels.items()},
    )


def gpu_pod(item: Any) -> GpuPod | None:
    """None for a pod without GPUs: nine of ten are not kept."""
    if not gpus_of(item.get("spec") or {}):
        return None
    pod = pod_of(item)
    if pod.phase in {"Succeeded", "Failed"}:
        return None
    owner = controller(item)
    return GpuPod(
        pod.node,
        None if owner is None else (sys.intern(owner[0]), sys.intern(owner[1])),
        pod.waiting,
    )


def _booting(metadata: Mapping[str, Any], ready: Mapping[str, Any]) -> bool:
    if not ready:
        return True
    created, since = unix(metadata.get("creationTimestamp")), unix(ready.get("lastTransitionTime"))
    if ready.get("status") != "False" or created is None or since is None:
        return False
    return since - created < REGISTERS_WITHIN


def _leaving(
    metadata: Mapping[str, Any],
    spec: Mapping[str, Any],
    conditions: Mapping[Any, Mapping[str, Any]],
    *,
    booting: bool,
) -> str | None:
    """The first sign that holds. What only may happen is none of them: the Cluster Autoscaler's
    DeletionCandidate is most often taken off again.
    """
    if "deletionTimestamp" in metadata:
        return "it is being deleted"
    taints = {_known(one.get("key") or ""): one.get("key") for one in spec.get("taints") or ()}
    readiness = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
    for key, meaning in LEAVING.items():
        if key in taints and not (booting and key in readiness):
            return sys.intern(f"{meaning} (taint {taints[key]})")
    if spec.get("unschedulable"):
        return "cordoned"
    for kind, meaning in CONDITIONS.items():
        if (conditions.get(kind) or {}).get("status") == "True":
            return f"{meaning} (condition {kind})"
    ready = conditions.get("Ready") or {}
    if ready.get("status") == "True" or booting:
        return None
    said = ready.get("message") or ready.get("reason") or ""
    return f"NotReady: {shortened(said)}" if said else "NotReady"


def _known(taint: str) -> str:
    return next((prefix for prefix in PREFIXES if taint.startswith(prefix)), taint)
