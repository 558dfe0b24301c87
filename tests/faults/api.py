"""An API server of one Deployment, its node pools, a Lease and ConfigMaps; and the ways to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from autoscaler.act.deletion_cost import ANNOTATION
from autoscaler.kube.client import KubeError
from autoscaler.kube.hands import PAUSED
from tests.faults.nodes import NodePool
from tests.faults.world import World

Object = dict[str, Any]

WALL = 1_795_248_000.0  # Unix time at true second 0
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
TARGET = f"{DEPLOYMENTS}/flower/scale"
POOLS = "/apis/karpenter.sh/v1/nodepools/"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/ours/leases/lease"
GPU_POD = {
    "metadata": {},
    "spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
}


@dataclass
class Api:
    """`storm`: the share of writes before which somebody else changes the Deployment's status."""

    world: World
    random: Random
    down: bool = False
    storm: float = 0.0
    objects: dict[str, Object] = field(default_factory=dict)  # by path
    version: int = 100
    on_look: Callable[[], None] = lambda: None  # at the size, right before it is written
    # (who, before, after), of the Deployment and of a pool
    on_scale: Callable[[str, int, int], None] = lambda *_: None
    on_pool: Callable[[NodePool, int], None] = lambda *_: None

    def handle(
        self, method: str, path: str, query: dict[str, str], body: Object, who: str
    ) -> Object:
        """Raises KubeError as the client does."""
        if path == TARGET:
            return self._scale(method, body, who)
        if path == DEPLOYMENTS:
            return {"items": [self._whole()] if self.world.exists else []}
        if path.startswith(POOLS):
            return self._pool(method, path.removeprefix(POOLS), body)
        if path == "/api/v1/nodes":
            pool = self._pool_named(query["labelSelector"].partition("=")[2])
            return {"items": [{"metadata": {"name": node.name}} for node in pool.nodes]}
        if path == "/api/v1/pods":
            node = query["fieldSelector"].partition(",")[0].removeprefix("spec.nodeName=")
            return {"items": [GPU_POD] * self.world.busy(node)}
        if "/pods/" in path:
            return self._mark(path.rpartition("/")[2], body)
        return self._keep(method, path, body)

    # --- what is scaled ----------------------------------------------------------------------

    def _scale(self, method: str, body: Object, who: str) -> Object:
        world = self.world
        if not world.exists:
            raise KubeError('HTTP 404: deployments.apps "flower" not found', 404)
        if method == "GET":
            self.on_look()
        if method == "PUT":
            if self.random.random() < self.storm:
                world.version += 1
            self._check(body, str(world.version))
            before, after = world.replicas, int(body["spec"].get("replicas", 0))
            self.on_scale(who, before, after)
            world.scale(after, None)
        metadata = {
            "namespace": "default",
            "name": "flower",
            "uid": f"uid-{world.uid}",
            "resourceVersion": str(world.version),
        }
        return {"metadata": metadata, "spec": {"replicas": world.replicas}}

    def _whole(self) -> Object:
        """With who paused it and who set its replicas, which a Scale does not show."""
        world, managers = self.world, []
        if world.writer is not None:
            name, _, how = world.writer.partition(", ")
            operation, _, part = how.partition(" of ")
            manager = {"manager": name, "operation": operation, "subresource": part}
            managers.append(manager | {"fieldsV1": {"f:spec": {"f:replicas": {}}}})
        paused = {PAUSED: "true"} if world.hands.paused else {}
        return {"metadata": {"name": "flower", "annotations": paused, "managedFields": managers}}

    def _pool_named(self, name: str) -> NodePool:
        return {"first": self.world.first, "second": self.world.second}[name]

    def _pool(self, method: str, path: str, body: Object) -> Object:
        name, _, _ = path.partition("/")
        pool = self._pool_named(name)
        if method == "PUT":
            self._check(body, str(pool.version))
            after = int(body["spec"]["replicas"])
            self.on_pool(pool, after)
            pool.size = after
            pool.version += 1
        return {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": name, "uid": name, "resourceVersion": str(pool.version)},
            "spec": {"replicas": pool.size},
        }

    def _mark(self, name: str, body: Object) -> Object:
        pod = next((pod for pod in self.world.pods if pod.name == name), None)
        if pod is None:
            raise KubeError("HTTP 404: pods not found", 404)
        pod.cost = int(body["metadata"]["annotations"][ANNOTATION] or 0)
        return {}

    # --- what is kept ------------------------------------------------------------------------

    def _keep(self, method: str, path: str, body: Object) -> Object:
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise KubeError("HTTP 409: it exists already", 409)
        elif path not in self.objects:
            raise KubeError("HTTP 404: not found", 404)
        if method == "PUT":
            self._check(body, self.objects[path]["metadata"]["resourceVersion"])
        if body:
            self.put(path, body)
        return self.objects[path]  # nobody changes what is in it

    def put(self, path: str, body: Object) -> None:
        """As it is, whoever wrote since: what a person does with kubectl."""
        self.version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.objects[path] = {**body, "metadata": metadata}

    def _check(self, body: Object, version: str) -> None:
        if body["metadata"]["resourceVersion"] != version:
            raise KubeError("HTTP 409: the object has been modified", 409)


class Wire:
    """One machine's way to the API server; stands in for a KubeClient.

    What was sent arrives, also where its sender has given up meanwhile.
    """

    host = "https://api"
    namespace = "ours"

    def __init__(self, api: Api, who: str, random: Random) -> None:
        self.api, self.who, self.cut = api, who, False
        self.date: float | None = None
        # Asked of each request that arrives: seconds until it is carried out (None: never) for
        # one of which no answer comes back; None for all others.
        self.loses: Callable[[str, str], tuple[float | None] | None] = lambda *_: None
        self._random = random

    @property
    def reaches(self) -> bool:
        return not (self.cut or self.api.down)

    async def get(self, path: str, query: Any = None, within: float = 5.0) -> Any:
        return await self.request("GET", path, query=query, within=within)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Any = None,
        body: Any = None,
        within: float = 5.0,
        **_: Any,
    ) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        sent = body or {}
        back = self._random.uniform(0.002, 0.02)

        def carry_out() -> Any:
            try:
                return self.api.handle(method, path, query or {}, sent, self.who)
            except KubeError as error:
                return error

        def arrive() -> None:
            if self.cut:
                return
            if self.api.down:
                loop.call_later(back, deliver, KubeError(f"{self.host} cannot be reached"))
                return
            lost = self.loses(method, path)
            if lost is None:
                loop.call_later(back, deliver, carry_out())
            elif lost[0] is not None:
                loop.call_later(lost[0], carry_out)

        def deliver(result: Any) -> None:
            if answer.done() or self.cut:
                return
            if isinstance(result, KubeError):
                answer.set_exception(result)
            else:
                answer.set_result(result)
            if not isinstance(result, KubeError) or result.status:
                self.date = float(int(WALL + loop.time()))

        loop.call_later(self._random.uniform(0.002, 0.02), arrive)
        try:
            async with asyncio.timeout(within):
                return await answer
        except TimeoutError:
            raise KubeError(f"{self.host} did not answer within {within} s") from None
