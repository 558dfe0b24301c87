"""What kubectl shows, from a real run, written into docs/how-to/what-kubectl-shows.md.

    python -m tests.stories.kubectl_outputs

A real control plane, real Tritons, a real Prometheus and the shipped overlay `flower`; a minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.stories.hpa_world import (
    CUSTOM,
    EXTERNAL,
    MANIFESTS,
    PORTS,
    QUEUE,
    HpaWorld,
    load,
    quick,
    until,
)
from tests.stories.kubectl_page import PAGE, filled
from tests.stories.test_hpa_follows import CLIENTS, DECISION, MODEL, flower
from tests.testbed import parts
from tests.testbed.cache import say
from tests.testbed.control_plane import ControlPlane, KubectlFailed
from tests.testbed.discovery import pod_discovery
from tests.testbed.kubelet import Kubelet
from tests.testbed.loopback import free_address
from tests.testbed.prometheus_server import PrometheusServer
from tests.testbed.triton_pods import TritonPods
from tests.testbed.triton_server import model_repository

_OURS = """jq '.resources |= map(select(.name | endswith("/avg_time_queue_us")))'"""
_RATE = f"{EXTERNAL}/namespaces/default/request_rate"


class Shown:
    """Commands and what they print, by the name of their block on the page."""

    def __init__(self, world: HpaWorld) -> None:
        self._world = world
        self.blocks: dict[str, str] = {}

    def run(self, name: str, *args: str) -> None:
        try:
            printed = self._world.plane.kubectl(*args)
        except KubectlFailed as failed:
            printed = str(failed).partition(": ")[2]
        words = (f"'{one}'" if "*" in one or "{" in one else one for one in args)
        self._keep(name, f"kubectl {' '.join(words)}", printed)

    def raw(self, name: str, path: str, pipe: str = "jq") -> None:
        """As JSON that people can read, which is what jq prints."""
        found = self._world.raw(path)
        if pipe == _OURS:
            found["resources"] = [
                one for one in found["resources"] if one["name"].endswith("/avg_time_queue_us")
            ]
        printed = json.dumps(found, indent=2)
        self._keep(name, f"kubectl get --raw '{path}' | {pipe}", printed)

    def _keep(self, name: str, command: str, printed: str) -> None:
        said = [line.rstrip() for line in printed.strip().splitlines()]
        self.blocks[name] = "\n".join([f"$ {command}", *said])
        say(f"{name}: {command}")


def shown() -> dict[str, str]:
    with (
        TemporaryDirectory(prefix="kubectl-outputs-") as folder,
        ControlPlane(parts.ensure_control_plane(), hpa_sync_period="1s") as plane,
    ):
        world = HpaWorld(plane, free_address(*PORTS))
        page = Shown(world)
        page.run("before", "get", "--raw", CUSTOM)
        world.install()
        with installed(world, Path(folder)) as prometheus:
            walk(world, prometheus, page)
    return page.blocks


@contextmanager
def installed(world: HpaWorld, folder: Path) -> Iterator[PrometheusServer]:
    """One idle Triton, scraped, and the daemon."""
    models = model_repository(folder / "models", [MODEL])
    tritons = TritonPods(parts.ensure_triton(), {"flowers": models})
    discovery = pod_discovery(world.plane, namespaces=["default"])
    policies = MANIFESTS / "overlays" / "flower" / "policies"
    with (
        Kubelet(world.plane, tritons, resources={"nvidia.com/mig-1g.5gb": "7"}) as kubelet,
        PrometheusServer(parts.ensure_prometheus(), scrape_configs=[discovery]) as prometheus,
        world.daemon(policies, prometheus.url, folder),
        world.applied(flower(world, kubelet)),
    ):
        until(lambda: [*world.queue_times().values()] == ["0"], "an idle Triton", within_s=90)
        yield prometheus


def walk(world: HpaWorld, prometheus: PrometheusServer, page: Shown) -> None:
    """In the order of the page."""
    page.run("apiservices", "get", "apiservices", "v1beta1.custom.metrics.k8s.io")
    page.raw("discovery", CUSTOM, _OURS)
    page.raw("idle", QUEUE)
    hpa = quick(world.shipped_one("flower", "HorizontalPodAutoscaler", "flower"))
    with world.applied(hpa):
        until(lambda: world.average() == "0", "an HPA that reads us", within_s=60)
        page.run("hpa-idle", "get", "hpa")
        with load(world, "flowers", clients=CLIENTS, limit_s=180):
            until(lambda: world.ready() == 7, "seven Tritons", within_s=150)
            until(lambda: len(world.queue_times()) == 7, "all in the list", within_s=60)
            page.run("pods", "get", "pods")
            page.run("hpa-busy", "get", "hpa")
            page.run("busy", "get", "--raw", QUEUE)
            page.raw("decision", DECISION)
            page.raw("external", _RATE)
            prometheus.stop()
            until(lambda: world.reason()[0] == "FailedGetPodsMetric", "its complaint", within_s=60)
            page.run("blind", "get", "--raw", QUEUE)
            path = """jsonpath={.status.conditions[?(@.type=="ScalingActive")].message}"""
            page.run("hpa-blind", "get", "hpa", "flower", "-o", path)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(), shown()))
    say(f"written: {PAGE.name}")
