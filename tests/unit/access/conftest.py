from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from autoscaler.kube import watch
from tests.unit.access.doorway import Doorway, doorway
from tests.unit.kube.conftest import api, client

__all__ = ["api", "client", "door"]


@pytest.fixture
async def door(
    api: object, client: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Doorway]:
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.01)
    async with doorway(api, client, tmp_path) as opened:  # type: ignore[arg-type]
        yield opened
