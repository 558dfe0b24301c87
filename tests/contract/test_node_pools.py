"""The drivers on the real Karpenter: each brings nodes and takes them away again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from autoscaler.act.executor import ActionError
from autoscaler.model import CapacityBuffer, PlaceholderPods, ScaledPool
from tests.contract.pools import gpu_deployment, priority_class, resize, wish
from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.karpenter import NODE_POOLS, Karpenter

pytestmark = pytest.mark.real

# Karpenter looks for empty nodes every 10 s, and again 15 s later before it takes them.
NODES_GO_WITHIN_S = 120.0
NODES_COME_WITHIN_S = 60.0
LOW = "placeholder-of-the-test"


@pytest.fixture
def pool(karpenter: Karpenter, fresh_namespace: str) -> Iterator[str]:
    yield fresh_namespace
    karpenter.remove_pool(fresh_namespace)


@pytest.fixture
def low_priority(control_plane: ControlPlane) -> Iterator[str]:
    control_plane.apply(priority_class(LOW, -1))
    yield LOW
    control_plane.kubectl("delete", "priorityclass", LOW)


def static(name: str) -> ScaledPool:
    return ScaledPool("karpenter.sh/v1", "NodePool", name)


def nodes_of_pods(plane: ControlPlane, namespace: str, app: str) -> list[str]:
    path = f"/api/v1/namespaces/{namespace}/pods"
    pods = plane.api.get(path, labelSelector=f"app={app}")["items"]
    return [pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")]


def await_nodes(karpenter: Karpenter, pool: str, count: int) -> None:
    eventually(
        lambda: len(karpenter.ready_nodes(pool)) == count == len(karpenter.nodes(pool)),
        f"{count} nodes",
        within_s=NODES_GO_WITHIN_S,
    )


async def test_a_buffer_brings_room_for_two_replicas_and_takes_it_away_though_only_limits_are_named(
    control_plane: ControlPlane, karpenter: Karpenter, pool: str, fresh_namespace: str
) -> None:
    karpenter.add_pool(pool)
    placement = karpenter.placement(pool)
    control_plane.apply(gpu_deployment(fresh_namespace, 0, **placement))
    buffer = CapacityBuffer("flower-spare")

    (note,) = await resize(control_plane.kubeconfig, wish(fresh_namespace, buffer, 0, 2))
    assert "Deployment" in note
    assert "nvidia.com/gpu in limits only" in note
    await_nodes(karpenter, pool, 2)

    await resize(control_plane.kubeconfig, wish(fresh_namespace, buffer, 2, 0))
    await_nodes(karpenter, pool, 0)


async def test_a_buffer_on_the_target_itself_buys_nothing_for_limits_alone(
    control_plane: ControlPlane, karpenter: Karpenter, pool: str, fresh_namespace: str
) -> None:
    """Why the driver makes a pod template of its own: the day this fails, it need not."""
    karpenter.add_pool(pool)
    control_plane.apply(gpu_deployment(fresh_namespace, 0, **karpenter.placement(pool)))
    # Without a node there is no capacity that anything could fit on.
    control_plane.apply(
        gpu_deployment(fresh_namespace, 1, name="other", **karpenter.placement(pool))
    )
    await_nodes(karpenter, pool, 1)
    kind = {"apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer"}
    ref = {"apiGroup": "apps", "kind": "Deployment", "name": "flower"}
    metadata = {"namespace": fresh_namespace, "name": "naive"}
    spec = {"scalableRef": ref, "replicas": 2}
    control_plane.apply(json.dumps({**kind, "metadata": metadata, "spec": spec}))

    def said() -> str:
        path = f"/apis/autoscaling.x-k8s.io/v1beta1/namespaces/{fresh_namespace}"
        status = control_plane.api.get(f"{path}/capacitybuffers/naive").get("status", {})
        return " ".join(one["message"] for one in status.get("conditions", []))

    eventually(
        lambda: "All 2 virtual pods fit on existing capacity" in said(),
        "Karpenter's word",
        within_s=NODES_COME_WITHIN_S,
    )
    assert len(karpenter.nodes(pool)) == 1


async def test_a_replica_pushes_a_placeholder_out_and_starts_on_its_node_at_once(
    control_plane: ControlPlane,
    karpenter: Karpenter,
    pool: str,
    fresh_namespace: str,
    low_priority: str,
) -> None:
    karpenter.add_pool(pool)
    control_plane.apply(gpu_deployment(fresh_namespace, 0, **karpenter.placement(pool)))
    driver = PlaceholderPods("flower-spare", low_priority, "registry.k8s.io/pause:3.10")
    assert not await resize(control_plane.kubeconfig, wish(fresh_namespace, driver, 0, 1))
    await_nodes(karpenter, pool, 1)
    path = f"/apis/apps/v1/namespaces/{fresh_namespace}/deployments/flower-spare"

    def held() -> bool:
        return bool(control_plane.api.get(path)["status"].get("readyReplicas"))

    eventually(held, "a placeholder that runs")
    (warm,) = karpenter.ready_nodes(pool)

    control_plane.kubectl("scale", "deployment/flower", "--replicas=1", "-n", fresh_namespace)
    eventually(
        lambda: nodes_of_pods(control_plane, fresh_namespace, "flower") == [warm],
        "a replica on the warm node",
    )
    # The placeholder waits for the next node, so that the next replica finds one, too.
    await_nodes(karpenter, pool, 2)

    await resize(control_plane.kubeconfig, wish(fresh_namespace, driver, 1, 0))
    await_nodes(karpenter, pool, 1)
    assert nodes_of_pods(control_plane, fresh_namespace, "flower") == [warm]


async def test_a_static_pool_goes_up_and_down_and_its_busy_node_stays(
    control_plane: ControlPlane, karpenter: Karpenter, pool: str, fresh_namespace: str
) -> None:
    karpenter.add_static_pool(pool, 1)
    control_plane.apply(gpu_deployment(fresh_namespace, 1, **karpenter.placement(pool)))
    eventually(
        lambda: len(nodes_of_pods(control_plane, fresh_namespace, "flower")) == 1, "a replica"
    )
    (busy,) = nodes_of_pods(control_plane, fresh_namespace, "flower")

    await resize(control_plane.kubeconfig, wish(fresh_namespace, static(pool), 1, 3))
    await_nodes(karpenter, pool, 3)
    await resize(control_plane.kubeconfig, wish(fresh_namespace, static(pool), 3, 1))
    await_nodes(karpenter, pool, 1)
    assert karpenter.ready_nodes(pool) == [busy]

    # Decided before the replica came: looked at again, it is not done.
    with pytest.raises(ActionError, match="1 of its nodes have GPU pods on them, 0 cannot carry"):
        await resize(control_plane.kubeconfig, wish(fresh_namespace, static(pool), 1, 0))
    assert karpenter.ready_nodes(pool) == [busy]


async def test_a_pool_that_karpenter_sizes_itself_is_never_resized(
    control_plane: ControlPlane, karpenter: Karpenter, pool: str, fresh_namespace: str
) -> None:
    karpenter.add_pool(pool)
    action = wish(fresh_namespace, static(pool), 0, 2)
    with pytest.raises(ActionError, match=r"Karpenter sizes it itself.*capacityBuffer"):
        await resize(control_plane.kubeconfig, action)
    assert "replicas" not in control_plane.api.get(f"{NODE_POOLS}/{pool}")["spec"]


async def test_a_static_pool_that_somebody_else_resized_is_left_to_them(
    control_plane: ControlPlane, karpenter: Karpenter, pool: str, fresh_namespace: str
) -> None:
    karpenter.add_static_pool(pool, 1)
    control_plane.kubectl("scale", f"nodepool/{pool}", "--replicas=2")
    await_nodes(karpenter, pool, 2)
    with pytest.raises(ActionError, match=r"was of size 1 .* and is 2 now: somebody else changed"):
        await resize(control_plane.kubeconfig, wish(fresh_namespace, static(pool), 1, 4))
    assert control_plane.api.get(f"{NODE_POOLS}/{pool}")["spec"]["replicas"] == 2


async def test_a_dry_run_is_checked_by_the_api_server_and_changes_nothing(
    control_plane: ControlPlane,
    karpenter: Karpenter,
    pool: str,
    fresh_namespace: str,
    low_priority: str,
) -> None:
    karpenter.add_static_pool(pool, 1)
    control_plane.apply(gpu_deployment(fresh_namespace, 0))
    drivers: list[Any] = [
        CapacityBuffer("flower-spare"),
        PlaceholderPods("flower-spare", low_priority, "pause"),
    ]
    for driver in drivers:
        action = wish(fresh_namespace, driver, 0, 1)
        await resize(control_plane.kubeconfig, action, dry_run=True)
    action = wish(fresh_namespace, static(pool), 1, 2)
    await resize(control_plane.kubeconfig, action, dry_run=True)

    found = control_plane.kubectl(
        *("get", "capacitybuffers,podtemplates,deployments", "-n", fresh_namespace, "-o", "name")
    )
    assert found.split() == ["deployment.apps/flower"]
    assert control_plane.api.get(f"{NODE_POOLS}/{pool}")["spec"]["replicas"] == 1
