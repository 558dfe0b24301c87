from collections.abc import AsyncIterator

import pytest

from autoscaler.observe.prometheus import PrometheusSource
from tests.unit.observe.fake_prometheus import INTERVAL, FakePrometheus, busy


@pytest.fixture
async def prometheus() -> AsyncIterator[FakePrometheus]:
    """A healthy Prometheus with one busy pod."""
    async with FakePrometheus(busy()).serving() as server:
        yield server


@pytest.fixture
async def source(prometheus: FakePrometheus) -> AsyncIterator[PrometheusSource]:
    source = PrometheusSource(prometheus.url, scrape_interval=INTERVAL, at=True)
    yield source
    await source.close()
