"""A namespace of a real cluster, and the two readers side by side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autoscaler.clock import SystemClock
from autoscaler.kube.client import KubeClient
from autoscaler.kube.paths import FIELD_MANAGER
from autoscaler.model import Bounds, Demand, Driver, Missing, Nodes, Policy, Pool, Sla, Target
from autoscaler.observe.cluster import KubernetesCluster, TargetReading
from autoscaler.observe.pools import KubernetesPools, PoolReadings
from autoscaler.observe.watched import WatchedCluster
from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.kwok import GPU, Kwok

NOW = 1_795_248_926.0
Object = dict[str, Any]


@dataclass
class World:
    plane: ControlPlane
    kwok: Kwok
    namespace: str

    @property
    def flower(self) -> Target:
        return Target(self.namespace, "flower")

    # --- what is in it -------------------------------------------------------------------------

    def path(self, plural: str, name: str = "", group: str = "/apis/apps/v1") -> str:
        whole = f"{group}/namespaces/{self.namespace}/{plural}"
        return f"{whole}/{name}" if name else whole

    def deploy(self, replicas: int | None, **changes: Any) -> None:
        """As a server-side apply by kubectl; see `deployment`."""
        self.plane.apply(json.dumps(self.deployment(replicas, **changes)))

    def deployment(
        self,
        replicas: int | None,
        *,
        name: str = "flower",
        gpus: int = 1,
        image: str = "tritonserver:24.10",
        requests: bool = False,
        annotations: dict[str, str] | None = None,
    ) -> Object:
        resources: Object = {"limits": {GPU: str(gpus)}} if gpus else {}
        if requests:
            resources["requests"] = {GPU: str(gpus)}
        containers = [
            {"name": "sidecar", "image": "envoy"},
            {"name": "triton", "image": image, "resources": resources},
        ]
        labels = {"app": name}
        template = {
            "metadata": {"labels": labels, "annotations": annotations or {}},
            "spec": {"containers": containers, "terminationGracePeriodSeconds": 0},
        }
        spec: Object = {"selector": {"matchLabels": labels}, "template": template}
        if replicas is not None:
            spec["replicas"] = replicas
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}

    def scale_as_we_do(self, replicas: int) -> None:
        path = f"{self.path('deployments', 'flower')}/scale"
        scale = self.plane.api.get(path)
        scale["spec"]["replicas"] = replicas
        del scale["metadata"]["resourceVersion"]  # the status changes all the while
        self.plane.api.put(f"{path}?fieldManager={FIELD_MANAGER}", scale)

    def apply_as(self, manager: str, body: Object) -> None:
        words = ("apply", "--server-side", "--force-conflicts", f"--field-manager={manager}")
        self.plane.kubectl(*words, "-f", "-", stdin=json.dumps(body))

    def kubectl(self, *words: str) -> str:
        return self.plane.kubectl("-n", self.namespace, *words)

    def pods(self) -> list[Object]:
        found: list[Object] = self.plane.api.get(self.path("pods", group="/api/v1"))["items"]
        return found

    def status(self, name: str = "flower") -> Object:
        found: Object = self.plane.api.get(self.path("deployments", name)).get("status", {})
        return found

    def await_ready(self, count: int) -> None:
        eventually(lambda: self.status().get("readyReplicas", 0) == count, f"{count} ready")

    # --- what is read of it --------------------------------------------------------------------

    def read(self, target: Target | None = None, *, scaled: bool = True) -> TargetReading:
        found = self.read_as(self.plane.kubeconfig, target, scaled=scaled)
        assert isinstance(found, TargetReading), found
        return found

    def read_as(
        self, kubeconfig: Path, target: Target | None = None, *, scaled: bool = True
    ) -> TargetReading | Missing:
        """By both readers, which must say the same, as soon as nothing changes between them."""
        one = target or self.flower
        found: list[TargetReading | Missing] = []

        def agree() -> bool:
            found[:] = asyncio.run(self._both(kubeconfig, one, scaled))
            return found[0] == found[1]

        eventually(agree, "one reading by list and by watch")
        return found[0]

    async def _both(
        self, kubeconfig: Path, target: Target, scaled: bool
    ) -> list[TargetReading | Missing]:
        ours = frozenset({target}) if scaled else frozenset()
        found = []
        async with connected(kubeconfig) as client:
            client.namespace = self.namespace  # where the daemon itself would run
            watched = WatchedCluster(client, SystemClock())
            for cluster in (KubernetesCluster(client), watched):
                reading = (await cluster.read([target], NOW, 10.0, ours)).targets[target]
                if isinstance(reading, TargetReading):
                    by_name = sorted(reading.pods, key=lambda pod: pod.name)
                    reading = replace(reading, pods=tuple(by_name))
                found.append(reading)
            await watched.close()
        return found

    def policy(self, driver: Driver | None, **changes: Any) -> Policy:
        nodes = Nodes(driver) if driver else None
        made = Policy(
            self.namespace, "flower", self.flower, Bounds(1, 7), Sla(0.05), (Demand(),), "scale",
            nodes=nodes,
        )  # fmt: skip
        return replace(made, **changes)

    def read_pools(
        self, *policies: Policy, kubeconfig: Path | None = None, now: float = NOW
    ) -> PoolReadings:
        return asyncio.run(self._pools(policies, kubeconfig or self.plane.kubeconfig, now))

    async def _pools(
        self, policies: Sequence[Policy], kubeconfig: Path, now: float
    ) -> PoolReadings:
        async with connected(kubeconfig) as client:
            pools = KubernetesPools(client, SystemClock())
            found = await pools.read(policies, now, 10.0)
            await pools.close()
        return found

    def pool(self, driver: Driver, **changes: Any) -> Pool:
        policy = self.policy(driver)
        found = self.read_pools(policy, **changes).pools[policy.key]
        assert isinstance(found, Pool), found
        return found

    def await_reading(self, holds: Callable[[TargetReading], object], what: str) -> TargetReading:
        last: list[TargetReading] = []

        def look() -> object:
            last[:] = [self.read()]
            return holds(last[0])

        eventually(look, what, within_s=60.0)
        return last[0]


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    client = await KubeClient.connect(kubeconfig)
    try:
        yield client
    finally:
        await client.close()
        # A TLS connection is closed once its goodbye has been sent: not before the loop's next
        # turns, and this loop ends now.
        await asyncio.sleep(0.1)


@contextmanager
def custom_kind(
    plane: ControlPlane,
    kind: str,
    group: str,
    version: str,
    plural: str,
    *,
    namespaced: bool = True,
    scale: bool = False,
) -> Iterator[None]:
    """A CustomResourceDefinition without a schema to speak of, served while this lasts."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    sized = {**anything, "properties": {"replicas": {"type": "integer"}}} if scale else anything
    schema = {"type": "object", "properties": {"spec": sized, "status": anything}}
    served: Object = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    if scale:
        served["subresources"]["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    spec = {
        "group": group,
        "scope": "Namespaced" if namespaced else "Cluster",
        "names": names,
        "versions": [served],
    }
    name = f"{plural}.{group}"
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": spec,
    }
    plane.apply(json.dumps(body))
    plane.kubectl("wait", "--for=condition=Established", "--timeout=45s", f"crd/{name}")
    try:
        yield
    finally:
        plane.kubectl("delete", "crd", name, "--timeout=45s")
