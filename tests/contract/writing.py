"""Targets on a real API server, and ways to get between the daemon and it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from autoscaler.kube.client import KubeClient
from autoscaler.model import Action, Target
from tests.testbed.control_plane import ControlPlane

Object = dict[str, Any]


def target(namespace: str, name: str = "flower", **changes: str) -> Target:
    return Target(namespace, name, **changes)


def action(namespace: str, before: int, after: int, *, of: Target | None = None) -> Action:
    whom = of or target(namespace)
    return Action("scale", whom, before, after, "because", f"{namespace}/{whom.name}")


def deployment(namespace: str, replicas: int, *, kind: str = "Deployment") -> str:
    labels = {"app": "flower"}
    pod = {"containers": [{"name": "triton", "image": "triton"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec: Object = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": template,
    }
    if kind == "StatefulSet":
        spec["serviceName"] = "flower"
    metadata = {"namespace": namespace, "name": "flower"}
    return json.dumps({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec})


FLEET = "fleets.triton.example"


def fleet_definition() -> str:
    """A custom resource with a scale subresource, as others' operators have."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    paths = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": paths | {"labelSelectorPath": ".status.selector"}},
    }
    names = {"plural": "fleets", "singular": "fleet", "kind": "Fleet", "listKind": "FleetList"}
    spec = {"group": "triton.example", "scope": "Namespaced", "names": names, "versions": [version]}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return json.dumps({**kind, "metadata": {"name": FLEET}, "spec": spec})


def fleet(namespace: str, replicas: int) -> str:
    metadata = {"namespace": namespace, "name": "roses"}
    kind = {"apiVersion": "triton.example/v1", "kind": "Fleet"}
    return json.dumps({**kind, "metadata": metadata, "spec": {"replicas": replicas}})


def path_of(namespace: str, resource: str = "deployments", name: str = "flower") -> str:
    root = "triton.example/v1" if resource == "fleets" else "apps/v1"
    return f"/apis/{root}/namespaces/{namespace}/{resource}/{name}"


def size(plane: ControlPlane, path: str) -> int:
    return int(plane.api.get(f"{path}/scale")["spec"].get("replicas", 0))


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    client = await KubeClient.connect(kubeconfig)
    try:
        yield client
    finally:
        await client.close()


class Interposed:
    """A client, and what happens right before its writes (`before`) and after its looks."""

    def __init__(
        self,
        client: KubeClient,
        *,
        before: Callable[[], object] = lambda: None,
        looked: Callable[[], object] = lambda: None,
    ) -> None:
        self._client = client
        self._before, self._looked = before, looked
        self.host = client.host
        self.writes: list[str] = []
        self.looks: list[str] = []

    async def get(self, path: str, *args: Any, **more: Any) -> Any:
        self.looks.append(path)
        answer = await self._client.get(path, *args, **more)
        await _done(self._looked)
        return answer

    async def request(self, method: str, path: str, **more: Any) -> Any:
        self.writes.append(f"{method} {path}")
        await _done(self._before)
        return await self._client.request(method, path, **more)


async def _done(what: Callable[[], object]) -> None:
    done = what()
    if isinstance(done, Awaitable):
        await done


class Relay:
    """Bytes from a port of our own to the API server; `mute`: its answers no longer come back,
    and the connection is cut once one should.
    """

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self.mute = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        async with server:
            yield f"https://{host}:{port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(*self._to)
        await asyncio.gather(self._pump(reader, forth), self._pump(back, writer, answers=True))

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if answers and self.mute:
                    break
                sink.write(data)
                await sink.drain()
        with suppress(OSError):
            sink.close()


def within(kubeconfig: Path, namespace: str) -> Path:
    """The same, at home in another namespace, as a pod is in its own."""
    config = json.loads(kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = namespace
    path = kubeconfig.with_name(f"{namespace}.{kubeconfig.name}")
    path.write_text(json.dumps(config))
    return path


def through(kubeconfig: Path, url: str, folder: Path) -> Path:
    """The same credentials by another address."""
    config = json.loads(kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = url
    path = folder / "relayed.kubeconfig"
    path.write_text(json.dumps(config))
    return path
