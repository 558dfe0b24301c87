"""What room a replica takes, and what the drivers do where the API server is slow or in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from autoscaler.act.executor import ActionError
from autoscaler.act.nodepools import DRIVERS
from autoscaler.act.nodepools.room import limits_only_note, room
from autoscaler.kube.client import KubeClient, KubeError
from autoscaler.kube.pool_owner import owner_of
from autoscaler.model import (
    Action,
    CapacityBuffer,
    Driver,
    GkePool,
    PlaceholderPods,
    PoolWish,
    ScaledPool,
    Target,
)

GPU = "nvidia.com/gpu"
STATIC = ScaledPool("karpenter.sh/v1", "NodePool", "gpu")
POOL = "/apis/karpenter.sh/v1/nodepools/gpu"


def template(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    named = [{"name": f"c{n}", "image": "x", **one} for n, one in enumerate(containers)]
    return {"metadata": {"labels": {"app": "flower"}}, "spec": {"containers": named, **spec}}


def resources(requests: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"resources": ({"requests": requests} if requests else {}) | more}


def test_limits_without_requests_are_copied_and_told() -> None:
    found = room(template(resources(limits={GPU: 1, "cpu": 4})), "Deployment default/flower")
    (container,) = found.containers
    assert container["resources"]["requests"] == {GPU: 1, "cpu": 4}
    assert found.limits_only == ("cpu", GPU)
    (note,) = limits_only_note(found, "Deployment default/flower")
    assert note.startswith("Deployment default/flower names cpu, nvidia.com/gpu in limits only")


def test_requests_stand_as_they_are_where_they_are_named() -> None:
    said = resources({GPU: 1, "cpu": 2}, limits={GPU: 1, "cpu": 8})
    found = room(template(said), "x")
    assert found.containers[0]["resources"]["requests"] == {GPU: 1, "cpu": 2}
    assert found.limits_only == ()
    assert limits_only_note(found, "x") == ()


def test_only_what_decides_the_place_is_taken_over() -> None:
    spec = {
        "nodeSelector": {"a": "b"},
        "tolerations": [{"operator": "Exists"}],
        "volumes": [{"name": "models"}],
        "imagePullSecrets": [{"name": "hush"}],
        "serviceAccountName": "flower",
        "initContainers": [{"name": "fetch", "image": "y", "command": ["sh"]}],
    }
    container = resources({"cpu": 1}) | {"env": [{"name": "A"}], "volumeMounts": [{"name": "m"}]}
    found = room(template(container, **spec), "x")
    assert found.placement == {"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]}
    assert set(found.containers[0]) == {"name", "image", "resources"}
    assert set(found.init_containers[0]) == {"name", "image", "resources"}


def test_resources_of_the_pod_as_a_whole_and_claims_count_as_asking() -> None:
    whole = room(template({}, resources={"limits": {"cpu": 4}}), "x")
    assert whole.resources == {"limits": {"cpu": 4}, "requests": {"cpu": 4}}
    claimed = room(template({}, resourceClaims=[{"name": "gpu"}]), "x")
    assert claimed.placement == {"resourceClaims": [{"name": "gpu"}]}
    with pytest.raises(ActionError, match="name neither requests nor limits"):
        room(template({}), "Deployment default/flower")


@pytest.mark.parametrize(
    ("pool", "owner"),
    [
        ({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "spec": {"replicas": 0}}, None),
        ({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "spec": {}}, "Karpenter"),
        ({"apiVersion": "cluster.x-k8s.io/v1beta1", "kind": "MachineDeployment"}, None),
    ],
    ids=["static, empty", "dynamic", "no annotation"],
)
def test_who_owns_a_pool_is_read_from_the_pool(pool: dict[str, Any], owner: str | None) -> None:
    said = owner_of(pool)
    assert (said is None) == (owner is None)
    assert owner is None or owner in str(said)


class Server:
    """Answers by path; each write is kept. A path that is not there is 404."""

    host = "https://api"

    def __init__(self, **objects: Any) -> None:
        self.objects: dict[str, Any] = objects
        self.writes: list[tuple[str, str, Any]] = []
        self.on_write: Callable[[], None] = lambda: None

    async def get(self, path: str, query: Any = None, within: float = 5.0) -> Any:
        if path not in self.objects:
            raise KubeError("HTTP 404: not found", 404)
        found = self.objects[path]
        if isinstance(found, KubeError):
            raise found
        return found

    async def request(self, method: str, path: str, *, body: Any = None, **more: Any) -> Any:
        self.on_write()
        self.writes.append((method, path, body))
        return body


def static_pool(nodes: int) -> Server:
    pool = {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "spec": {"replicas": nodes}}
    scale = {"metadata": {"name": "gpu", "resourceVersion": "7"}, "spec": {"replicas": nodes}}
    return Server(**{POOL: pool, f"{POOL}/scale": scale})


async def resize(
    server: Any, driver: Driver, before: int, after: int, *, deadline: float = 5.0
) -> None:
    wish = PoolWish(driver, "nodes", before, after, "because")
    target = Target("default", "flower")
    action = Action("pool", target, before, after, "because", "default/flower", pool=wish)
    client = cast("KubeClient", server)
    await DRIVERS[type(driver)](client, action, deadline=deadline, dry_run=False)


async def test_a_write_that_hangs_ends_with_its_deadline_and_says_that_nobody_knows() -> None:
    class Hanging(Server):
        async def request(self, method: str, path: str, **more: Any) -> Any:
            await asyncio.Event().wait()

    server = Hanging()
    server.objects = static_pool(1).objects
    with pytest.raises(ActionError, match="whether it was written is not known") as caught:
        await resize(server, STATIC, 1, 2, deadline=0.05)
    assert caught.value.unanswered


async def test_a_pool_whose_status_moves_all_the_time_is_resized_all_the_same() -> None:
    """Karpenter writes a NodePool's status with each node: such a conflict is looked at again."""
    server, conflicts = static_pool(1), iter((True, True, False))

    def conflict() -> None:
        if next(conflicts):
            raise KubeError("HTTP 409: the object has been modified", 409)

    server.on_write = conflict
    await resize(server, STATIC, 1, 2)
    ((method, path, body),) = server.writes
    assert (method, path, body["spec"]) == ("PUT", f"{POOL}/scale", {"replicas": 2})
    assert body["metadata"]["resourceVersion"] == "7"


