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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.testbed.api import ApiRefused, Object
from tests.testbed.control_plane import ControlPlane
from tests.testbed.loopback import ask, free_address, without_proxies
from tests.testbed.process import Process

MANIFESTS = Path(__file__).parents[2] / "manifests"
ACCOUNT = "triton-autoscaler"
SERVICE, SECRET = "triton-autoscaler-metrics", "triton-autoscaler-serving"
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta1"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/flower"
HPA = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/flower"
PODS = "/api/v1/namespaces/default/pods"
_API_PORT, _STATUS_PORT, _PAGES_PORT = 6443, 9797, 9100
_ROLES = {"ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
_IDLE = {
    "nv_inference_request_success": "counter",
    "nv_inference_request_failure": "counter",
    "nv_inference_count": "counter",
    "nv_inference_exec_count": "counter",
    "nv_inference_request_duration_us": "counter",
    "nv_inference_queue_duration_us": "counter",
    "nv_inference_compute_infer_duration_us": "counter",
    "nv_inference_pending_request_count": "gauge",
}
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
    def daemon(self, policies: Path, prometheus: str, folder: Path) -> Iterator[Process]:
        """`triton-autoscaler run` as the shipped account; ready when the aggregator has it."""
        login = self.plane.kubeconfig_for(service_account=f"{ACCOUNT}/{ACCOUNT}")
        argv: list[str | Path] = [
            *(sys.executable, "-m", "autoscaler.cli", "run", "--interval=1s"),
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
            for version in ("custom.metrics.k8s.io/v1beta1", "custom.metrics.k8s.io/v1beta2"):
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
                self.plane.kubectl("delete", one["kind"], one["metadata"]["name"], "-n=default")
            if any(one["kind"] == "Deployment" for one in objects):
                until(lambda: not self.pods(), "no pod of the story is left", within_s=60)

    def raw(self, path: str) -> Any:
        """`kubectl get --raw`; raises KubectlFailed."""
        return json.loads(self.plane.kubectl("get", "--raw", path))

    def asked(self, path: str) -> Object | ApiRefused:
        try:
            return self.plane.api.get(path)
        except ApiRefused as refused:
            return refused

    def pods(self) -> list[Object]:
        found: list[Object] = self.plane.api.get(PODS)["items"]
        return found

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

    def reason(self, kind: str = "ScalingActive") -> tuple[str, str]:
        """(reason, message) of the HPA's condition."""
        found = self.plane.api.get(HPA).get("status", {}).get("conditions", ())
        says = {one["type"]: (one["reason"], one.get("message", "")) for one in found}
        return says.get(kind, ("", ""))


def until(check: Callable[[], object], what: str, *, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
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


class Pages(ThreadingHTTPServer):
    """`flower_load`, which the test sets, and for each pod the counters of an idle Triton.

    Without counters of its pods we lower nothing: what those who stay would carry is not known.
    """

    daemon_threads = True

    def __init__(self, world: HpaWorld, value: float) -> None:
        self.value = value
        self._world = world
        super().__init__((free_address(_PAGES_PORT), _PAGES_PORT), _Page)

    @property
    def scrape_config(self) -> dict[str, Any]:
        target = f"{self.server_address[0]!s}:{_PAGES_PORT}"
        return {
            "job_name": "pages",
            "honor_labels": True,
            "static_configs": [{"targets": [target]}],
        }

    def text(self) -> str:
        lines = ["# TYPE flower_load gauge", f"flower_load {self.value}"]
        names = [pod["metadata"]["name"] for pod in self._world.pods()]
        for family, kind in _IDLE.items():
            lines.append(f"# TYPE {family} {kind}")
            lines += [
                f'{family}{{namespace="default",pod="{name}",model="flowers",version="1"}} 0'
                for name in names
            ]
        return "\n".join(lines) + "\n"

    @contextmanager
    def serving(self) -> Iterator[Pages]:
        with self:
            thread = threading.Thread(target=self.serve_forever, args=(0.1,))
            thread.start()
            try:
                yield self
            finally:
                self.shutdown()
                thread.join()


class _Page(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        page = self.server.text().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        pass
