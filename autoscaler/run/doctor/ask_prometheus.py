"""Reading Prometheus for the checks, through the source that the daemon itself uses."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from typing import Any

import aiohttp

from autoscaler.model import Metric, Missing, Policy
from autoscaler.observe import columns
from autoscaler.observe.gpu import gpu_queries
from autoscaler.observe.port import PodKey, Readings
from autoscaler.observe.prometheus import PrometheusSource
from autoscaler.observe.query_api import Access, QueryApi
from autoscaler.observe.triton import scrape_times_query
from autoscaler.observe.windows import windows_for
from autoscaler.run.doctor.evidence import PrometheusEvidence, Unread

NO_SAMPLES = Missing("no pod has two samples of Triton's series within five minutes")
EXAMPLES = 4


async def ask_prometheus(
    access: Access, policies: Sequence[Policy], now: float, deadline: float
) -> PrometheusEvidence:
    """Everything about Prometheus within `deadline` seconds. Never raises for what it does."""
    queries = sorted({o.query for p in policies for o in p.objectives if isinstance(o, Metric)})
    source, api = PrometheusSource(access), QueryApi(access)
    try:
        version, readings = await asyncio.gather(
            _version(access, deadline / 2), source.read(queries, now, deadline / 2)
        )
        interval = await _interval(api, readings, deadline / 4)
        duty = await _duty(api, readings, interval, deadline / 4)
    finally:
        await source.close()
        await api.close()
    return PrometheusEvidence(access.url.rstrip("/"), version, readings, interval, duty)


async def _interval(api: QueryApi, readings: Readings, deadline: float) -> float | Missing:
    """As the data shows it: what a monitor says and what happens may differ."""
    if readings.failed:
        return Missing(readings.failed)
    names = sorted({pod for _, pod in readings.pods})
    examples = names[:: max(1, len(names) // EXAMPLES)][:EXAMPLES]
    if not examples:
        return NO_SAMPLES
    ask = {"interval": (scrape_times_query(examples), columns.scrape_interval)}
    found = (await api.ask(ask, None, deadline))["interval"]
    if isinstance(found, Missing):
        return found
    return NO_SAMPLES if found is None else float(found)


async def _duty(
    api: QueryApi, readings: Readings, interval: float | Missing, deadline: float
) -> dict[PodKey, tuple[float, str]] | Missing:
    if readings.failed:
        return Missing(readings.failed)
    windows = readings.windows if isinstance(interval, Missing) else windows_for(interval)
    ask = {"duty": (gpu_queries(windows)["duty cycle"], columns.per_pod)}
    found: dict[PodKey, tuple[float, str]] | Missing = (await api.ask(ask, None, deadline))["duty"]
    return found


async def _version(access: Access, deadline: float) -> str | Unread:
    """From /api/v1/status/buildinfo, which only Prometheus itself has."""
    try:
        headers = access.authorization()
        context: ssl.SSLContext | bool = access.verify
        if access.ca_file is not None:
            context = ssl.create_default_context(cafile=str(access.ca_file))
        url = access.url.rstrip("/") + "/api/v1/status/buildinfo"
        limit = aiohttp.ClientTimeout(total=deadline)
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=True) as session,
            session.get(url, headers=headers, ssl=context) as response,
        ):
            if response.status != 200:
                return Unread(f"HTTP {response.status}", response.status)
            data: Any = json.loads(await response.content.read(65_536))
            return str(data["data"]["version"])
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return Unread(str(error) or "no answer in time")
    except (ValueError, KeyError, TypeError):
        return Unread("no version in its answer")
