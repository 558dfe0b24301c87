"""The control plane of the test bed does what the stories built on it take for granted."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.authority import Authority
from tests.testbed.control_plane import ControlPlane, KubectlFailed, eventually
from tests.testbed.credentials import FRONT_PROXY_USER
from tests.testbed.discovery import pod_discovery
from tests.testbed.kubelet import Kubelet
from tests.testbed.kwok import DRAIN_FOR, READY_AFTER, Kwok
from tests.testbed.loopback import free_address
from tests.testbed.parts import ControlPlaneBinaries, PrometheusBinaries, TritonInstall
from tests.testbed.prometheus_server import PrometheusServer
from tests.testbed.triton_pods import MODELS, TritonPods
from tests.testbed.triton_server import ToyModel, model_repository

pytestmark = pytest.mark.real

_GROUP_VERSION = "echo.testbed.example/v1"
_PORT = 8443


def deployment(
    namespace: str,
    replicas: int,
    *,
    annotations: Mapping[str, str] | None = None,
    pod: Mapping[str, Any] | None = None,
) -> str:
    labels = {"app": "flower"}
    triton = {"name": "triton", "image": "triton", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    template = {
        "metadata": {"labels": labels, "annotations": dict(annotations or {})},
        "spec": {"containers": [triton], **(pod or {})},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"namespace": namespace, "name": "flower"}
    kind = {"apiVersion": "apps/v1", "kind": "Deployment"}
    return json.dumps({**kind, "metadata": metadata, "spec": spec})


def pods_of(plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = plane.api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    return found


def ready_replicas(plane: ControlPlane, namespace: str) -> int:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/flower"
    count: int = plane.api.get(path).get("status", {}).get("readyReplicas", 0)
    return count


def test_pods_on_kwoks_gpu_nodes_become_ready(
    control_plane: ControlPlane, kwok: Kwok, fresh_namespace: str
) -> None:
    control_plane.apply(deployment(fresh_namespace, 3))
    eventually(lambda: ready_replicas(control_plane, fresh_namespace) == 3, "three Ready pods")
    assert len({pod["status"]["podIP"] for pod in pods_of(control_plane, fresh_namespace)}) == 3


def test_pods_load_and_drain_for_as_long_as_their_annotations_say(
    control_plane: ControlPlane, kwok: Kwok, fresh_namespace: str
) -> None:
    slow = {READY_AFTER: "2s", DRAIN_FOR: "2s"}
    control_plane.apply(deployment(fresh_namespace, 1, annotations=slow))

    def phases() -> list[str]:
        return [pod["status"]["phase"] for pod in pods_of(control_plane, fresh_namespace)]

    def terminating() -> bool:
        pods = pods_of(control_plane, fresh_namespace)
        return bool(pods) and all("deletionTimestamp" in pod["metadata"] for pod in pods)

    eventually(lambda: phases() == ["Running"], "a running pod")
    assert ready_replicas(control_plane, fresh_namespace) == 0
    eventually(lambda: ready_replicas(control_plane, fresh_namespace) == 1, "a Ready pod")
    control_plane.kubectl("scale", "deployment/flower", "--replicas=0", "-n", fresh_namespace)
    eventually(terminating, "a terminating pod")
    eventually(lambda: not pods_of(control_plane, fresh_namespace), "no pod")


def test_the_real_hpa_says_why_it_cannot_scale(
    control_plane: ControlPlane, kwok: Kwok, fresh_namespace: str
) -> None:
    control_plane.apply(deployment(fresh_namespace, 1))
    target = {"type": "AverageValue", "averageValue": "50"}
    metric = {"type": "Pods", "pods": {"metric": {"name": "avg_time_queue_us"}, "target": target}}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "flower"},
        "maxReplicas": 7,
        "metrics": [metric],
        # Kubernetes >= 1.35; before that a step of less than a tenth is swallowed.
        "behavior": {"scaleUp": {"tolerance": "0"}, "scaleDown": {"tolerance": "0"}},
    }
    kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    metadata = {"namespace": fresh_namespace, "name": "flower"}
    control_plane.apply(json.dumps({**kind, "metadata": metadata, "spec": spec}))
    path = f"/apis/autoscaling/v2/namespaces/{fresh_namespace}/horizontalpodautoscalers/flower"

    def reasons() -> set[str]:
        status = control_plane.api.get(path).get("status", {})
        return {condition["reason"] for condition in status.get("conditions", [])}

    eventually(lambda: "FailedGetPodsMetric" in reasons(), "the HPA's complaint")
    shown = control_plane.api.get(path)["spec"]["behavior"]["scaleUp"]
    assert shown["tolerance"] == "0"


def test_an_account_may_do_what_its_role_says_and_nothing_else(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.kubectl("create", "serviceaccount", "reader", "-n", fresh_namespace)
    reader = control_plane.kubeconfig_for(service_account=f"{fresh_namespace}/reader")
    with pytest.raises(KubectlFailed, match=r"(?i)forbidden"):
        control_plane.kubectl("get", "pods", "-n", fresh_namespace, kubeconfig=reader)
    control_plane.kubectl(
        *("create", "rolebinding", "reader", "--clusterrole=view", "-n", fresh_namespace),
        f"--serviceaccount={fresh_namespace}:reader",
    )
    control_plane.kubectl("get", "pods", "-n", fresh_namespace, kubeconfig=reader)
    user = control_plane.kubeconfig_for(user="jane", groups=["dev", "sre"])
    assert "sre" in control_plane.kubectl("auth", "whoami", kubeconfig=user)


class _Backend(ThreadingHTTPServer):
    """An aggregated API that answers everything with the request as it came."""

    daemon_threads = True


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        peer = self.connection.getpeercert() or {}
        rows: Any = peer.get("subject", ())
        subject = [value for row in rows for _, value in row]
        names = {name for name in self.headers if name.lower().startswith("x-remote")}
        headers = {name.lower(): self.headers.get_all(name) for name in names}
        body = json.dumps({"path": self.path, "headers": headers, "peer": subject}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@contextmanager
def _backend(plane: ControlPlane, service: str, folder: Path) -> Iterator[None]:
    """Registered under a certificate of its own authority; on leaving it is gone again."""
    namespace, name = service.split("/")
    authority = Authority(folder, "backend-ca")
    serving = authority.serving("serving", f"{name}.{namespace}.svc")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(plane.front_proxy_ca))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(serving.certificate, serving.key)
    address = free_address(_PORT)
    with _Backend((address, _PORT), _Echo) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.1,))
        thread.start()
        try:
            plane.apiservice_backend(
                _GROUP_VERSION, service=service, host=address, port=_PORT, ca_bundle=authority.pem
            )
            plane.await_apiservice(_GROUP_VERSION)
            yield
        finally:
            plane.kubectl("delete", "apiservice", "v1.echo.testbed.example")
            server.shutdown()
            thread.join()


def test_the_aggregator_vouches_for_a_user_with_its_certificate(
    control_plane: ControlPlane, fresh_namespace: str, tmp_path: Path
) -> None:
    service = f"{fresh_namespace}/echo"
    jane = control_plane.kubeconfig_for(user="jane", groups=["system:masters", "sre"])
    with _backend(control_plane, service, tmp_path):
        path = f"/apis/{_GROUP_VERSION}/flowers"
        answer = json.loads(control_plane.kubectl("get", "--raw", path, kubeconfig=jane))
    assert answer["path"] == path
    assert answer["peer"] == [FRONT_PROXY_USER]
    assert answer["headers"]["x-remote-user"] == ["jane"]
    assert answer["headers"]["x-remote-group"] == ["system:masters", "sre", "system:authenticated"]


def test_prometheus_discovers_a_real_triton_that_the_kubelet_runs(
    control_plane: ControlPlane,
    fresh_namespace: str,
    prometheus_binaries: PrometheusBinaries,
    triton_install: TritonInstall,
    tmp_path: Path,
) -> None:
    toys = model_repository(tmp_path / "toys", [ToyModel("toy")])
    tritons = TritonPods(triton_install, {"toys": toys})
    discovery = pod_discovery(control_plane, namespaces=[fresh_namespace])
    up = f'up{{namespace="{fresh_namespace}",container="triton"}} == 1'
    with (
        Kubelet(control_plane, tritons) as kubelet,
        PrometheusServer(prometheus_binaries, scrape_configs=[discovery]) as prometheus,
    ):
        toy, placed = {MODELS: "toys"}, kubelet.placement
        control_plane.apply(deployment(fresh_namespace, 1, annotations=toy, pod=placed))
        eventually(lambda: ready_replicas(control_plane, fresh_namespace) == 1, "a Ready Triton")
        eventually(lambda: len(prometheus.query(up)) == 1, "a target that is up")
        (pod,) = pods_of(control_plane, fresh_namespace)
        (sample,) = prometheus.query(up)
        assert sample.labels["pod"] == pod["metadata"]["name"]
        assert sample.labels["instance"] == f"{pod['status']['podIP']}:8002"
        control_plane.kubectl("delete", "deployment", "flower", "-n", fresh_namespace)
        eventually(lambda: not pods_of(control_plane, fresh_namespace), "no pod")
        eventually(lambda: not prometheus.query(up), "no target")


def test_the_kubelet_restarts_a_triton_that_crashes(
    control_plane: ControlPlane,
    fresh_namespace: str,
    triton_install: TritonInstall,
    tmp_path: Path,
) -> None:
    tritons = TritonPods(
        triton_install,
        {"toys": model_repository(tmp_path / "toys", [ToyModel("toy")])},
        default="toys",
    )
    with Kubelet(control_plane, tritons) as kubelet:
        control_plane.apply(deployment(fresh_namespace, 1, pod=kubelet.placement))
        eventually(lambda: ready_replicas(control_plane, fresh_namespace) == 1, "a Ready Triton")
        (server,) = tritons.servers.values()
        server.process.kill()

        def restarts() -> int:
            (pod,) = pods_of(control_plane, fresh_namespace)
            count: int = pod["status"]["containerStatuses"][0]["restartCount"]
            return count

        eventually(lambda: restarts() == 1, "a restart")
        eventually(lambda: ready_replicas(control_plane, fresh_namespace) == 1, "a Ready Triton")


def test_certificates_rotate_and_the_server_comes_back_from_a_crash(
    control_plane_binaries: ControlPlaneBinaries, tmp_path: Path
) -> None:
    path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    with ControlPlane(control_plane_binaries) as plane:

        def published() -> str:
            return str(plane.api.get(path)["data"]["requestheader-client-ca-file"])

        old = published()
        plane.rotate_front_proxy_ca(keep_old=False)
        new = plane.front_proxy_ca.read_text()
        eventually(lambda: new in published(), "the new CA in the ConfigMap", within_s=75)
        # Kubernetes publishes a CA until it expires, whatever the server's own file says.
        assert old in published()
        with _backend(plane, "default/echo", tmp_path):  # which trusts the new CA alone
            answer = json.loads(plane.kubectl("get", "--raw", f"/apis/{_GROUP_VERSION}/flowers"))
            assert answer["peer"] == [FRONT_PROXY_USER]
        plane.stop_apiserver(crash=True)
        with pytest.raises(OSError, match="refused"):
            plane.api.get("/version")
        plane.start_apiserver()
        assert plane.api.get("/version")["gitVersion"] == "v1.36.3"
