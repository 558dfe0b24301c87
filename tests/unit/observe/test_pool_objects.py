"""What sizes a pool: size, owner and refusal from each kind's JSON, and GKE's."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.clock import WalkingClock
from autoscaler.kube.client import KubeError
from autoscaler.model import GkePool, Missing, Node, Pool
from autoscaler.observe.gke_pools import FORGOTTEN_AFTER, LOOK_EVERY, GkePools
from autoscaler.observe.pool_objects import failed_claim, trimmer

METADATA = {"name": "gpu", "resourceVersion": "7", "creationTimestamp": "2026-11-21T08:00:00Z"}


def row(kind: str, spec: Any, *conditions: Any, status: Any = None, **metadata: Any) -> Any:
    said = {"conditions": list(conditions), **(status or {})}
    return trimmer(kind)({"metadata": METADATA | metadata, "spec": spec, "status": said})


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def test_a_buffer_of_a_percentage_is_as_large_as_its_status_says() -> None:
    assert row("CapacityBuffer", {"percentage": 20}, status={"replicas": 5}).size == 5
    assert row("CapacityBuffer", {"replicas": 3}, status={"replicas": 5}).size == 3
    assert row("CapacityBuffer", {"percentage": 20}).size == 0


def test_a_buffer_that_cannot_be_resolved_says_why() -> None:
    no = condition("ReadyForProvisioning", "False", "PodTemplateNotFound", "no flower-spare")
    refusal = row("CapacityBuffer", {"replicas": 1}, no).refusal
    assert refusal == "ReadyForProvisioning is False: PodTemplateNotFound: no flower-spare"


def test_a_buffer_under_a_quota_says_so() -> None:
    quota = condition("LimitedByQuotas", "True", "LimitedByQuotas", "quota gpus")
    assert row("CapacityBuffer", {"replicas": 1}, quota).refusal == "LimitedByQuotas: quota gpus"


def test_a_buffer_with_a_template_of_its_own_takes_nobodys() -> None:
    fits = condition("Provisioning", "True", "FitsExistingCapacity", "All 2 fit")
    own = row("CapacityBuffer", {"replicas": 2, "podTemplateRef": {"name": "x"}}, fits)
    assert (own.fits, own.pods_like) == ("All 2 fit", None)


def test_a_buffer_that_still_buys_is_told_from_one_that_cannot() -> None:
    def refusal(message: str) -> str | None:
        buying = condition("Provisioning", "False", "RequiresNewCapacity", message)
        found: str | None = row("CapacityBuffer", {"replicas": 2}, buying).refusal
        return found

    assert refusal("2/2 virtual pods required new capacity, 0 failed") is None
    assert "2 failed" in str(refusal("0/2 virtual pods required new capacity, 2 failed"))
    assert "10 failed" in str(refusal("0/10 virtual pods required new capacity, 10 failed"))


def test_a_buffer_with_conditions_is_not_silent() -> None:
    ready = condition("ReadyForProvisioning", "True")
    assert row("CapacityBuffer", {"replicas": 1}, ready).silent_since is None
    assert row("CapacityBuffer", {"replicas": 1}).silent_since == 1795248000.0


def test_a_dynamic_node_pool_is_karpenters() -> None:
    assert row("NodePool", {"template": {}}, status={"nodes": 4}).size == 4
    assert "no spec.replicas" in row("NodePool", {"template": {}}).owner
    static = row("NodePool", {"replicas": 0})
    assert (static.size, static.owner) == (0, None)


def test_a_machine_deployment_that_lags_says_why_and_one_that_does_not_is_well() -> None:
    bad = condition("Available", "False", "WaitingForAvailableMachines", "1 of 3")
    lagging = row("MachineDeployment", {"replicas": 3}, bad, status={"readyReplicas": 1})
    assert lagging.refusal == "Available is False: WaitingForAvailableMachines: 1 of 3"
    there = row("MachineDeployment", {"replicas": 3}, bad, status={"readyReplicas": 3})
    assert there.refusal is None


@pytest.mark.parametrize(
    ("launched", "failed"),
    [
        (condition("Launched", "True", "Launched"), False),
        (condition("Launched", "Unknown", "AwaitingReconciliation"), False),
        (condition("Launched", "Unknown", "LaunchFailed", "no capacity"), True),
        (condition("Registered", "Unknown", "NodeNotFound"), False),
    ],
)
def test_a_claim_failed_only_where_no_machine_was_had(launched: Any, failed: bool) -> None:
    metadata = {"name": "gpu-a", "labels": {"karpenter.sh/nodepool": "gpu"}}
    found = failed_claim({"metadata": metadata, "status": {"conditions": [launched]}})
    assert found == (("gpu", "LaunchFailed: no capacity") if failed else None)


# --- GKE -----------------------------------------------------------------------------------------

DRIVER = GkePool("p", "europe-west4-a", "c", "gpu")
NODES = (Node("a", 8), Node("b", 8))


class Gke:
    def __init__(self, said: Any) -> None:
        self.said = said
        self.asked = 0
        self.taken: dict[GkePool, int] = {}

    async def node_pool(self, driver: GkePool, within: float) -> Any:
        self.asked += 1
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


async def gke_pool(said: Any) -> Pool | Missing:
    pools = GkePools(Gke(said), WalkingClock(0.0))
    await pools.refresh([DRIVER], 1.0)
    return pools.pool(DRIVER, NODES)


async def test_a_gke_pool_is_as_large_as_its_nodes_and_nobodys() -> None:
    """The API's initialNodeCount is that of the day it was made."""
    found = await gke_pool({"status": "RUNNING", "initialNodeCount": 7})
    assert found == Pool(size=2, nodes=NODES)


