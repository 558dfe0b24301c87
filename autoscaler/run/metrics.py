"""The metrics API beside the loop: who may ask, what each tick leaves to be asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoscaler.clock import Clock
from autoscaler.model import Missing, Target
from autoscaler.run.loop import Tick
from autoscaler.serve.access.assembly import Access, CertificateSource
from autoscaler.serve.board import Board, alive, ready
from autoscaler.serve.metrics_api.catalog import Catalog
from autoscaler.serve.metrics_api.server import MetricsApi
from autoscaler.serve.metrics_api.views import TargetLabels

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient
    from autoscaler.observe.cluster import ClusterReading


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """`--metrics-api`, `--tls-…` and `--metric-name`."""

    host: str
    port: int
    certificate: CertificateSource
    catalog: Catalog


class MetricsServing:
    """Opened before the first tick, told of each one, closed at the end."""

    def __init__(
        self, settings: MetricsSettings, client: KubeClient, clock: Clock, board: Board, log: Any
    ) -> None:
        self._settings = settings
        self._log = log
        self._access = Access(client, clock, settings.certificate, log.warning)
        self._api = MetricsApi(
            self._access.gate,
            clock,
            catalog=settings.catalog,
            live=lambda: alive(board, clock.monotonic()),
            ready=lambda: ready(board),
            broken=lambda error: log.error("the metrics API failed", error=repr(error)),
        )

    async def open(self) -> None:
        """Raises ListenError; what is missing outside is in `problems` and is tried again."""
        await self._access.open()
        await self._api.start(self._settings.host, self._settings.port, self._access.tls.context)
        address = f"https://{self._api.host}:{self._api.port}/"
        self._log.info("serving the metrics API", address=address)

    async def close(self) -> None:
        await self._api.close()
        await self._access.close()

    @property
    def problems(self) -> tuple[str, ...]:
        return self._access.problems

    def publish(self, tick: Tick, cluster: ClusterReading) -> None:
        self._api.publish(
            tick.at, tick.policies, tick.observations, tick.decisions, _labels(cluster)
        )


def _labels(cluster: ClusterReading) -> Mapping[Target, TargetLabels]:
    return {
        target: TargetLabels(reading.selector, reading.labels, reading.pod_labels)
        for target, reading in cluster.targets.items()
        if not isinstance(reading, Missing)
    }
