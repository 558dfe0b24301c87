"""A pod's JSON in words and numbers: each trap of Kubernetes' own as a story."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.model import Pod
from autoscaler.observe.pod_detail import gpus_of, pod_of
from autoscaler.units import LONGEST

CREATED = 1795248000.0  # 2026-11-21T08:00:00Z


def at(seconds: int) -> str:
    return f"2026-11-21T08:{seconds // 60:02d}:{seconds % 60:02d}Z"


def condition(kind: str, status: str, seconds: int = 0, **more: str) -> dict[str, str]:
    return {"type": kind, "status": status, "lastTransitionTime": at(seconds), **more}


def container(name: str = "triton", **more: Any) -> dict[str, Any]:
    return {"name": name, "ready": False, "restartCount": 0, **more}


def running(seconds: int, name: str = "triton", **more: Any) -> dict[str, Any]:
    return container(name, **{"state": {"running": {"startedAt": at(seconds)}}, **more})


def pod(*conditions: dict[str, str], **changes: Any) -> Pod:
    spec: dict[str, Any] = {"containers": [{"name": "triton", "image": "triton:1"}]}
    status = {"phase": "Running", "conditions": list(conditions), **changes.pop("status", {})}
    metadata = {"name": "flower-a", "creationTimestamp": at(0), **changes.pop("metadata", {})}
    node = {"nodeName": "node-1"} if changes.pop("placed", True) else {}
    spec |= node | changes.pop("spec", {})
    return pod_of({"metadata": metadata, "spec": spec, "status": status})


SCHEDULED, READY = condition("PodScheduled", "True", 20), condition("Ready", "True", 90)
NOT_READY = condition("Ready", "False", 20, reason="ContainersNotReady")


def waiting(**status: Any) -> str | None:
    return pod(SCHEDULED, NOT_READY, status=status).waiting


# --- the way to Ready --------------------------------------------------------------------------


def test_a_cold_start_is_told_apart() -> None:
    seen = pod(SCHEDULED, READY, status={"containerStatuses": [running(60)]})
    times = (seen.created_at, seen.scheduled_at, seen.started_at, seen.ready_at)
    assert times == (CREATED, CREATED + 20, CREATED + 60, CREATED + 90)
    assert seen.waiting is None


def test_the_last_container_to_start_is_when_all_images_were_there() -> None:
    both = {"containers": [{"name": "envoy"}, {"name": "triton"}]}
    status = {"containerStatuses": [running(30, "envoy"), running(60)]}
    assert pod(SCHEDULED, READY, spec=both, status=status).started_at == CREATED + 60
    half = {"containerStatuses": [running(30, "envoy")]}
    assert pod(SCHEDULED, NOT_READY, spec=both, status=half).started_at is None


def test_a_restarted_container_is_no_cold_start() -> None:
    """It began again an hour after it was scheduled: no image takes an hour to pull."""
    status = {"containerStatuses": [running(3000, restartCount=1, ready=True)]}
    seen = pod(SCHEDULED, READY, status=status)
    assert seen.ready
    assert seen.started_at is None


def test_what_has_not_happened_has_no_time() -> None:
    unscheduled = condition("PodScheduled", "False", 5, reason="Unschedulable", message="0/4")
    seen = pod(unscheduled, placed=False, status={"phase": "Pending"})
    assert (seen.scheduled_at, seen.started_at, seen.ready_at) == (None, None, None)
    assert pod(SCHEDULED, NOT_READY).ready_at is None, "lastTransitionTime of a False is no Ready"


# --- why it waits ------------------------------------------------------------------------------


def test_dynamo_14251_unschedulable_is_said_in_the_schedulers_words() -> None:
    message = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
    no = condition("PodScheduled", "False", 5, reason="Unschedulable", message=message)
    assert pod(no, placed=False).waiting == f"Unschedulable: {message}"
    gate = condition("PodScheduled", "False", 5, reason="SchedulingGated", message="gated")
    assert pod(gate, placed=False).waiting == "SchedulingGated: gated"
    assert pod(placed=False).waiting == "no node yet"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, "on its node, no container made yet"),
        (
            {"containerStatuses": [container(state={"waiting": {"reason": "ContainerCreating"}})]},
            "ContainerCreating (container triton)",
        ),
        (
            {
                "containerStatuses": [
                    container(
                        state={"waiting": {"reason": "ImagePullBackOff", "message": "Back-off x"}}
                    )
                ]
            },
            "ImagePullBackOff (container triton): Back-off x",
        ),
        (
            {"containerStatuses": [running(60)]},
            "running, not Ready: ContainersNotReady",
        ),
        (
            {
                "containerStatuses": [
                    running(
                        60,
                        restartCount=1,
                        lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
                    )
                ]
            },
            "running, not Ready (container triton, 1 restart, last ended by OOMKilled (exit 137))",
        ),
        (
            {
                "initContainerStatuses": [
                    container("fetch", state={"terminated": {"reason": "Error", "exitCode": 1}})
                ]
            },
            "init container fetch ended by Error (exit 1)",
        ),
        (
            {
                "initContainerStatuses": [running(30, "fetch", started=False)],
                "containerStatuses": [container(state={"waiting": {"reason": "PodInitializing"}})],
            },
            "init container fetch is running",
        ),
        (
            {
                "initContainerStatuses": [
                    container("fetch", state={"terminated": {"reason": "Done", "exitCode": 0}})
                ],
                "containerStatuses": [
                    container(state={"terminated": {"reason": "OOMKilled", "exitCode": 137}})
                ],
            },
            "container triton ended by OOMKilled (exit 137)",
        ),
    ],
)
def test_what_stands_in_its_way_is_named(status: dict[str, Any], said: str) -> None:
    assert waiting(**status) == said


def test_a_crash_loop_says_how_it_ends_and_the_same_on_every_tick() -> None:
    """Kubernetes' own message names the pod and a back-off that doubles: each would be news."""

    def looping(back_off: str) -> str | None:
        message = f"back-off {back_off} restarting failed container=triton pod=flower-a_x(1-2)"
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        last = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
        one = container(state=state, lastState=last, restartCount=7)
        return waiting(containerStatuses=[one])

    assert looping("2m40s") == looping("5m0s")
    assert looping("5m0s") == (
        "CrashLoopBackOff (container triton, 7 restarts, last ended by OOMKilled (exit 137))"
    )


