"""The join with the pools: whose nodes go, what the pool holds, and what a buffer really buys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoscaler.model import (
    Bounds,
    CapacityBuffer,
    Demand,
    Hands,
    Missing,
    Node,
    Nodes,
    Observation,
    Pod,
    Policy,
    Pool,
    Replicas,
    ScaledPool,
    Sla,
    Target,
    Windows,
)
from autoscaler.observe.cluster import ClusterReading, TargetReading
from autoscaler.observe.pools import PoolReadings
from autoscaler.observe.port import Readings
from autoscaler.observe.snapshot import join

NOW = 1_795_248_926.0
FLOWER = Target("default", "flower")
KEY = "default/flower"
BUFFER, STATIC = CapacityBuffer("flower-spare"), ScaledPool("karpenter.sh/v1", "NodePool", "gpu")


def seen(
    *pods: Pod,
    pools: PoolReadings | None = None,
    nodes: Nodes | None = None,
    target: Missing | None = None,
    **changes: Any,
) -> Observation:
    reading = TargetReading(Replicas(len(pods), len(pods)), pods, "app=flower")
    policy = Policy("default", "flower", FLOWER, Bounds(1, 7), Sla(0.05), (Demand(),), nodes=nodes)
    cluster = ClusterReading({FLOWER: target or replace(reading, **changes)})
    readings = Readings(NOW, Windows(), "prometheus", {})
    return join([policy], readings, cluster, NOW, pools)[KEY]


def on(node: str, name: str = "flower-a", **changes: Any) -> Pod:
    return Pod(name, node=node, scheduled_at=NOW - 600, **changes)


NODES = {
    "gpu-1": Node("gpu-1", 8, leaving="cordoned"),
    "gpu-2": Node("gpu-2", 8),
    "gpu-3": Node("gpu-3", 8),
}


def test_a_pod_leaves_with_its_node() -> None:
    found = seen(on("gpu-1"), on("gpu-2", "flower-b"), pools=PoolReadings(nodes=NODES))
    assert [pod.leaving for pod in found.pods] == ["its node gpu-1: cordoned", None]
    assert "1 pod about to be lost: flower-a" in found.notes


def test_a_node_that_is_gone_takes_its_pods_along() -> None:
    (pod,) = seen(on("gpu-9"), pools=PoolReadings(nodes=NODES)).pods
    assert pod.leaving == "its node gpu-9 is gone"


def test_a_node_too_new_to_be_known_is_not_gone() -> None:
    """Pods and nodes are told of over two watches: the pod's may be the first."""
    fresh = replace(on("gpu-9"), scheduled_at=NOW - 2)
    (pod,) = seen(fresh, pools=PoolReadings(nodes=NODES)).pods
    assert pod.leaving is None


def test_where_nodes_may_not_be_read_no_pod_is_said_to_leave() -> None:
    assert seen(on("gpu-1"), pools=PoolReadings(nodes=None)).pods[0].leaving is None
    assert seen(on("gpu-1")).pods[0].leaving is None


def test_what_the_pod_says_itself_comes_first() -> None:
    pod = on("gpu-1", leaving="EvictionByEvictionAPI: evicting")
    (found,) = seen(pod, pools=PoolReadings(nodes=NODES)).pods
    assert found.leaving == "EvictionByEvictionAPI: evicting"


def test_all_that_is_known_of_a_pod_comes_through() -> None:
    pod = Pod("flower-a", image="triton:1", gpus=2, scheduled_at=1.0, started_at=2.0, ready_at=3.0,
              waiting="x", leaving="y", deletion_cost=-5)  # fmt: skip
    (found,) = seen(pod).pods
    assert replace(found, models=(), duty_cycle=pod.duty_cycle, gpu_power=pod.gpu_power) == pod


def test_hands_come_through_and_a_refusal_is_noted() -> None:
    hands = Hands(refused="exceeded quota: gpus")
    found = seen(on("gpu-2"), hands=hands)
    assert found.hands == hands
    assert "Kubernetes makes no more pods: exceeded quota: gpus" in found.notes


def test_a_policy_without_a_pool_has_none() -> None:
    assert seen(on("gpu-2"), pools=PoolReadings(nodes=NODES)).pool is None
    assert seen(on("gpu-2"), nodes=Nodes(None), pools=PoolReadings(nodes=NODES)).pool is None
    assert seen(on("gpu-2"), nodes=Nodes(STATIC)).pool is None, "recorded time has no pools"


def test_a_pool_that_was_not_read_is_missing() -> None:
    found = seen(on("gpu-2"), nodes=Nodes(STATIC, fallback=BUFFER), pools=PoolReadings())
    assert found.pool == found.fallback == Missing("its node pool was not read")


def test_a_pool_sized_in_nodes_keeps_its_own_and_a_buffer_has_those_under_the_pods() -> None:
    own = Pool(1, nodes=(NODES["gpu-3"],))
    pools = PoolReadings({KEY: own}, {KEY: Pool(2)}, NODES)
    found = seen(on("gpu-1"), nodes=Nodes(STATIC, fallback=BUFFER), pools=pools)
    assert found.pool == own
    assert found.fallback == Pool(2, nodes=(NODES["gpu-1"],))
    blind = PoolReadings({KEY: Pool(2)})
    assert seen(on("gpu-1"), nodes=Nodes(BUFFER), pools=blind).pool == Pool(2)


def test_a_target_that_cannot_be_read_has_its_pool_all_the_same() -> None:
    pools = PoolReadings({KEY: Pool(2)}, nodes=NODES)
    assert seen(target=Missing("403"), nodes=Nodes(BUFFER), pools=pools).pool == Pool(2)


def test_a_buffer_that_fits_is_refused_only_where_its_pods_need_nothing() -> None:
    def refusal(size: int = 2, fits: dict[str, str] | None = None, **changes: Any) -> str | None:
        said = {KEY: "All 2 fit"} if fits is None else fits
        pools = PoolReadings({KEY: Pool(size)}, nodes=NODES, fits=said)
        pool = seen(on("gpu-2"), nodes=Nodes(BUFFER), pools=pools, **changes).pool
        assert isinstance(pool, Pool)
        return pool.refusal

    assert str(refusal(unrequested=True)).startswith("All 2 fit: its pod template names GPUs")
    assert refusal(unrequested=False) is None
    assert refusal(unrequested=True, fits={}) is None
    assert refusal(unrequested=True, size=0) is None
