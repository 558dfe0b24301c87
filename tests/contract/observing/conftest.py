"""A control plane of these tests' own: they taint nodes and bring their own kinds."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.observing.world import World
from tests.testbed.control_plane import ControlPlane
from tests.testbed.kwok import Kwok
from tests.testbed.parts import ControlPlaneBinaries


@pytest.fixture(scope="session")
def plane(
    control_plane_binaries: ControlPlaneBinaries, kwok_binary: Path
) -> Iterator[tuple[ControlPlane, Kwok]]:
    with (
        ControlPlane(control_plane_binaries, hpa_sync_period="1s") as running,
        Kwok(kwok_binary, running) as kwok,
    ):
        kwok.add_gpu_nodes(2)
        yield running, kwok


@pytest.fixture
def world(plane: tuple[ControlPlane, Kwok]) -> Iterator[World]:
    control_plane, kwok = plane
    name = f"test-{secrets.token_hex(4)}"
    control_plane.create_namespace(name)
    yield World(control_plane, kwok, name)
    control_plane.kubectl("delete", "namespace", name, "--wait=false")
