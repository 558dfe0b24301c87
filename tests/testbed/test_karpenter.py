"""Karpenter of the test bed buys and returns nodes as the stories built on it take for granted."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.karpenter import NODE_POOLS, Karpenter
from tests.testbed.kwok import GPU, READY_AFTER

pytestmark = pytest.mark.real

# Emptiness is looked for every 10 s and looked at again 15 s later.
NODES_GO_WITHIN_S = 90.0


@pytest.fixture
def pool(karpenter: Karpenter, fresh_namespace: str) -> Iterator[str]:
    """A name of its own for the pool of one test."""
    yield fresh_namespace
    karpenter.remove_pool(fresh_namespace)


def _deployment(namespace: str, replicas: int, placement: dict[str, Any], **more: Any) -> str:
    labels = {"app": "flower"}
    triton = {"name": "triton", "image": "triton", "resources": {"limits": {GPU: 1}}}
    template = {
        "metadata": {"labels": labels, **more},
        "spec": {"containers": [triton], **placement},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    kind = {"apiVersion": "apps/v1", "kind": "Deployment"}
    return json.dumps(
        {**kind, "metadata": {"namespace": namespace, "name": "flower"}, "spec": spec}
    )


def _ready_pods(plane: ControlPlane, namespace: str) -> int:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/flower"
    count: int = plane.api.get(path).get("status", {}).get("readyReplicas", 0)
    return count


def _await_nodes(karpenter: Karpenter, pool: str, count: int) -> None:
    eventually(lambda: len(karpenter.ready_nodes(pool)) == count, f"{count} nodes")
    eventually(lambda: len(karpenter.nodes(pool)) == count, f"no more than {count} nodes")


def test_two_pending_gpu_pods_become_two_nodes_that_go_when_they_are_empty(
    control_plane: ControlPlane, karpenter: Karpenter, pool: str, fresh_namespace: str
) -> None:
    karpenter.add_pool(pool)
    control_plane.apply(_deployment(fresh_namespace, 2, karpenter.placement(pool)))
    eventually(lambda: _ready_pods(control_plane, fresh_namespace) == 2, "two Ready pods")
    _await_nodes(karpenter, pool, 2)
    control_plane.kubectl("scale", "deployment/flower", "--replicas=0", "-n", fresh_namespace)
    eventually(lambda: not karpenter.nodes(pool), "no node", within_s=NODES_GO_WITHIN_S)


def test_a_static_pool_follows_its_scale_subresource(
    control_plane: ControlPlane, karpenter: Karpenter, pool: str
) -> None:
    karpenter.add_static_pool(pool, 1)
    for nodes in (2, 1):
        control_plane.kubectl("scale", f"nodepool/{pool}", f"--replicas={nodes}")
        _await_nodes(karpenter, pool, nodes)
    # What it reports lags behind what there is.
    scale = f"{NODE_POOLS}/{pool}/scale"
    eventually(lambda: control_plane.api.get(scale)["status"]["replicas"] == 1, "1 in its status")


def test_a_machine_and_a_model_take_as_long_as_they_are_told_to(
    control_plane: ControlPlane, karpenter: Karpenter, pool: str, fresh_namespace: str
) -> None:
    karpenter.add_pool(pool, node_after="4s")
    slow = {READY_AFTER: "3s"}
    placement = karpenter.placement(pool)
    control_plane.apply(_deployment(fresh_namespace, 1, placement, annotations=slow))

    def phase() -> str:
        pods = control_plane.api.get(f"/api/v1/namespaces/{fresh_namespace}/pods")["items"]
        return str(pods[0]["status"]["phase"]) if pods else ""

    claims = "/apis/karpenter.sh/v1/nodeclaims"
    eventually(lambda: control_plane.api.get(claims)["items"], "a machine that was asked for")
    assert not karpenter.nodes(pool)
    assert phase() == "Pending"
    eventually(lambda: phase() == "Running", "a pod that loads")
    assert _ready_pods(control_plane, fresh_namespace) == 0
    eventually(lambda: _ready_pods(control_plane, fresh_namespace) == 1, "a Ready pod")


def test_a_pool_at_its_limit_buys_nothing_more_and_the_pod_says_so(
    control_plane: ControlPlane, karpenter: Karpenter, pool: str, fresh_namespace: str
) -> None:
    karpenter.add_pool(pool, gpu_limit=1)
    control_plane.apply(_deployment(fresh_namespace, 2, karpenter.placement(pool)))
    eventually(lambda: _ready_pods(control_plane, fresh_namespace) == 1, "one Ready pod")

    def said() -> str:
        events = control_plane.api.get(f"/api/v1/namespaces/{fresh_namespace}/events")["items"]
        return " ".join(event.get("message", "") for event in events)

    eventually(lambda: "would exceed limit" in said() or "limits" in said(), "Karpenter's refusal")
    assert len(karpenter.nodes(pool)) == 1
