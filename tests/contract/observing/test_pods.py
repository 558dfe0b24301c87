"""A pod's way to Ready and what stands in it, from a real scheduler and kwok's nodes."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.model import CapacityBuffer, Pod, ScaledPool, Windows
from autoscaler.observe.cluster import ClusterReading
from autoscaler.observe.port import Readings
from autoscaler.observe.snapshot import join
from tests.contract.observing.world import NOW, World
from tests.testbed.control_plane import eventually
from tests.testbed.kwok import READY_AFTER

pytestmark = pytest.mark.real


def only(world: World) -> Pod:
    (pod,) = world.read().pods
    return pod


def test_the_way_to_ready_is_told_in_its_parts(world: World) -> None:
    world.deploy(1, gpus=2, annotations={READY_AFTER: "2s"})
    loading = world.await_reading(
        lambda seen: seen.pods and seen.pods[0].started_at, "a pod that runs"
    ).pods[0]
    assert loading.waiting is None or loading.waiting.startswith("running, not Ready")
    world.await_ready(1)
    pod = only(world)
    assert pod.waiting is None
    assert pod.gpus == 2
    assert pod.image == "tritonserver:24.10", "not the sidecar's"
    assert pod.created_at is not None
    assert pod.scheduled_at is not None
    assert pod.started_at is not None
    assert pod.ready_at is not None
    assert pod.created_at <= pod.scheduled_at <= pod.started_at < pod.ready_at


def test_a_pod_without_a_node_says_why_in_the_schedulers_words(world: World) -> None:
    world.deploy(1, gpus=64)
    pod = world.await_reading(
        lambda seen: seen.pods and "Unschedulable" in (seen.pods[0].waiting or ""), "the verdict"
    ).pods[0]
    assert pod.waiting is not None
    assert pod.waiting.startswith("Unschedulable: 0/")
    assert "Insufficient nvidia.com/gpu" in pod.waiting
    assert (pod.node, pod.scheduled_at, pod.started_at, pod.ready_at) == (None, None, None, None)


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling x"}}},
            "ImagePullBackOff (container triton): Back-off pulling x",
        ),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
                "restartCount": 7,
            },
            "CrashLoopBackOff (container triton, 7 restarts, last ended by OOMKilled (exit 137))",
        ),
    ],
)
def test_a_container_that_does_not_come_up_says_why(
    world: World, statuses: dict[str, Any], said: str
) -> None:
    """Kubernetes accepts the status as a kubelet would write it, and both readers tell it."""
    world.deploy(1, annotations={READY_AFTER: "1h"})
    eventually(lambda: only_status(world).get("phase") == "Running", "the pod runs")
    name = world.pods()[0]["metadata"]["name"]
    container = {"name": "triton", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    path = f"{world.path('pods', name, '/api/v1')}/status"
    world.plane.api.patch(path, {"status": {"containerStatuses": [container | statuses]}})
    pod = only(world)
    assert pod.waiting == said
    assert pod.started_at is None


def only_status(world: World) -> dict[str, Any]:
    pods = world.pods()
    return dict(pods[0].get("status") or {}) if pods else {}


def test_the_deletion_cost_that_we_wrote_is_read_back(world: World) -> None:
    world.deploy(1)
    world.await_ready(1)
    name = world.pods()[0]["metadata"]["name"]
    world.kubectl("annotate", "pod", name, "controller.kubernetes.io/pod-deletion-cost=-100")
    assert only(world).deletion_cost == -100


def test_the_pods_of_a_drained_node_are_told_before_they_are_gone(world: World) -> None:
    world.deploy(1)
    world.await_ready(1)
    node = only(world).node
    assert node is not None
    policy = world.policy(None)
    assert _leaving(world) is None
    try:
        world.plane.kubectl("cordon", node)
        said = f"its node {node}: cordoned (taint node.kubernetes.io/unschedulable)"
        assert _leaving(world) == said
        assert world.read_pools(policy).pools == {}
    finally:
        world.plane.kubectl("uncordon", node)
    assert _leaving(world) is None


def _leaving(world: World) -> str | None:
    """What the join makes of the pod."""
    policy = world.policy(None)
    readings = Readings(NOW, Windows(), "prometheus", {})
    cluster = ClusterReading({world.flower: world.read()})
    seen = join([policy], readings, cluster, NOW, world.read_pools(policy))[policy.key]
    return seen.pods[0].leaving


def test_who_only_watches_asks_nothing_of_the_nodes(world: World) -> None:
    found = world.read_pools(world.policy(None, mode="observe"))
    assert found.nodes is None


def test_nodes_that_may_not_be_listed_are_missing_and_not_none(world: World) -> None:
    kubeconfig = world.plane.kubeconfig_for(service_account=f"{world.namespace}/default")
    driver = ScaledPool("karpenter.sh/v1", "NodePool", "gpu")
    policy = world.policy(driver)
    found = world.read_pools(policy, kubeconfig=kubeconfig)
    assert found.nodes is None
    missing = found.pools[policy.key]
    assert "not allowed to list and watch nodes" in str(missing)
    buffer = world.policy(CapacityBuffer("flower-spare"))
    said = str(world.read_pools(buffer, kubeconfig=kubeconfig).pools[buffer.key])
    assert "not allowed to list and watch" in said
    assert "capacitybuffers" in said
