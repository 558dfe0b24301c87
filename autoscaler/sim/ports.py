"""The world behind the ports of the real one: what Kubernetes answers, where pages come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from autoscaler.act.executor import ActionError
from autoscaler.model import Action, Missing, Pod, Replicas, Target
from autoscaler.observe.cluster import ClusterReading, TargetReading
from autoscaler.observe.port import PodKey
from autoscaler.sim.fleet import Replica
from autoscaler.sim.pages import page
from autoscaler.sim.world import World


class WorldCluster:
    """Replicas and pods as the API server would list them."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def read(
        self,
        targets: Sequence[Target],
        now: float,  # noqa: ARG002 -- the world has its own time
        deadline: float,  # noqa: ARG002
        scaled: Collection[Target] = frozenset(),  # noqa: ARG002 -- nobody else is in it
    ) -> ClusterReading:
        return ClusterReading({target: self._one(target) for target in targets})

    def _one(self, target: Target) -> TargetReading | Missing:
        world = self._world
        if (target.namespace, target.name) != (world.namespace, world.name):
            return Missing(f"{target.namespace}/{target.name} is not in the simulated world")
        pods = tuple(_pod(replica) for replica in world.fleet.present())
        ready = sum(pod.ready and not pod.terminating for pod in pods)
        replicas = Replicas(world.fleet.desired, ready, source="simulation")
        return TargetReading(replicas, pods, selector=f"app={world.name}")


def _pod(replica: Replica) -> Pod:
    waiting = replica.phase in ("scheduling", "pulling")
    return Pod(
        name=replica.name,
        # A dead one is still called ready: nobody has noticed.
        ready=replica.phase in ("ready", "dead"),
        terminating=replica.phase == "draining",
        phase="Pending" if waiting else "Running",
        created_at=replica.created_at,
        node=None if replica.gpu is None else f"gpu-{replica.gpu}",
        gpus=1,
        scheduled_at=replica.scheduled_at,
        started_at=replica.started_at,
        ready_at=replica.ready_at,
        waiting=_waiting(replica),
    )


def _waiting(replica: Replica) -> str | None:
    """In Kubernetes' words."""
    match replica.phase:
        case "scheduling":
            return "no node yet"
        case "pulling":
            return "ContainerCreating (container triton)"
        case "loading":
            return "running, not Ready"
        case _:
            return None


class WorldExecutor:
    """Sets the simulated Deployment's replicas."""

    name = "simulation"
    writes = True

    def __init__(self, world: World) -> None:
        self._world = world

    async def execute(self, action: Action) -> None:
        world = self._world
        if (action.target.namespace, action.target.name) != (world.namespace, world.name):
            raise ActionError(
                f"{action.target.namespace}/{action.target.name} is not in the simulated world, "
                f"{world.namespace}/{world.name} is: correct spec.target"
            )
        world.scale(action.after)


class Pages:
    """One HTTP server on loopback for all pods: `/{pod}/metrics`. An async context manager."""

    def __init__(self, world: World) -> None:
        self._world = world
        app = web.Application()
        app.router.add_get("/{pod}/metrics", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def endpoints(self) -> Mapping[PodKey, str]:
        """Of the pods whose container runs, whether it answers or not: as discovery lists them."""
        return {
            (self._world.namespace, replica.name): f"{self.url}/{replica.name}/metrics"
            for replica in self._world.fleet.present()
            if replica.phase in ("loading", "ready", "draining", "dead")
        }

    async def _serve(self, request: web.Request) -> web.Response:
        replica = self._world.fleet.find(request.match_info["pod"])
        if replica is None or replica.server is None:
            # Triton opens its metrics port once its models are loaded; a dead one has none.
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable
        uuid = f"GPU-{replica.gpu or 0:08x}-0000-0000-0000-000000000000"
        text = page(replica.server, self._world.model, uuid)
        return web.Response(text=text, content_type="text/plain", charset="utf-8")
