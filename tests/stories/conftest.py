"""What the stories of the real HPA share: a control plane, a fleet on it, a timeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.hpa_bed import Bed
from tests.stories.hpa_pages import IDLE, Pages
from tests.stories.hpa_world import MANIFESTS, PORTS, HpaWorld, Timeline, mig_nodes
from tests.testbed.control_plane import ControlPlane
from tests.testbed.kwok import Kwok
from tests.testbed.loopback import free_address
from tests.testbed.parts import ControlPlaneBinaries, PrometheusBinaries
from tests.testbed.prometheus_server import PrometheusServer


@pytest.fixture(scope="package")
def world(control_plane_binaries: ControlPlaneBinaries) -> Iterator[HpaWorld]:
    """With the shipped roles, and an HPA that looks each second."""
    with ControlPlane(control_plane_binaries, hpa_sync_period="1s") as plane:
        found = HpaWorld(plane, free_address(*PORTS))
        found.install()
        yield found


@pytest.fixture
def timeline(capsys: pytest.CaptureFixture[str]) -> Timeline:
    def tell(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)

    tell("")
    return Timeline(tell)


@pytest.fixture(scope="module")
def one_bed(
    world: HpaWorld,
    kwok_binary: Path,
    prometheus_binaries: PrometheusBinaries,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Bed]:
    policies = MANIFESTS / "overlays" / "flower" / "policies"
    with (
        Pages(world).serving() as pages,
        Kwok(kwok_binary, world.plane) as kwok,
        PrometheusServer(prometheus_binaries, scrape_configs=[pages.scrape_config]) as prometheus,
        mig_nodes(kwok, 1),
        world.daemon(policies, prometheus.url, tmp_path_factory.mktemp("trouble")),
    ):
        yield Bed(world, pages, prometheus)


@pytest.fixture
def bed(one_bed: Bed) -> Bed:
    """With pods that are idle."""
    pages = one_bed.pages
    pages.usual, pages.special, pages.nan_counters = IDLE, {}, False
    return one_bed
