"""Node pools on a real API server: their size, their nodes, their owner, and their refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from autoscaler.model import CapacityBuffer, Missing, PlaceholderPods, Pool, ScaledPool, Windows
from autoscaler.observe.cluster import ClusterReading
from autoscaler.observe.port import Readings
from autoscaler.observe.snapshot import join
from tests.contract.observing.world import NOW, World, custom_kind
from tests.testbed.api import Object
from tests.testbed.control_plane import eventually

pytestmark = pytest.mark.real

NODE_POOL = ScaledPool("karpenter.sh/v1", "NodePool", "gpu")
CREATED = 1_000_000_000.0


@pytest.fixture
def karpenter(world: World) -> Iterator[None]:
    """Its kinds; nobody acts on them."""
    plane = world.plane
    with (
        custom_kind(
            plane, "NodePool", "karpenter.sh", "v1", "nodepools", namespaced=False, scale=True
        ),
        custom_kind(plane, "NodeClaim", "karpenter.sh", "v1", "nodeclaims", namespaced=False),
    ):
        yield


@pytest.fixture
def buffers(world: World) -> Iterator[None]:
    group = "autoscaling.x-k8s.io"
    with custom_kind(world.plane, "CapacityBuffer", group, "v1beta1", "capacitybuffers"):
        yield


def node_pool(world: World, spec: Object, status: Object | None = None) -> None:
    body = {"metadata": {"name": "gpu"}, "spec": spec, "kind": "NodePool"}
    path = "/apis/karpenter.sh/v1/nodepools"
    world.plane.api.post(path, {"apiVersion": "karpenter.sh/v1", **body})
    if status:
        world.plane.api.patch(f"{path}/gpu/status", {"status": status})


def false(kind: str, reason: str, message: str) -> Object:
    return {"conditions": [{"type": kind, "status": "False", "reason": reason, "message": message}]}


# --- Karpenter ---------------------------------------------------------------------------------


def test_a_static_node_pool_is_ours_to_size(world: World, karpenter: None) -> None:
    node_pool(world, {"replicas": 2})
    nodes = world.kwok.add_gpu_nodes(2, labels={"karpenter.sh/nodepool": "gpu", "only": "us"})
    try:
        body = world.deployment(1, gpus=3)
        body["spec"]["template"]["spec"]["nodeSelector"] = {"only": "us"}
        world.plane.apply(json.dumps(body))
        world.await_ready(1)
        pool = world.pool(NODE_POOL)
    finally:
        for name in nodes:
            world.kwok.remove_node(name)
    assert (pool.size, pool.owner, pool.refusal) == (2, None, None)
    assert pool.resource_version is not None
    assert [node.name for node in pool.nodes] == sorted(nodes)
    assert {(node.gpus, node.ready, node.leaving) for node in pool.nodes} == {(8, True, None)}
    assert sorted(node.gpu_pods for node in pool.nodes) == [0, 1]


def test_a_node_pool_that_karpenter_sizes_is_never_ours(world: World, karpenter: None) -> None:
    node_pool(world, {"limits": {"cpu": "100"}})
    owner = world.pool(NODE_POOL).owner
    assert owner == "NodePool gpu: Karpenter sizes it itself: it has no spec.replicas"


def test_dynamo_14251_a_pool_that_brings_nothing_says_why(world: World, karpenter: None) -> None:
    """It waited for ever on pods that no node could hold, and did not say so."""
    node_pool(world, {"replicas": 2}, false("NodeClassReady", "NodeClassNotFound", "no such"))
    assert world.pool(NODE_POOL).refusal == "NodeClassReady is False: NodeClassNotFound: no such"


def test_a_machine_that_could_not_be_had_is_the_pools_refusal(
    world: World, karpenter: None
) -> None:
    node_pool(world, {"replicas": 2})
    path = "/apis/karpenter.sh/v1/nodeclaims"
    body = {"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "spec": {}}
    for name in ("gpu-a", "gpu-b"):
        labels = {"karpenter.sh/nodepool": "gpu"}
        world.plane.api.post(path, {**body, "metadata": {"name": name, "labels": labels}})
    failed = {"type": "Launched", "status": "Unknown", "reason": "LaunchFailed"}
    waits = {"type": "Launched", "status": "Unknown", "reason": "AwaitingReconciliation"}
    for name, condition in (("gpu-a", waits), ("gpu-b", waits)):
        world.plane.api.patch(f"{path}/{name}/status", {"status": {"conditions": [condition]}})
    assert world.pool(NODE_POOL).refusal is None, "they are on their way"
    failed["message"] = "insufficient capacity for p5.48xlarge"
    world.plane.api.patch(f"{path}/gpu-b/status", {"status": {"conditions": [failed]}})
    refusal = world.pool(NODE_POOL).refusal
    assert refusal == "LaunchFailed: insufficient capacity for p5.48xlarge"


def test_a_pool_that_is_not_there_is_missing_and_never_of_size_0(world: World) -> None:
    policy = world.policy(NODE_POOL)
    absent = world.read_pools(policy).pools[policy.key]
    assert isinstance(absent, Missing)
    assert "NodePool" in absent.missing


def test_a_pool_by_another_name_is_missing_too(world: World, karpenter: None) -> None:
    policy = world.policy(NODE_POOL)
    absent = world.read_pools(policy).pools[policy.key]
    assert absent == Missing("NodePool gpu is not there: see `kubectl get NodePool`")


# --- Cluster API -------------------------------------------------------------------------------


def test_a_machine_deployment_under_the_cluster_autoscaler_is_never_ours(world: World) -> None:
    group, plural = "cluster.x-k8s.io", "machinedeployments"
    driver = ScaledPool(
        f"{group}/v1beta1", "MachineDeployment", "gpu", world.namespace, {"pool": "gpu"}
    )
    with custom_kind(world.plane, "MachineDeployment", group, "v1beta1", plural, scale=True):
        path = world.path(plural, group=f"/apis/{group}/v1beta1")
        body: Object = {"apiVersion": f"{group}/v1beta1", "kind": "MachineDeployment"}
        body |= {"metadata": {"name": "gpu"}, "spec": {"replicas": 3}}
        world.plane.api.post(path, body)
        pool = world.pool(driver)
        assert (pool.size, pool.owner) == (3, None)
        key = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size"
        world.plane.api.patch(f"{path}/gpu", {"metadata": {"annotations": {key: "10"}}})
        owner = world.pool(driver).owner
        assert owner is not None
        assert owner.endswith(f"the Cluster Autoscaler may size it up to 10 (annotation {key})")
        unlabelled = ScaledPool(f"{group}/v1beta1", "MachineDeployment", "gpu", world.namespace)
        policy = world.policy(unlabelled)
        assert "nodeSelector" in str(world.read_pools(policy).pools[policy.key])


# --- CapacityBuffer and placeholders -----------------------------------------------------------


def buffer(world: World, *conditions: Object, replicas: int = 2) -> None:
    path = world.path("capacitybuffers", group="/apis/autoscaling.x-k8s.io/v1beta1")
    ref = {"apiGroup": "apps", "kind": "Deployment", "name": "flower"}
    body: Object = {"apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer"}
    body |= {
        "metadata": {"name": "flower-spare"},
        "spec": {"scalableRef": ref, "replicas": replicas},
    }
    world.plane.api.post(path, body)
    if conditions:
        status = {"status": {"conditions": list(conditions)}}
        world.plane.api.patch(f"{path}/flower-spare/status", status)


def joined(world: World, **changes: Any) -> Pool:
    policy = world.policy(CapacityBuffer("flower-spare"))
    readings = Readings(NOW, Windows(), "prometheus", {})
    cluster = ClusterReading({world.flower: world.read()})
    pools = world.read_pools(policy, **changes)
    pool = join([policy], readings, cluster, NOW, pools)[policy.key].pool
    assert isinstance(pool, Pool), pool
    return pool


READY = {"type": "ReadyForProvisioning", "status": "True", "reason": "Resolved", "message": "ok"}
FITS = {
    "type": "Provisioning",
    "status": "True",
    "reason": "FitsExistingCapacity",
    "message": "All 2 virtual pods fit on existing capacity",
}


def test_a_buffer_that_is_not_there_yet_is_of_size_0(world: World, buffers: None) -> None:
    world.deploy(1)
    pool = joined(world)
    assert (pool.size, pool.owner, pool.refusal) == (0, None, None)


def test_a_buffer_of_limits_without_requests_buys_nothing_and_that_is_said(
    world: World, buffers: None
) -> None:
    """Karpenter finds room for two pods that need nothing: `fit on existing capacity`."""
    world.deploy(1)
    buffer(world, READY, FITS)
    refusal = joined(world).refusal
    assert refusal is not None
    assert refusal.startswith("All 2 virtual pods fit on existing capacity: its pod template names")
    assert "add resources.requests" in refusal


def test_a_buffer_with_requests_that_fits_is_well(world: World, buffers: None) -> None:
    world.deploy(1, requests=True)
    world.await_ready(1)
    buffer(world, READY, FITS)
    pool = joined(world)
    assert (pool.size, pool.refusal) == (2, None)
    assert [node.name for node in pool.nodes] == [world.read().pods[0].node]


@pytest.mark.parametrize(
    ("reason", "message", "refused"),
    [
        ("RequiresNewCapacity", "2/2 virtual pods required new capacity, 0 failed", False),
        ("RequiresNewCapacity", "0/2 virtual pods required new capacity, 2 failed", True),
    ],
)
def test_a_buffer_that_is_still_buying_refuses_nothing(
    world: World, buffers: None, reason: str, message: str, refused: bool
) -> None:
    world.deploy(1, requests=True)
    condition = {"type": "Provisioning", "status": "False", "reason": reason, "message": message}
    buffer(world, READY, condition)
    assert joined(world).refusal == (f"{reason}: {message}" if refused else None)


def test_ksail_5277_a_buffer_on_which_nobody_acts_is_told(world: World, buffers: None) -> None:
    """The feature is off by default on both autoscalers, and then there is only silence."""
    world.deploy(1, requests=True)
    buffer(world)
    assert joined(world, now=CREATED).refusal is None, "it is new"
    later = 4_000_000_000.0
    refusal = joined(world, now=later).refusal
    assert refusal is not None
    assert refusal.startswith("nobody acts on it: Karpenter needs its feature gate CapacityBuffer")


def test_placeholders_without_a_node_say_so_in_the_schedulers_words(world: World) -> None:
    world.plane.apply(json.dumps(world.deployment(2, name="flower-spare", gpus=64)))
    driver = PlaceholderPods("flower-spare", "spare", "pause")
    eventually(lambda: world.pool(driver).refusal, "a refusal", within_s=60.0)
    pool = world.pool(driver)
    assert pool.size == 2
    assert str(pool.refusal).startswith("Unschedulable: 0/")


# --- nodes -------------------------------------------------------------------------------------


def test_karpenter_7414_a_node_that_is_being_taken_is_told_at_once(
    world: World, karpenter: None
) -> None:
    """A node was killed in the middle of a long image pull; nobody had counted it as going."""
    node_pool(world, {"replicas": 3})
    names = world.kwok.add_gpu_nodes(3, labels={"karpenter.sh/nodepool": "gpu"})
    try:
        taints = (
            "karpenter.sh/disrupted:NoSchedule",
            "cloud.google.com/impending-node-termination=true:NoSchedule",
            "DeletionCandidateOfClusterAutoscaler=1:PreferNoSchedule",
        )
        for name, taint in zip(names, taints, strict=True):
            world.plane.kubectl("taint", "node", name, taint)
        leaving = {node.name: node.leaving for node in world.pool(NODE_POOL).nodes}
    finally:
        for name in names:
            world.kwok.remove_node(name)
    assert leaving == {
        names[0]: "Karpenter is taking it away (taint karpenter.sh/disrupted)",
        names[1]: "Google is about to take it back "
        "(taint cloud.google.com/impending-node-termination)",
        names[2]: None,
    }
