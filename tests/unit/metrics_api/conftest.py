from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.metrics_api.served import Served, flower


@pytest.fixture
async def api() -> AsyncIterator[Served]:
    """Before its first tick."""
    async with Served().running() as served:
        yield served


@pytest.fixture
def flowers(api: Served) -> Served:
    """After a tick that saw the Deployment flower."""
    api.tick(flower())
    return api
