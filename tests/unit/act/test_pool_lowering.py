"""Nodes that are taken away: which are the pool's, and which of its machines go first."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.act.executor import ActionError
from autoscaler.model import ScaledPool
from tests.unit.act.test_node_pools import POOL, Server, resize, static_pool

LABELLED = ScaledPool("karpenter.sh/v1", "NodePool", "gpu", node_selector={"pool": "gpu"})
MACHINES = "/apis/cluster.x-k8s.io/v1beta2/namespaces/ml/machines"
DEPLOYMENT = "/apis/cluster.x-k8s.io/v1beta2/namespaces/ml/machinedeployments/gpu"
CAPI = ScaledPool("cluster.x-k8s.io/v1beta2", "MachineDeployment", "gpu", "ml", {"pool": "gpu"})
GPU_POD = {
    "metadata": {},
    "spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": 1}}}]},
}


class Labelled(Server):
    """Nodes that the selector finds, each with so many GPU pods."""

    def __init__(self, objects: dict[str, Any], **nodes: int) -> None:
        super().__init__(**objects)
        self.nodes = nodes

    async def get(self, path: str, query: Any = None, within: float = 5.0) -> Any:
        if path == "/api/v1/nodes":
            return {"items": [self._node(name) for name in self.nodes]}
        if path == "/api/v1/pods":
            name = query["fieldSelector"].partition(",")[0].removeprefix("spec.nodeName=")
            return {"items": [GPU_POD] * self.nodes[name]}
        return await super().get(path, query, within)

    def _node(self, name: str) -> Any:
        known = {
            "cluster.x-k8s.io/machine": f"m-{name}",
            "cluster.x-k8s.io/cluster-namespace": "ml",
        }
        return {"metadata": {"name": name, "annotations": known}}


def machine_deployment(size: int, **status: int) -> dict[str, Any]:
    """`status` is the Scale's `replicas` and the object's own `readyReplicas`."""
    api_version = "cluster.x-k8s.io/v1beta2"
    pool = {"apiVersion": api_version, "kind": "MachineDeployment", "metadata": {"name": "gpu"}}
    scale = {"metadata": {"resourceVersion": "7"}, "spec": {"replicas": size}}
    return {
        DEPLOYMENT: pool | {"status": status},
        f"{DEPLOYMENT}/scale": scale | {"status": status},
    }


async def refused(server: Server, driver: ScaledPool, before: int, after: int) -> str:
    with pytest.raises(ActionError) as caught:
        await resize(server, driver, before, after)
    assert server.writes == []
    return str(caught.value)


async def test_a_mistyped_label_deletes_no_busy_nodes() -> None:
    """Nodes that are not found have no GPU pods, by the looks of it: 3 → 0 was written."""
    said = await refused(Labelled(machine_deployment(3, replicas=3)), CAPI, 3, 0)
    assert said.startswith("nodeSelector finds 0 of 3 nodes of MachineDeployment ml/gpu")
    assert said.endswith("correct nodes.driver.scale.nodeSelector")


async def test_a_label_that_only_some_nodes_of_a_node_pool_have_deletes_none() -> None:
    objects = static_pool(3).objects
    objects[POOL]["status"] = {"nodes": 3}
    said = await refused(Labelled(objects, a=0), LABELLED, 3, 1)
    assert said.startswith("nodeSelector finds 1 of 3 nodes of NodePool gpu")


async def test_machines_that_never_became_nodes_are_given_up() -> None:
    """4 asked for, 2 came: the label is right, though there are 4 machines."""
    objects = machine_deployment(4, replicas=4, readyReplicas=2)
    server = Labelled(objects, a=0, b=0)
    await resize(server, CAPI, 4, 2)
    assert server.writes[-1][2]["spec"] == {"replicas": 2}


async def test_a_cluster_that_serves_only_v1beta2_is_told_which_machine_is_empty() -> None:
    objects = machine_deployment(3, replicas=3, readyReplicas=3)
    server = Labelled(objects, a=1, b=0, c=1)
    await resize(server, CAPI, 3, 2)
    marked = {
        path: body["metadata"]["annotations"]["cluster.x-k8s.io/delete-machine"]
        for method, path, body in server.writes
        if method == "PATCH"
    }
    assert marked == {
        f"{MACHINES}/m-a": None,
        f"{MACHINES}/m-b": "true",
        f"{MACHINES}/m-c": None,
    }
    assert server.writes[-1][0:2] == ("PUT", f"{DEPLOYMENT}/scale")
