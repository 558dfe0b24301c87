"""Other hands by asking: three lists for each namespace, for a single look at the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from autoscaler.kube.hands import Scaler, hpa_of, scaled_object_of
from autoscaler.observe.scalers import (
    HPAS,
    NO_SCALERS,
    SCALED_OBJECTS,
    Scalers,
    frozen,
    has_keda,
    listed,
    paths_of,
    trimmed,
    untold,
)

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient


class PolledHands:
    """A `HandsSource` that asks on each refresh."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace  # our own, where the freeze is
        self._scalers: dict[str, Scalers] = {}
        self._freeze: str | None = None

    def scalers(self, namespace: str) -> Scalers:
        return self._scalers.get(namespace, NO_SCALERS)

    def freeze(self) -> str | None:
        return self._freeze

    async def refresh(self, namespaces: Collection[str], within: float) -> None:
        if not namespaces:
            return
        names = sorted(namespaces)
        self._freeze, found = await asyncio.gather(
            frozen(self._client, self._namespace, within),
            asyncio.gather(*(self._of(name, within) for name in names)),
        )
        self._scalers = dict(zip(names, found, strict=True))

    async def _of(self, namespace: str, within: float) -> Scalers:
        hpas, objects = paths_of(namespace)
        (first, problem), (second, more) = await asyncio.gather(
            self._read(hpas, HPAS, namespace, hpa_of, within),
            self._read(objects, SCALED_OBJECTS, namespace, scaled_object_of, within),
        )
        return Scalers([*first, *second], [*problem, *more])

    async def _read(
        self,
        path: str,
        resource: str,
        namespace: str,
        trim: Callable[[Any], Scaler],
        within: float,
    ) -> tuple[list[Scaler], list[str]]:
        """What was found, and why that may not be all."""
        from autoscaler.kube.client import KubeError

        try:
            items = await listed(self._client, path, {}, within)
        except KubeError as error:
            absent = error.status == 404
            if error.status == 403 and resource == SCALED_OBJECTS:
                # What may not be listed is refused as such even where there is no such kind.
                absent = await has_keda(self._client, within) is False
            if absent:
                return [], []
            return [], [untold(resource, namespace, error.status, str(error))]
        return trimmed(items, trim), []
