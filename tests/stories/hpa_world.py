"""What an HPA needs to follow us: the shipped roles and APIServices, our daemon, load, a clock."""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.testbed.api import ApiRefused, Object
from tests.testbed.control_plane import ControlPlane
from tests.testbed.kwok import Kwok
from tests.testbed.loopback import ask, without_proxies
from tests.testbed.process import Process

MANIFESTS = Path(__file__).parents[2] / "manifests"
ACCOUNT = "triton-autoscaler"
SERVICE, SECRET = "triton-autoscaler-metrics", "triton-autoscaler-serving"
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta1"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
GROUP_VERSIONS = (
    "custom.metrics.k8s.io/v1beta1",
    "custom.metrics.k8s.io/v1beta2",
    "external.metrics.k8s.io/v1beta1",
)
QUEUE = f"{CUSTOM}/namespaces/default/pods/*/avg_time_queue_us"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/flower"
HPA = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/flower"
PODS = "/api/v1/namespaces/default/pods"
PORTS = _API_PORT, _STATUS_PORT = 6443, 9797
_ROLES = {"ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
_INFERENCE = {"name": "INPUT", "shape": [1, 1], "datatype": "FP32", "data": [1.0]}


@dataclass(frozen=True)
class HpaWorld:
    """A control plane that has the shipped roles and sends our groups to `address`."""

    plane: ControlPlane
    address: str

    def shipped(self, overlay: str) -> list[Object]:
        text = self.plane.kubectl("kustomize", str(MANIFESTS / "overlays" / overlay))
        return [found for found in yaml.safe_load_all(text) if found]

    def shipped_one(self, overlay: str, kind: str, name: str) -> Object:
        (found,) = (
            one
            for one in self.shipped(overlay)
            if (one["kind"], one["metadata"]["name"]) == (kind, name)
        )
        return found

    def install(self) -> None:
        """All of the flower overlay that is neither a workload nor an operator's resource."""
        found = self.shipped("flower")
        wanted = [one for one in found if one["kind"] in _ROLES | {"Namespace"}]
        services = [one for one in found if one["kind"] == "APIService"]
        for service in services:
            assert "insecureSkipTLSVerify" not in service["spec"]
            # 443 is root's; behind an ExternalName the aggregator dials this port itself.
            service["spec"]["service"]["port"] = _API_PORT
        for one in (*wanted, *services):
            self.plane.apply(json.dumps(one))
        self.plane.route_service(f"{ACCOUNT}/{SERVICE}", host=self.address, port=_API_PORT)

    @contextmanager
    def daemon(
        self, policies: Path, prometheus: str, folder: Path, *, interval: str = "1s"
    ) -> Iterator[Process]:
        """`triton-autoscaler run` as the shipped account; ready when the aggregator has it."""
        login = self.plane.kubeconfig_for(service_account=f"{ACCOUNT}/{ACCOUNT}")
        argv: list[str | Path] = [
            *(sys.executable, "-m", "autoscaler.cli", "run", f"--interval={interval}"),
            *(f"--policies={policies}", f"--prometheus={prometheus}", f"--kubeconfig={login}"),
            f"--journal={folder / 'journal.jsonl'}",
            f"--listen={self.address}:{_STATUS_PORT}",
            f"--metrics-api={self.address}:{_API_PORT}",
            f"--tls-self-signed={SERVICE}.{ACCOUNT}:{SECRET}",
        ]
        process = Process(
            "triton-autoscaler",
            argv,
            ready_url=f"http://{self.address}:{_STATUS_PORT}/livez",
            log=folder / "daemon.log",
            env=without_proxies(),
            cwd=MANIFESTS.parent,
        )
        process.start(deadline_s=30)
        try:
            for version in GROUP_VERSIONS:
                self.plane.await_apiservice(version)
            yield process
        finally:
            process.stop()
        assert "internal error" not in process.log.read_text()

    @contextmanager
    def applied(self, *objects: Object) -> Iterator[None]:
        """Gone again, with its pods, at the end."""
        for one in objects:
            self.plane.apply(json.dumps(one))
        try:
            yield
        finally:
            for one in reversed(objects):
                self._remove(one["kind"], one["metadata"]["name"])

    def _remove(self, kind: str, name: str) -> None:
        if kind == "Deployment":
            # The garbage collector is half a minute late after an API server's absence.
            self.plane.kubectl("scale", "deployment", name, "--replicas=0", "-n=default")
            until(lambda: not self.pods(name), "no pod of the story is left", within_s=120)
        self.plane.kubectl("delete", kind, name, "-n=default")

    def raw(self, path: str) -> Any:
        """`kubectl get --raw`; raises KubectlFailed."""
        return json.loads(self.plane.kubectl("get", "--raw", path))

    def asked(self, path: str) -> Object | ApiRefused:
        try:
            return self.plane.api.get(path)
        except ApiRefused as refused:
            return refused

    def queue_times(self) -> dict[str, str]:
        """By pod; of nobody where we refuse."""
        answer = self.asked(QUEUE)
        items = answer["items"] if isinstance(answer, dict) else ()
        return {item["describedObject"]["name"]: item["value"] for item in items}

    def pods(self, of: str = "") -> list[Object]:
        """All, or those of a Deployment."""
        found: list[Object] = self.plane.api.get(PODS)["items"]
        return [pod for pod in found if _deployment(pod) == of] if of else found

    def ready_addresses(self) -> list[str]:
        return [
            pod["status"]["podIP"]
            for pod in self.pods()
            if "deletionTimestamp" not in pod["metadata"]
            and any(
                (one["type"], one["status"]) == ("Ready", "True")
                for one in pod["status"].get("conditions", ())
            )
        ]

    def wanted(self) -> int:
        """What the HPA, and nobody else, writes."""
        count: int = self.plane.api.get(DEPLOYMENT)["spec"]["replicas"]
        return count

    def ready(self) -> int:
        count: int = self.plane.api.get(DEPLOYMENT).get("status", {}).get("readyReplicas", 0)
        return count

    def average(self) -> str:
        """What the HPA itself says that it read of the pods."""
        found = self.plane.api.get(HPA).get("status", {}).get("currentMetrics") or [{}]
        return str(found[0].get("pods", {}).get("current", {}).get("averageValue", ""))

    def reason(self, kind: str = "ScalingActive") -> tuple[str, str]:
        """(reason, message) of the HPA's condition."""
        found = self.plane.api.get(HPA).get("status", {}).get("conditions", ())
        says = {one["type"]: (one["reason"], one.get("message", "")) for one in found}
        return says.get(kind, ("", ""))


def _deployment(pod: Object) -> str:
    """By its ReplicaSet, whose name is that of the Deployment and a hash."""
    (owner,) = pod["metadata"].get("ownerReferences") or [{"name": ""}]
    return str(owner["name"]).rpartition("-")[0]


@contextmanager
def mig_nodes(kwok: Kwok, count: int) -> Iterator[None]:
    """Gone again at the end: nobody would keep them Ready."""
    names = kwok.add_gpu_nodes(count, resources={"nvidia.com/mig-1g.5gb": "28"})
    try:
        yield
    finally:
        for name in names:
            kwok.remove_node(name)


def quick(hpa: Object) -> Object:
    """A shipped HPA in a hurry: minutes become seconds, its bounds and target stay."""
    behavior = hpa["spec"]["behavior"]
    behavior["scaleUp"]["policies"][0]["periodSeconds"] = 5
    behavior["scaleDown"] = {
        "stabilizationWindowSeconds": 5,
        "policies": [{"type": "Pods", "value": 2, "periodSeconds": 5}],
    }
    return hpa


def until(check: Callable[[], object], what: str, *, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
        time.sleep(0.2)


def stays(world: HpaWorld, replicas: int) -> None:
    """For several looks of the HPA."""
    for _ in range(25):
        assert world.wanted() == replicas
        time.sleep(0.2)


class Timeline:
    """What happened when; told at once, past pytest's capture, by `tell`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._began = time.monotonic()
        self._tell = tell
        self.sizes: list[int] = []

    def note(self, text: str) -> None:
        self._tell(f"  {time.monotonic() - self._began:6.1f} s  {text}")

    def size(self, replicas: int, why: str) -> None:
        """Noted where it is another one than before."""
        if self.sizes[-1:] != [replicas]:
            before = f"{self.sizes[-1]} -> " if self.sizes else ""
            self.note(f"replicas {before}{replicas}  {why}")
            self.sizes.append(replicas)


@contextmanager
def load(world: HpaWorld, model: str, *, clients: int, limit_s: float) -> Iterator[None]:
    """Closed loop: each client has one request under way, at any of the Ready Tritons.

    One after the other would not do: all would queue up at the slowest, as in a convoy.
    """
    over, until_then = threading.Event(), time.monotonic() + limit_s
    addresses = world.ready_addresses()
    body = json.dumps({"inputs": [_INFERENCE]}).encode()

    def looks() -> None:
        nonlocal addresses
        while not over.wait(0.5):
            addresses = world.ready_addresses() or addresses

    def asks(seed: int) -> None:
        pick = random.Random(seed)
        while not over.is_set() and time.monotonic() < until_then:
            url = f"http://{pick.choice(addresses)}:8000/v2/models/{model}/infer"
            try:
                ask(url, data=body, timeout_s=10)
            except (OSError, http.client.HTTPException):
                over.wait(0.2)

    threads = [threading.Thread(target=looks, daemon=True)]
    threads += [threading.Thread(target=asks, args=(n,), daemon=True) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(15)
