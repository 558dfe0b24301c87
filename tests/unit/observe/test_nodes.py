"""Nodes: what is about to be lost, what is on its way, and what only may happen."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.observe.node_rows import NodeRow, gpu_pod, node_row


def at(minutes: int) -> str:
    return f"2026-11-21T08:{minutes:02d}:00Z"


def node(*taints: str, ready: str = "True", since: int = 1, **changes: Any) -> NodeRow:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": at(since)}
    condition |= changes.pop("condition", {})
    conditions = [condition, *changes.pop("conditions", [])]
    metadata = {"name": "gpu-1", "creationTimestamp": at(0), **changes.pop("metadata", {})}
    allocatable = {"cpu": "7910m", "nvidia.com/gpu": "8", "nvidia.com/mig-1g.10gb": "2"}
    spec = {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]}
    return node_row(
        {
            "metadata": metadata,
            "spec": spec | changes,
            "status": {"allocatable": allocatable, "conditions": conditions},
        }
    )


def test_gpus_are_what_can_be_given_out() -> None:
    seen = node()
    assert (seen.name, seen.gpus, seen.ready, seen.leaving) == ("gpu-1", 10, True, None)


@pytest.mark.parametrize(
    ("taint", "said"),
    [
        ("node.kubernetes.io/unschedulable", "cordoned"),
        ("node.kubernetes.io/unreachable", "out of reach"),
        ("karpenter.sh/disrupted", "Karpenter is taking it away"),
        ("karpenter.sh/disruption", "Karpenter is taking it away"),
        ("cloud.google.com/impending-node-termination", "Google is about to take it back"),
        ("aws-node-termination-handler/spot-itn", "AWS is about to take it back"),
        ("aws-node-termination-handler/rebalance-recommendation", "AWS is about to take it back"),
        ("ToBeDeletedByClusterAutoscaler", "the Cluster Autoscaler is deleting it"),
    ],
)
def test_a_node_that_is_leaving_says_how(taint: str, said: str) -> None:
    assert node(taint).leaving == f"{said} (taint {taint})"


@pytest.mark.parametrize(
    "taint",
    [
        "DeletionCandidateOfClusterAutoscaler",
        "nvidia.com/gpu",
        "kubernetes.azure.com/scalesetpriority",
        "cloud.google.com/gke-spot",
    ],
)
def test_what_only_may_happen_is_not_leaving(taint: str) -> None:
    assert node(taint).leaving is None


def test_a_node_that_boots_is_on_its_way_and_not_lost() -> None:
    """A kubelet registers a node before it is Ready: counted as going, each new node would raise
    the replicas once more.
    """
    booting = node("node.kubernetes.io/not-ready", ready="False", since=0)
    assert (booting.ready, booting.leaving) == (False, None)
    bare = node_row({"metadata": {"name": "gpu-1"}, "spec": {}, "status": {}})
    assert (bare.ready, bare.leaving, bare.gpus) == (False, None, 0)


def test_a_node_that_was_ready_and_is_not_is_lost() -> None:
    down = {"message": "Kubelet stopped posting node status."}
    lost = node(ready="Unknown", since=30, condition=down)
    assert lost.leaving == "NotReady: Kubelet stopped posting node status."
    tainted = node("node.kubernetes.io/not-ready", ready="False", since=30)
    assert tainted.leaving == "NotReady (taint node.kubernetes.io/not-ready)"


def test_a_machine_that_died_in_its_boot_is_lost_too() -> None:
    assert node(ready="Unknown", since=0).leaving == "NotReady"


def test_deletion_cordon_and_azures_notice_count() -> None:
    assert node(metadata={"deletionTimestamp": at(9)}).leaving == "it is being deleted"
    assert node(unschedulable=True).leaving == "cordoned"
    notice = {"type": "PreemptScheduled", "status": "True"}
    assert str(node(conditions=[notice]).leaving).startswith("Azure is about to take it back")
    assert node(conditions=[notice | {"status": "False"}]).leaving is None


def test_a_pod_without_gpus_takes_no_memory() -> None:
    def item(count: str, phase: str = "Running") -> Any:
        limits = {"nvidia.com/gpu": count} if count else {"cpu": "1"}
        spec = {"nodeName": "gpu-1", "containers": [{"resources": {"limits": limits}}]}
        return {"metadata": {"name": "a"}, "spec": spec, "status": {"phase": phase}}

    assert gpu_pod(item("")) is None
    assert gpu_pod(item("1", "Succeeded")) is None
    held = gpu_pod(item("1"))
    assert held is not None
    assert held.node == "gpu-1"
