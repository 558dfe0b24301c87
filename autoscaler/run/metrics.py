"""The metrics API beside the loop: who may ask, what each tick leaves to be asked about.

It has a thread and an event loop of its own, and nothing of the tick's but frozen views: to join
and decide 10,000 pods takes most of a second, and requests do not wait for that. What is left is
the interpreter's lock, which the tick gives away every SWITCH seconds.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoscaler.clock import Clock
from autoscaler.model import Missing, Target
from autoscaler.run.loop import Tick
from autoscaler.serve.access.assembly import Access, CertificateSource
from autoscaler.serve.board import Board, alive, ready
from autoscaler.serve.loop_thread import LoopThread
from autoscaler.serve.metrics_api.catalog import Catalog
from autoscaler.serve.metrics_api.server import MetricsApi
from autoscaler.serve.metrics_api.views import MetricsView, TargetLabels, build
from autoscaler.serve.server import ListenError

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient
    from autoscaler.observe.cluster import ClusterReading

# Python's own is 5 ms. At 10,000 pods an open loop's p99 was 288 and 439 ms with that and 246 and
# 367 ms with this, in turns on a busy machine: hardly beyond the noise.
SWITCH = 0.0005
# A view that the thread has not taken up after so long: it hangs.
TAKEN_WITHIN = 30.0
CLOSE_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """`--metrics-api`, `--tls-…` and `--metric-name`."""

    host: str
    port: int
    certificate: CertificateSource
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class Counts:
    """So far: answers rendered, reviews asked of the API server, handshakes refused."""

    rendered: int
    reviews: int
    handshakes_refused: int


class MetricsServing:
    """Opened before the first tick, told of each one, closed at the end; by the tick's thread.

    `connect` makes the client that the API's own thread uses: connections belong to a loop.
    """

    def __init__(
        self,
        settings: MetricsSettings,
        connect: Callable[[], Awaitable[KubeClient | None]],
        clock: Clock,
        board: Board,
        log: Any,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._clock = clock
        self._board = board
        self._log = log
        self._thread = LoopThread("metrics API", self._broke)
        self._client: KubeClient | None = None
        self._access: Access | None = None
        self._api: MetricsApi | None = None
        self._switch = sys.getswitchinterval()
        self._waiting_since = math.inf  # monotonic; of the oldest view that was not taken up

    async def open(self) -> None:
        """Raises ListenError; what is missing outside is in `problems` and is tried again."""
        sys.setswitchinterval(SWITCH)
        self._thread.start()
        address = await self._thread.run(self._open())
        self._log.info("serving the metrics API", address=address)

    async def close(self) -> None:
        if self._thread.alive:
            try:
                async with asyncio.timeout(CLOSE_WITHIN):
                    await self._thread.run(self._close())
            except Exception as error:  # noqa: BLE001 -- told; the process ends all the same
                self._broke(error)
        await self._thread.close()
        sys.setswitchinterval(self._switch)

    @property
    def problems(self) -> tuple[str, ...]:
        """Of access, and of the thread itself."""
        found = self._access.problems if self._access else ()
        if not self._thread.alive:
            return (*found, "the metrics API has stopped: restart the daemon")
        silent = self._clock.monotonic() - self._waiting_since
        if silent > TAKEN_WITHIN:
            return (*found, f"the metrics API has not taken up a tick for {silent:.0f} s: it hangs")
        return found

    @property
    def counts(self) -> Counts:
        assert self._api is not None
        assert self._access is not None
        return Counts(self._api.answers.rendered, self._access.reviews.made, self._access.refused)

    def publish(self, tick: Tick, cluster: ClusterReading) -> None:
        view = build(
            tick.at,
            tick.policies,
            tick.observations,
            tick.decisions,
            _labels(cluster),
            self._settings.catalog,
        )
        self._waiting_since = min(self._waiting_since, self._clock.monotonic())
        self._thread.soon(self._take_up, view)

    # --- on the thread -----------------------------------------------------------------------

    async def _open(self) -> str:
        settings, board, clock = self._settings, self._board, self._clock
        self._client = await self._connect()
        if self._client is None:
            raise ListenError("the metrics API: the configuration of Kubernetes is gone")
        self._access = Access(self._client, clock, settings.certificate, self._log.warning)
        self._api = MetricsApi(
            self._access.gate,
            clock,
            catalog=settings.catalog,
            live=lambda: alive(board, clock.monotonic()),
            ready=lambda: ready(board),
            broken=self._broke,
        )
        await self._access.open()
        await self._api.start(settings.host, settings.port, self._access.tls.context)
        return f"https://{self._api.host}:{self._api.port}/"

    async def _close(self) -> None:
        if self._api is not None:
            await self._api.close()
        if self._access is not None:
            await self._access.close()
        if self._client is not None:
            await self._client.close()

    def _take_up(self, view: MetricsView) -> None:
        self._waiting_since = math.inf
        assert self._api is not None
        self._api.answers.publish(view)

    def _broke(self, error: BaseException) -> None:
        self._log.error("the metrics API failed", error=repr(error))


def _labels(cluster: ClusterReading) -> Mapping[Target, TargetLabels]:
    return {
        target: TargetLabels(reading.selector, reading.labels, reading.pod_labels)
        for target, reading in cluster.targets.items()
        if not isinstance(reading, Missing)
    }
