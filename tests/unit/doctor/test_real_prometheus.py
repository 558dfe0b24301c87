"""doctor before a real Prometheus: first nothing is scraped, then one pod is, each second."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from autoscaler.observe.query_api import Access
from autoscaler.run.doctor import Finding, examine
from autoscaler.run.doctor.gather import Where, gather
from tests.testbed.parts import PrometheusBinaries
from tests.testbed.prometheus_server import PrometheusServer
from tests.testbed.targets import Targets
from tests.unit.cli.fleet import triton
from tests.unit.doctor.clinic import POLICY

pytestmark = pytest.mark.real

POD = "flower-5cf8b78894-2qqz8"


async def look(url: str, policy: Path) -> dict[str, Finding]:
    where = Where(policies=[policy], prometheus=Access(url), kubernetes=False)
    return {f.check: f for f in examine(await gather(where, time.time(), 10.0))}


async def test_from_nothing_scraped_to_a_healthy_pod(
    prometheus_versions: PrometheusBinaries, tmp_path: Path
) -> None:
    policy = tmp_path / "flower.yaml"
    policy.write_text(POLICY % ("observe", ""))
    targets = Targets(tmp_path / "targets.json")
    scraped = [targets.scrape_config("triton")]
    with triton() as page, PrometheusServer(prometheus_versions, scrape_configs=scraped) as server:
        empty = await look(server.url, policy)
        assert empty["prometheus-reachable"].status == "ok"
        assert empty["prometheus-version"].status == "ok"
        assert "is Triton's port 8002 scraped" in empty["prometheus-answers"].what
        assert empty["scrape-interval"].status == "unknown"
        assert empty["series"].status == "fail"

        address = page.url.removeprefix("http://").removesuffix("/metrics")
        targets.add(address, {"namespace": "default", "pod": POD})
        found = await healthy(server.url, policy)
        assert "scraped every 1s" in found["scrape-interval"].what
        assert found["series"].what == "fresh series of 1 live pod, by their names"
        assert found["duty-cycle"].status == "ok"


async def healthy(url: str, policy: Path) -> dict[str, Finding]:
    for _ in range(60):
        found = await look(url, policy)
        if all(found[check].status == "ok" for check in ("scrape-interval", "series", "signals")):
            return found
        await asyncio.sleep(0.5)
    raise AssertionError(found)
