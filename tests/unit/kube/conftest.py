from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from autoscaler.kube.client import KubeClient
from tests.unit.kube.scripted import ScriptedApi


@pytest.fixture
async def api() -> AsyncIterator[ScriptedApi]:
    async with ScriptedApi().serving() as server:
        yield server


@pytest.fixture
async def client(api: ScriptedApi, tmp_path: Path) -> AsyncIterator[KubeClient]:
    client = await api.client(tmp_path)
    yield client
    await client.close()
