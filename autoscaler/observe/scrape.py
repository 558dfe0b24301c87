"""Signals from the Triton pages themselves: no Prometheus needed, and fresher by a scrape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import aiohttp

from autoscaler.clock import Clock, SystemClock
from autoscaler.model import Missing, Windows
from autoscaler.observe.history import History
from autoscaler.observe.pages import PageError, PageReader
from autoscaler.observe.port import SCRAPE_SLACK, SCRAPES_MISSED, PodKey, Readings
from autoscaler.observe.windows import windows_for
from autoscaler.units import format_duration

CONCURRENCY = 64
# A page of 20 models with summaries is 100 kB.
LARGEST_PAGE = 32 * 2**20
NO_PROMQL = Missing("a PromQL query needs Prometheus: this source reads Triton's pages directly")

# (namespace, pod) → the URL of its metrics page
Endpoints = Callable[[], Mapping[PodKey, str]]


class ScrapeSource:
    """Scrapes every endpoint on each read and keeps the pages of the slow window.

    `interval` is the seconds between reads. A page that cannot be had or used leaves the last
    good one in place for three intervals; then the pod's signals are Missing with the reason.
    """

    name = "scrape"

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        interval: float = 5.0,
        windows: Windows | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._interval = interval
        self._windows = windows or windows_for(interval)
        self._clock = clock or SystemClock()
        self._reader = PageReader()
        self._pods: dict[PodKey, History] = {}
        self._session: aiohttp.ClientSession | None = None

    @property
    def windows(self) -> Windows:
        return self._windows

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def read(self, queries: Sequence[str], now: float, deadline: float) -> Readings:
        """See `Source.read`. Nothing that a server does raises here."""
        endpoints = self._endpoints()
        self._pods = {key: self._pods.get(key) or History() for key in endpoints}
        await self._scrape_all(endpoints, now, deadline)
        fresh_for = SCRAPES_MISSED * self._interval + SCRAPE_SLACK
        readings = {
            key: history.reading(now, self._windows, fresh_for)
            for key, history in self._pods.items()
        }
        return Readings(
            at=now,
            windows=self._windows,
            source=self.name,
            pods=readings,
            metrics=dict.fromkeys(queries, NO_PROMQL),
            problems=tuple(self._problems()),
            scrape_interval=self._interval,
        )

    async def _scrape_all(
        self, endpoints: Mapping[PodKey, str], now: float, deadline: float
    ) -> None:
        started = self._clock.monotonic()
        limit = asyncio.Semaphore(CONCURRENCY)

        async def scrape(key: PodKey, url: str) -> None:
            history = self._pods[key]
            try:
                async with asyncio.timeout(deadline), limit:
                    # The page's own moment, on the caller's clock: a walking clock stands still.
                    at = now + self._clock.monotonic() - started
                    page = self._reader.read(await self._fetch(url))
            except TimeoutError:
                history.failed = f"no page from {url} within {format_duration(deadline)}"
            except PageError as error:
                history.failed = f"{url}: {error}"
            except (aiohttp.ClientError, OSError, ValueError) as error:
                history.failed = f"no page from {url}: {error or type(error).__name__}"
            else:
                history.add(at, page, self._windows.slow + 2 * self._interval)

        await asyncio.gather(*(scrape(key, url) for key, url in endpoints.items()))

    async def _fetch(self, url: str) -> str:
        if self._session is None:
            # Pods are reached directly: no proxy of the environment in between.
            self._session = aiohttp.ClientSession(trust_env=False)
        async with self._session.get(url, headers={"Accept": "text/plain"}) as response:
            if response.status != 200:
                raise PageError(f"HTTP {response.status}")
            parts, size = [], 0
            async for part in response.content.iter_chunked(2**16):
                size += len(part)
                if size > LARGEST_PAGE:
                    raise PageError(f"the page is over {LARGEST_PAGE // 2**20} MiB")
                parts.append(part)
        return b"".join(parts).decode()

    def _problems(self) -> list[str]:
        if not self._pods:
            return ["no pod to scrape is known"]
        failed = [
            f"{pod}: {history.failed}"
            for (_, pod), history in sorted(self._pods.items())
            if history.failed is not None
        ]
        more = [f"and {len(failed) - 5} more pods whose page failed"] if len(failed) > 5 else []
        return failed[:5] + more
