"""Everything at once, for a person: control plane, fake and real nodes, Prometheus."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.testbed import parts
from tests.testbed.cache import say
from tests.testbed.control_plane import ControlPlane
from tests.testbed.discovery import pod_discovery
from tests.testbed.kubelet import Kubelet
from tests.testbed.kwok import Kwok
from tests.testbed.models import ToyModel, model_repository
from tests.testbed.prometheus_server import PrometheusServer
from tests.testbed.triton_pods import MODELS, TritonPods

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TOYS = (ToyModel("toy", delay_s=0.02, max_queue_size=64),)


@dataclass(frozen=True)
class Cluster:
    control_plane: ControlPlane
    kwok: Kwok
    kubelet: Kubelet
    tritons: TritonPods
    prometheus: PrometheusServer
    example: Path
    """A Deployment whose pods are real Tritons."""


@contextmanager
def cluster(
    *, gpu_nodes: int = 4, hpa_sync_period: str = "15s", scrape_interval: str = "5s"
) -> Iterator[Cluster]:
    with ExitStack() as leaving:
        scratch = Path(leaving.enter_context(TemporaryDirectory(prefix="testbed-cluster-")))
        say("starting etcd, kube-apiserver, kube-controller-manager and kube-scheduler")
        plane = ControlPlane(parts.ensure_control_plane(), hpa_sync_period=hpa_sync_period)
        leaving.enter_context(plane)
        say(f"starting kwok with {gpu_nodes} GPU nodes, a kubelet and Prometheus")
        kwok = leaving.enter_context(Kwok(parts.ensure_kwok(), plane))
        kwok.add_gpu_nodes(gpu_nodes)
        tritons = TritonPods(
            parts.ensure_triton(), {"toy": model_repository(scratch / "models", _TOYS)}
        )
        kubelet = leaving.enter_context(Kubelet(plane, tritons))
        prometheus = PrometheusServer(
            parts.ensure_prometheus(),
            # By annotation: pods of kwok answer nobody, and would be down for ever.
            scrape_configs=[_scraped(plane, kubelet.node)],
            scrape_interval=scrape_interval,
        )
        leaving.enter_context(prometheus)
        example = scratch / "real-triton.yaml"
        example.write_text(json.dumps(_example(kubelet), indent=1))
        yield Cluster(plane, kwok, kubelet, tritons, prometheus, example)


def run_until_told(*, gpu_nodes: int, hpa_sync_period: str, kubeconfig: Path | None) -> int:
    """Until Ctrl-C, SIGTERM or the end of the terminal; whatever was started is ended."""
    # SIGINT too: a shell that starts this in the background has it ignored.
    for number in _ENDS:
        signal.signal(number, signal.default_int_handler)
    try:
        with cluster(gpu_nodes=gpu_nodes, hpa_sync_period=hpa_sync_period) as running:
            _tell(running, kubeconfig)
            try:
                threading.Event().wait()
            finally:
                # A second Ctrl-C must not leave half of it behind.
                for number in _ENDS:
                    signal.signal(number, signal.SIG_IGN)
                say("ending everything")
    except KeyboardInterrupt:
        say("ended")
    finally:
        if kubeconfig is not None:
            kubeconfig.unlink(missing_ok=True)
    return 0


def _tell(running: Cluster, kubeconfig: Path | None) -> None:
    plane = running.control_plane
    path = plane.kubeconfig
    if kubeconfig is not None:
        kubeconfig.write_bytes(path.read_bytes())
        kubeconfig.chmod(0o600)
        path = kubeconfig
    say(f"API server   {plane.url}")
    say(f"Prometheus   {running.prometheus.url}")
    say(f"kubectl      {plane.kubectl_binary}")
    say(f"real Triton  kubectl apply -f {running.example}")
    say("Ctrl-C ends it")
    print(f"export KUBECONFIG={path}", flush=True)


def _scraped(plane: ControlPlane, node: str) -> dict[str, object]:
    config = pod_discovery(plane)
    here = {"source_labels": ["__meta_kubernetes_pod_node_name"], "regex": node, "action": "keep"}
    return {**config, "relabel_configs": [here, *config["relabel_configs"]]}


def _example(kubelet: Kubelet) -> dict[str, object]:
    labels = {"app": "flower"}
    ports = [
        {"name": name, "containerPort": port}
        for name, port in (("http", 8000), ("grpc", 8001), ("metrics", 8002))
    ]
    triton = {"name": "triton", "image": "nvcr.io/nvidia/tritonserver:24.10-py3", "ports": ports}
    pod = {"containers": [triton], **kubelet.placement}
    template = {"metadata": {"labels": labels, "annotations": {MODELS: "toy"}}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "flower", "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
