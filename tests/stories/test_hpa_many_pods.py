"""10,000 pods: through the real API server, to the real HPA, with numbers that are right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.figures import resident_mb
from tests.stories.hpa_crowd import deployed
from tests.stories.hpa_pages import Load, Pages
from tests.stories.hpa_world import (
    MANIFESTS,
    PORTS,
    QUEUE,
    HpaWorld,
    Timeline,
    quick,
    stays,
    until,
)
from tests.testbed.control_plane import ControlPlane
from tests.testbed.loopback import free_address
from tests.testbed.parts import ControlPlaneBinaries, PrometheusBinaries
from tests.testbed.prometheus_server import PrometheusServer

pytestmark = pytest.mark.real

PODS = 10_000
# Nobody else, or they would set about these pods.
CONTROLLERS = "horizontal-pod-autoscaler-controller,serviceaccount-controller"


@pytest.fixture
def vast(control_plane_binaries: ControlPlaneBinaries) -> Iterator[HpaWorld]:
    with ControlPlane(
        control_plane_binaries,
        hpa_sync_period="5s",
        controller_manager_args=[f"--controllers={CONTROLLERS}"],
    ) as plane:
        found = HpaWorld(plane, free_address(*PORTS))
        found.install()
        yield found


def test_ten_thousand_pods_reach_the_hpa(
    vast: HpaWorld,
    timeline: Timeline,
    prometheus_binaries: PrometheusBinaries,
    tmp_path: Path,
) -> None:
    """Every other pod waits 80 ms, the others 20: on average 50, where the shipped HPA stays."""
    names = deployed(vast.plane, vast.shipped_one("flower", "Deployment", "flower"), PODS)
    timeline.note(f"{PODS:,} pods are there")
    policies = MANIFESTS / "overlays" / "flower" / "policies"
    pages = Pages(vast, pods=lambda: names)
    pages.usual = {"flowers": Load(rate=20.0, queue_us=20_000)}
    pages.special = {name: {"flowers": Load(20.0, 80_000)} for name in names[::2]}
    with (
        pages.serving(),
        PrometheusServer(
            prometheus_binaries, scrape_configs=[pages.scrape_config], scrape_interval="5s"
        ) as prometheus,
        vast.daemon(policies, prometheus.url, tmp_path, interval="5s") as daemon,
    ):
        until(lambda: len(vast.queue_times()) == PODS, "all of them in the list", within_s=120)
        timeline.note(f"all in the list; the daemon holds {resident_mb(daemon.pid):.0f} MiB")
        items = {one["describedObject"]["name"]: one["value"] for one in vast.raw(QUEUE)["items"]}
        assert items == {name: "20k" if n % 2 else "80k" for n, name in enumerate(names)}
        hpa = quick(vast.shipped_one("flower", "HorizontalPodAutoscaler", "flower"))
        hpa["spec"] |= {"minReplicas": 1, "maxReplicas": 2 * PODS}
        with vast.applied(hpa):
            until(lambda: vast.average() == "50k", "the HPA's own average", within_s=120)
            timeline.note(f"the HPA reads {vast.average()}, and stays")
            stays(vast, PODS)
        timeline.note(f"the daemon holds {resident_mb(daemon.pid):.0f} MiB")
