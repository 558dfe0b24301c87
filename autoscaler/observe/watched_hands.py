"""Other hands from memory: a watch on the HPAs, ScaledObjects and the freeze."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from autoscaler.clock import Clock
from autoscaler.kube.hands import Scaler, freeze_of, hpa_of, scaled_object_of
from autoscaler.observe.scalers import (
    FROZEN_BY,
    HPAS,
    NO_SCALERS,
    SCALED_OBJECTS,
    Scalers,
    freeze_path,
    freeze_untold,
    has_keda,
    paths_of,
    untold,
)
from autoscaler.observe.watches import Watches, gone, unread

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

# A watch of a kind that is not there would ask in vain every 15 s in each namespace; whether KEDA
# was installed meanwhile is asked once a minute for all of them.
KEDA_LOOK_EVERY = 60.0
KEDA_LOOK_WITHIN = 2.0


class WatchedHands:
    """A `HandsSource` from watches, which begin with the first refresh that needs them."""

    def __init__(self, client: KubeClient, clock: Clock, namespace: str) -> None:
        self._client = client
        self._clock = clock
        self._namespace = namespace  # our own, where the freeze is
        self._watches = Watches(client, clock)
        self._known: dict[str, tuple[tuple[Any, ...], Scalers]] = {}
        self._keda: bool | None = None  # not known yet
        self._keda_looked = -math.inf
        self._used: frozenset[str] = frozenset()

    async def close(self) -> None:
        await self._watches.close()

    async def refresh(self, namespaces: Collection[str], within: float) -> None:
        self._used = frozenset(namespaces)
        if not namespaces:
            return
        await self._look_for_keda(within / 2)
        for name in sorted(namespaces):
            hpas, objects = paths_of(name)
            self._watches.follow(hpas, hpa_of)
            if self._keda:
                self._watches.follow(objects, scaled_object_of)
        self._watches.follow(freeze_path(self._namespace), freeze_of, FROZEN_BY)
        await self._watches.first_answers(within / 2)

    def scalers(self, namespace: str) -> Scalers:
        if namespace not in self._used:
            return NO_SCALERS
        hpas, objects = (self._watches.get(path) for path in paths_of(namespace))
        parts = [(HPAS, hpas)] + ([] if self._keda is False else [(SCALED_OBJECTS, objects)])
        unknown = tuple(
            untold(resource, namespace, cache.status if cache else 0, why)
            for resource, cache in parts
            if (why := unread(cache)) and not (resource == SCALED_OBJECTS and gone(cache))
        )
        state = (*(cache.version if cache else -1 for _, cache in parts), unknown)
        known = self._known.get(namespace)
        if known is None or known[0] != state:
            found: list[Scaler] = [
                one
                for _, cache in parts
                if cache and not gone(cache)
                for one in cache.items.values()
            ]
            known = self._known[namespace] = state, Scalers(found, unknown)
        return known[1]

    def freeze(self) -> str | None:
        if not self._used:
            return None
        cache = self._watches.get(freeze_path(self._namespace))
        why = unread(cache)
        if why:
            return freeze_untold(self._namespace, cache.status if cache else 0, why)
        assert cache is not None
        return next(iter(cache.items.values()), None)

    async def _look_for_keda(self, within: float) -> None:
        """An API server that does not answer leaves what was known of it, and is asked again."""
        now = self._clock.monotonic()
        if self._keda or now - self._keda_looked < KEDA_LOOK_EVERY:
            return
        found = await has_keda(self._client, min(within, KEDA_LOOK_WITHIN))
        if found is not None:
            self._keda, self._keda_looked = found, now