async def test_a_gke_pool_with_autoscaling_is_gkes() -> None:
    scaling = {"enabled": True, "minNodeCount": 1, "maxNodeCount": 5}
    found = await gke_pool({"autoscaling": scaling})
    assert isinstance(found, Pool)
    assert found.owner == "GKE's cluster autoscaler sizes it between 1 and 5 nodes a zone"
    off = await gke_pool({"autoscaling": {"enabled": False, "maxNodeCount": 5}})
    assert isinstance(off, Pool)
    assert off.owner is None


async def test_a_gke_pool_in_error_says_why() -> None:
    stockout = {"code": "GCE_STOCKOUT", "message": "no A100 in europe-west4-a"}
    found = await gke_pool({"status": "RUNNING_WITH_ERROR", "conditions": [stockout]})
    assert isinstance(found, Pool)
    assert found.refusal == "no A100 in europe-west4-a"


async def test_a_gke_api_that_refuses_is_missing() -> None:
    found = await gke_pool(KubeError("HTTP 403: no permission", 403))
    assert found == Missing("GKE pool gpu: HTTP 403: no permission")
    pools = GkePools(None, WalkingClock(0.0))
    await pools.refresh([DRIVER], 1.0)
    assert isinstance(pools.pool(DRIVER, NODES), Missing)


async def test_the_gke_api_is_rationed() -> None:
    api, clock = Gke({}), WalkingClock(0.0)
    pools = GkePools(api, clock)
    for _ in range(12):  # a minute of ticks
        await pools.refresh([DRIVER], 1.0)
        await clock.sleep(5.0)
    assert api.asked == 60 / LOOK_EVERY


async def test_gke_nodes_that_never_come_are_asked_for_anew_after_a_while() -> None:
    clock = WalkingClock(0.0)
    api = Gke({})
    pools = GkePools(api, clock)
    await pools.refresh([DRIVER], 1.0)
    api.taken[DRIVER] = 4
    assert pools.pool(DRIVER, NODES) == Pool(size=4, nodes=NODES)
    await clock.sleep(FORGOTTEN_AFTER + 1.0)
    assert pools.pool(DRIVER, NODES) == Pool(size=2, nodes=NODES)
