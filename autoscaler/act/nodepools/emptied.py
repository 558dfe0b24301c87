"""Fewer nodes: never one with a busy GPU pod, looked at again right before the write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from autoscaler.act.executor import ActionError
from autoscaler.act.nodepools.calls import Calls, Json, is_placeholder
from autoscaler.model import PoolWish

KARPENTER, CLUSTER_API = "karpenter.sh", "cluster.x-k8s.io"
NODES, PODS = "/api/v1/nodes", "/api/v1/pods"
MACHINE, MACHINE_NAMESPACE = "cluster.x-k8s.io/machine", "cluster.x-k8s.io/cluster-namespace"
# A machine that carries it goes first, whatever the deletePolicy of its set.
DELETE_MACHINE = "cluster.x-k8s.io/delete-machine"
CONCURRENCY = 16


async def check_lowering(
    calls: Calls, wish: PoolWish, selector: str, where: str, *, api_version: str = "", has: int = 0
) -> None:
    """Raises ActionError where a busy node could go. `selector` says which nodes are the pool's,
    `has` how many it has at least by its own word: a mistyped label finds none, and none is busy.
    `api_version` is the pool's, "" of one that takes nodes without a look at the pods.

    Karpenter takes empty nodes first; Cluster API those that are marked, and the empty ones are
    marked here. Example: 3 nodes, 2 busy. 3 → 2 is done; 3 → 1 is not; and GKE's 3 → 2 is not.
    """
    if wish.after >= wish.before:
        return
    nodes = (await calls.look(NODES, f"the nodes of {where}", {"labelSelector": selector}))["items"]
    if len(nodes) < has:
        raise ActionError(
            f"nodeSelector finds {len(nodes)} of {has} nodes of {where}, which is not lowered: "
            "correct nodes.driver.scale.nodeSelector"
        )
    counts = await _gpu_pods(calls, [node["metadata"]["name"] for node in nodes])
    empty = [node for node, count in zip(nodes, counts, strict=True) if not count]
    busy = len(nodes) - len(empty)
    if busy > wish.after:
        raise ActionError(
            f"{where}: {busy} of its nodes have GPU pods on them, {wish.after} cannot carry them; "
            "observed again next tick"
        )
    group = api_version.partition("/")[0]
    if not busy or group == KARPENTER:
        return
    machines = [machine for node in empty if (machine := _machine(node, api_version))]
    if group != CLUSTER_API or len(machines) < wish.before - wish.after:
        raise ActionError(
            f"{where} may take any of its nodes, and {busy} of them have GPU pods on them: it is "
            "lowered once none has; a pool of Karpenter or Cluster API takes empty nodes first"
        )
    going = machines[: wish.before - wish.after]
    # A mark of a lowering that was refused may be on a machine that is busy by now.
    staying = [m for node in nodes if (m := _machine(node, api_version)) and m not in going]
    for machine, mark in [*((m, None) for m in staying), *((m, "true") for m in going)]:
        await calls.merge(machine, {"metadata": {"annotations": {DELETE_MACHINE: mark}}}, where)


async def _gpu_pods(calls: Calls, names: Sequence[str]) -> list[int]:
    """Pods with a GPU that are not over, by node; placeholders of ours may go at any time."""
    places = asyncio.Semaphore(CONCURRENCY)

    async def on(name: str) -> int:
        alive = f"spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed"
        async with places:
            found = await calls.look(PODS, f"the pods on node {name}", {"fieldSelector": alive})
        return sum(_has_gpu(pod) and not is_placeholder(pod) for pod in found["items"])

    return await asyncio.gather(*map(on, names))


def _has_gpu(pod: Json) -> bool:
    """Any resource of NVIDIA's: whole GPUs and MIG slices; or a claim, which may be for one."""
    spec = pod["spec"]
    limits = [(one.get("resources") or {}).get("limits") or {} for one in spec["containers"]]
    named = any(name.startswith("nvidia.com/") for one in limits for name in one)
    return named or bool(spec.get("resourceClaims"))


def _machine(node: Json, api_version: str) -> str | None:
    """The path of Cluster API's Machine behind a node, where the node says it; of the version that
    the pool is asked by: a cluster may have ceased to serve the other.
    """
    said: dict[str, Any] = node["metadata"].get("annotations") or {}
    name, namespace = said.get(MACHINE), said.get(MACHINE_NAMESPACE)
    if not name or not namespace:
        return None
    return f"/apis/{api_version}/namespaces/{namespace}/machines/{name}"
