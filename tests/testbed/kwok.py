"""The real kwok: nodes and pods that exist in the API only, by the thousand."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from tests.testbed.api import Object
from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.loopback import free_address, without_proxies
from tests.testbed.process import Process

READY_AFTER = "testbed.triton-autoscaler/ready-after"
"""Pod annotation, a Go duration: Running but not Ready for so long, as while a model loads."""
DRAIN_FOR = "testbed.triton-autoscaler/drain-for"
"""Pod annotation, a Go duration: terminating for so long before it is gone."""
OWN_KUBELET = "testbed.triton-autoscaler/own-kubelet"
"""Node label: kwok leaves this node and its pods alone."""

GPU = "nvidia.com/gpu"
_PORT = 10247
_START_LIMIT_S = 30.0
# Nothing listens there, and what connects by mistake is refused on this very machine.
_POD_RANGE, _NODE_ADDRESS = "127.128.0.0/9", "127.64.0.1"
_STAGES = Path(__file__).parent / "kwok_stages.yaml"


class Kwok:
    def __init__(self, binary: Path, control_plane: ControlPlane, *, parallelism: int = 16) -> None:
        self._binary = binary
        self._control_plane = control_plane
        self._parallelism = parallelism
        self._leaving = ExitStack()
        self._nodes = 0
        self.address = free_address(_PORT)

    def __enter__(self) -> Self:
        with ExitStack() as entering:
            home = Path(entering.enter_context(TemporaryDirectory(prefix="testbed-kwok-")))
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

    def add_gpu_nodes(
        self,
        count: int,
        *,
        gpus: int = 8,
        product: str = "NVIDIA-H200",
        resources: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Returns when they are Ready. `resources` adds others, or MIG slices instead of GPUs."""
        capacity = {"cpu": "192", "memory": "2Ti", "pods": "250", GPU: str(gpus)}
        capacity |= dict(resources or {})
        own = {"nvidia.com/gpu.product": product, "nvidia.com/gpu.count": str(gpus)}
        names = [f"gpu-{self._nodes + n}" for n in range(count)]
        self._nodes += count
        for name in names:
            known = {"kubernetes.io/hostname": name, **own, **(labels or {})}
            self._control_plane.api.post("/api/v1/nodes", _node(name, known, capacity))
        eventually(lambda: all(map(self._is_ready, names)), f"{count} nodes")
        return names

    def remove_node(self, name: str) -> None:
        self._control_plane.api.delete(f"/api/v1/nodes/{name}")

    def _is_ready(self, name: str) -> bool:
        status = self._control_plane.api.get(f"/api/v1/nodes/{name}")["status"]
        conditions = status.get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _new_process(self, home: Path) -> Process:
        config = home / "kwok.yaml"
        stages = _STAGES.read_text().replace("READY_AFTER", READY_AFTER)
        stages = stages.replace("DRAIN_FOR", DRAIN_FOR)
        config.write_text(f"{json.dumps(self._configuration())}\n---\n{stages}")
        kubeconfig = self._control_plane.kubeconfig_for(user="kwok", groups=["system:masters"])
        return Process(
            "kwok",
            [self._binary, f"--kubeconfig={kubeconfig}", f"--config={config}"],
            ready_url=f"http://{self.address}:{_PORT}/healthz",
            log=home / "kwok.log",
            env={**without_proxies(), "HOME": str(home)},
            cwd=home,
        )

    def _configuration(self) -> dict[str, Any]:
        options = {
            "manageNodesWithLabelSelector": f"!{OWN_KUBELET}",
            "cidr": _POD_RANGE,
            "nodeIP": _NODE_ADDRESS,
            "serverAddress": f"{self.address}:{_PORT}",
            "enableDebuggingHandlers": False,
            "nodeLeaseDurationSeconds": 40,
            # A configuration that leaves one of these out gets none at all, and nothing happens.
            "podPlayStageParallelism": self._parallelism,
            "nodePlayStageParallelism": self._parallelism,
            "nodeLeaseParallelism": self._parallelism,
            "podsOnNodeSyncParallelism": self._parallelism,
            "enablePodsOnNodeSyncListPager": True,
        }
        kind = {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokConfiguration"}
        return {**kind, "options": options}


def _node(name: str, labels: Mapping[str, str], capacity: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": dict(labels)},
        "status": {"capacity": dict(capacity), "allocatable": dict(capacity)},
    }
