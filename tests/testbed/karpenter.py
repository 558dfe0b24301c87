"""The real Karpenter with its kwok provider: nodes of GPUs that are API objects, on demand."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from tests.testbed.api import ApiRefused, Object
from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.kwok import GPU
from tests.testbed.loopback import free_port, without_proxies
from tests.testbed.parts import KarpenterInstall
from tests.testbed.process import Process

POOL_LABEL = "karpenter.sh/nodepool"
POOL_TAINT = "testbed.triton-autoscaler/pool"
"""On each node of a pool, with the pool's name: other tests' pods stay off it."""
NODE_POOLS = "/apis/karpenter.sh/v1/nodepools"

_NODE_CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
_NODE_CLASSES = "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses"
_INITIALIZED, _DISRUPTED = "karpenter.sh/initialized", "karpenter.sh/disrupted"
_INSTANCE_TYPES = Path(__file__).parent / "gpu_instance_types.json"
_START_LIMIT_S = 60.0
_EMPTY_LIMIT_S = 90.0


class Karpenter:
    """Needs a kwok on the same control plane: its nodes get Ready, and their pods run, by that.

    Instance types: `h200-1`, `h200-4`, `h200-8`, with as many GPUs.
    """

    def __init__(self, install: KarpenterInstall, control_plane: ControlPlane) -> None:
        self._install = install
        self._control_plane = control_plane
        self._leaving = ExitStack()
        self._port = free_port()

    def __enter__(self) -> Self:
        with ExitStack() as entering:
            home = Path(entering.enter_context(TemporaryDirectory(prefix="testbed-karpenter-")))
            self._apply_crds()
            self.process = self._new_process(home)
            self.process.start(deadline_s=_START_LIMIT_S)
            entering.callback(self.process.stop)
            self._leaving = entering.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.close()

    def add_pool(
        self,
        name: str,
        *,
        instance_types: Sequence[str] = ("h200-1",),
        gpu_limit: int | None = None,
        node_after: str = "0s",
        empty_after: str = "2s",
    ) -> None:
        """A dynamic pool: a node for each Pending pod that fits it, less when they are empty.

        `node_after`: a machine takes so long to appear (a Go duration of whole seconds);
        `empty_after`: so long without a pod before a node may go, and about half a minute more.
        """
        limits = {} if gpu_limit is None else {"limits": {GPU: str(gpu_limit)}}
        disruption = {
            "consolidationPolicy": "WhenEmpty",
            "consolidateAfter": empty_after,
            # As shipped, a tenth of the nodes (so: one) at a time, half a minute apart.
            "budgets": [{"nodes": "100%"}],
        }
        self._put_pool(name, instance_types, node_after, {"disruption": disruption, **limits})

    def add_static_pool(
        self, name: str, nodes: int, *, instance_type: str = "h200-1", node_after: str = "0s"
    ) -> None:
        """A pool of so many nodes, resized by its scale subresource. Returns when they are there.

        Of one type: the kwok provider makes nothing of a static pool that leaves it open.
        """
        self._put_pool(name, [instance_type], node_after, {"replicas": nodes})
        eventually(lambda: len(self.ready_nodes(name)) == nodes, f"{nodes} nodes of {name}")

    def remove_pool(self, name: str) -> None:
        """Returns when its nodes are gone."""
        api = self._control_plane.api
        own = {"labelSelector": f"{POOL_LABEL}={name}"}
        api.delete(f"{NODE_POOLS}/{name}")
        # The garbage collector would come to them, some twenty seconds later.
        for claim in api.get(_NODE_CLAIMS, **own)["items"]:
            self._delete(f"{_NODE_CLAIMS}/{claim['metadata']['name']}")
        eventually(
            lambda: not api.get(_NODE_CLAIMS, **own)["items"],
            f"{name} without machines",
            within_s=_EMPTY_LIMIT_S,
        )
        for forgotten in self.nodes(name):
            self._delete(f"/api/v1/nodes/{forgotten['metadata']['name']}")
        api.delete(f"{_NODE_CLASSES}/{name}")

    def placement(self, pool: str) -> dict[str, Any]:
        """What a pod's spec needs to run on this pool's nodes and nowhere else."""
        toleration = {"key": POOL_TAINT, "operator": "Equal", "value": pool, "effect": "NoSchedule"}
        return {"nodeSelector": {POOL_LABEL: pool}, "tolerations": [toleration]}

    def nodes(self, pool: str) -> list[Object]:
        selected = self._control_plane.api.get(
            "/api/v1/nodes", labelSelector=f"{POOL_LABEL}={pool}"
        )
        found: list[Object] = selected["items"]
        return found

    def ready_nodes(self, pool: str) -> list[str]:
        """Names of its nodes that Karpenter has found to be usable, and that do not leave.

        Not before that may a pool shrink: the kwok provider forgets a machine that is returned
        while it registers, and its node stays for good.
        """
        return [
            node["metadata"]["name"]
            for node in self.nodes(pool)
            if node["metadata"]["labels"].get(_INITIALIZED) == "true"
            and "deletionTimestamp" not in node["metadata"]
            and all(taint["key"] != _DISRUPTED for taint in node["spec"].get("taints", ()))
        ]

    def clear(self) -> None:
        """Takes away all pools, their nodes, and the kinds themselves."""
        for pool in self._control_plane.api.get(NODE_POOLS)["items"]:
            self.remove_pool(pool["metadata"]["name"])
        files = [f"--filename={file}" for file in self._install.crds]
        self._control_plane.kubectl("delete", "--timeout=45s", *files)
        # The API server goes on serving a kind for a moment after its definition is gone.
        for group in ("karpenter.sh", "karpenter.kwok.sh", "autoscaling.x-k8s.io"):
            eventually(lambda path=f"/apis/{group}": not self._is_served(path), f"no {group}")  # type: ignore[misc]

    def _delete(self, path: str) -> None:
        try:
            self._control_plane.api.delete(path)
        except ApiRefused as refused:
            if refused.status != 404:
                raise

    def _apply_crds(self) -> None:
        files = [f"--filename={file}" for file in self._install.crds]
        self._control_plane.kubectl("apply", "--server-side", *files)
        self._control_plane.kubectl("wait", "--for=condition=Established", *files)

    def _is_served(self, path: str) -> bool:
        try:
            self._control_plane.api.get(path)
        except ApiRefused as refused:
            if refused.status == 404:
                return False
            raise
        return True

    def _put_pool(
        self, name: str, types: Sequence[str], node_after: str, own: dict[str, Any]
    ) -> None:
        node_class = {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass"}
        delay = {"spec": {"nodeRegistrationDelay": node_after}}
        template = {
            "metadata": {"labels": {"nvidia.com/gpu.product": "NVIDIA-H200"}},
            "spec": {
                "nodeClassRef": {
                    "group": "karpenter.kwok.sh",
                    "kind": "KWOKNodeClass",
                    "name": name,
                },
                "taints": [{"key": POOL_TAINT, "value": name, "effect": "NoSchedule"}],
                "requirements": [
                    _one_of("node.kubernetes.io/instance-type", types),
                    _one_of("karpenter.sh/capacity-type", ["on-demand"]),
                ],
                "expireAfter": "Never",
            },
        }
        pool = {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}}
        self._control_plane.apply(json.dumps({**node_class, "metadata": {"name": name}, **delay}))
        self._control_plane.apply(json.dumps({**pool, "spec": {"template": template, **own}}))

    def _new_process(self, home: Path) -> Process:
        kubeconfig = self._control_plane.kubeconfig_for(user="karpenter", groups=["system:masters"])
        own = {
            "KUBECONFIG": str(kubeconfig),
            "HOME": str(home),
            "FEATURE_GATES": "StaticCapacity=true,CapacityBuffer=true",
            "INSTANCE_TYPES_FILE_PATH": str(_INSTANCE_TYPES),
            "SYSTEM_NAMESPACE": "kube-system",
            "KARPENTER_SERVICE": "karpenter",
            "DISABLE_LEADER_ELECTION": "true",
            # It binds both ports on all addresses and knows no flag against that: the metrics port
            # is left to the kernel, since nobody asks there.
            "METRICS_PORT": "0",
            "HEALTH_PROBE_PORT": str(self._port),
            "MEMORY_LIMIT": "536870912",
            "CPU_REQUESTS": "1000",
            # How long it waits for more Pending pods before it buys; as shipped, 1 s and 10 s.
            "BATCH_IDLE_DURATION": "1s",
            "BATCH_MAX_DURATION": "3s",
        }
        return Process(
            "karpenter",
            [self._install.controller],
            ready_url=f"http://127.0.0.1:{self._port}/readyz",
            log=home / "karpenter.log",
            env={**without_proxies(), **own},
            cwd=home,
        )


def _one_of(key: str, values: Sequence[str]) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}