async def test_somebody_who_resizes_it_between_the_look_and_the_write_keeps_their_size() -> None:
    server = static_pool(1)

    def somebody_says_five() -> None:
        server.objects[f"{POOL}/scale"]["spec"]["replicas"] = 5
        raise KubeError("HTTP 409: the object has been modified", 409)

    server.on_write = somebody_says_five
    with pytest.raises(ActionError, match="was of size 1 when it was observed and is 5 now"):
        await resize(server, STATIC, 1, 2)
    assert server.writes == []


async def test_a_storm_of_conflicts_ends() -> None:
    server, tries = static_pool(1), []

    def conflict() -> None:
        tries.append(1)
        raise KubeError("HTTP 409: the object has been modified", 409)

    server.on_write = conflict
    with pytest.raises(ActionError, match="changed meanwhile"):
        await resize(server, STATIC, 1, 2)
    assert len(tries) == 3


async def test_a_webhook_that_changes_the_size_is_named() -> None:
    class Webhook(Server):
        async def request(self, method: str, path: str, *, body: Any = None, **more: Any) -> Any:
            return {"spec": {"replicas": 1}}

    server = Webhook()
    server.objects = static_pool(1).objects
    with pytest.raises(ActionError, match="asked for 2 nodes, the API server made it 1: an admis"):
        await resize(server, STATIC, 1, 2)


@pytest.mark.parametrize(
    "driver",
    [CapacityBuffer("b"), PlaceholderPods("b", "low", "pause"), STATIC],
    ids=["buffer", "placeholders", "pool"],
)
async def test_an_api_server_in_trouble_is_no_pool_that_is_not_there(driver: Driver) -> None:
    """503 on the look: nothing is written, and nothing is made anew beside what there is."""
    trouble = KubeError("HTTP 503: etcd has no leader", 503)
    server = Server(
        **{"/apis/apps/v1/namespaces/default/deployments/flower": trouble, POOL: trouble}
    )
    with pytest.raises(ActionError, match=r"could not be looked at again.*nothing was written"):
        await resize(server, driver, 0, 1)
    assert server.writes == []


async def test_a_target_that_has_no_pod_template_is_told_which_drivers_need_none() -> None:
    path = "/apis/apps/v1/namespaces/default/deployments/flower"
    server = Server(**{path: {"metadata": {"uid": "1"}, "spec": {"replicas": 1}}})
    with pytest.raises(ActionError, match=r"use nodes\.driver scale or gke"):
        await resize(server, CapacityBuffer("b"), 0, 1)


def test_each_driver_has_its_way() -> None:
    assert set(DRIVERS) == {CapacityBuffer, PlaceholderPods, ScaledPool, GkePool}