def test_a_schedulers_novel_is_cut_short() -> None:
    no = condition("PodScheduled", "False", reason="Unschedulable", message="a node,\n " * 2000)
    said = pod(no, placed=False).waiting
    assert said is not None
    assert len(said) <= LONGEST + len("Unschedulable: ")
    assert "\n" not in said


# --- GPUs, image, cost, end --------------------------------------------------------------------


def gpu(count: int, kind: str = "nvidia.com/gpu", part: str = "limits", **more: Any) -> Any:
    return {"name": "x", "resources": {part: {kind: str(count), "cpu": "1500m"}}, **more}


def test_gpus_and_mig_slices_are_counted_over_the_containers() -> None:
    assert gpus_of({"containers": [gpu(1), gpu(2, "nvidia.com/mig-1g.10gb")]}) == 3
    assert gpus_of({"containers": [{"resources": {"limits": {"nvidia.com/gpu.shared": "1"}}}]}) == 0
    assert gpus_of({"containers": [gpu(2, part="requests")]}) == 2
    assert gpus_of({"containers": None}) == 0


def test_an_init_container_hands_its_gpu_on_and_a_sidecar_keeps_it() -> None:
    assert gpus_of({"containers": [gpu(1)], "initContainers": [gpu(1)]}) == 1
    assert gpus_of({"containers": [gpu(1)], "initContainers": [gpu(4)]}) == 4
    sidecar = gpu(1, restartPolicy="Always")
    assert gpus_of({"containers": [gpu(1)], "initContainers": [sidecar]}) == 2


def test_the_image_is_that_of_the_container_with_the_gpu() -> None:
    both = [{"name": "envoy", "image": "envoy:1"}, gpu(1, image="triton:1")]
    assert pod(spec={"containers": both}).image == "triton:1"
    assert pod().image == "triton:1", "without a GPU the first one's"


@pytest.mark.parametrize(("text", "cost"), [("-100", -100), ("x", 0), ("1e9", 0), (str(2**40), 0)])
def test_a_deletion_cost_that_kubernetes_ignores_counts_as_0(text: str, cost: int) -> None:
    annotations = {"controller.kubernetes.io/pod-deletion-cost": text}
    assert pod(metadata={"annotations": annotations}).deletion_cost == cost


def test_a_pod_that_is_about_to_be_evicted_says_by_whom() -> None:
    told = condition(
        "DisruptionTarget", "True", reason="DeletionByTaintManager", message="node is unreachable"
    )
    assert pod(READY, told).leaving == "DeletionByTaintManager: node is unreachable"
    assert pod(READY, condition("DisruptionTarget", "False")).leaving is None


def test_pods_that_wait_for_the_same_share_the_words() -> None:
    no = condition("PodScheduled", "False", reason="Unschedulable", message="0/4 nodes")
    assert pod(no, placed=False).waiting is pod(no, placed=False).waiting
