"""GKE node pools, as their own API tells of them; looked at now and then, for it is rationed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from autoscaler.clock import Clock
from autoscaler.model import GkePool, Missing, Node, Pool
from autoscaler.units import shortened

# Seconds between looks: 120 an hour for each pool.
LOOK_EVERY = 30.0
# Seconds for which nodes that were asked for count as asked for: twice the slowest healthy cold
# start on record. Those that have not come by then are asked for anew.
FORGOTTEN_AFTER = 1800.0
GKE_POOL = "cloud.google.com/gke-nodepool"


class GkeApi(Protocol):
    taken: dict[GkePool, int]  # nodes a zone that it was asked for since this was last looked at

    async def node_pool(self, driver: GkePool, within: float) -> Mapping[str, Any]:
        """The NodePool of the Kubernetes Engine API v1. Raises KubeError."""


class GkePools:
    def __init__(self, api: GkeApi | None, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        # By pool: nodes a zone that were last asked for, and when.
        self._asked: dict[GkePool, tuple[int, float]] = {}
        self._known: dict[GkePool, tuple[float, Mapping[str, Any] | Missing]] = {}

    async def refresh(self, drivers: Collection[GkePool], within: float) -> None:
        now = self._clock.monotonic()
        due = [
            one
            for one in drivers
            if one not in self._known or now - self._known[one][0] >= LOOK_EVERY
        ]
        found = await asyncio.gather(*(self._look(one, within) for one in due))
        self._known |= {one: (now, said) for one, said in zip(due, found, strict=True)}

    def pool(self, driver: GkePool, nodes: tuple[Node, ...]) -> Pool | Missing:
        """Its size is the nodes that there are, and those that were asked for and are to come: the
        API tells of the size at its making only.
        """
        said = self._known[driver][1]
        if isinstance(said, Missing):
            return said
        size = self._size(driver, max(1, len(said.get("locations") or ())), len(nodes))
        return Pool(size=size, nodes=nodes, owner=_owner(said), refusal=_refusal(said))

    def _size(self, driver: GkePool, zones: int, there: int) -> int:
        """2 → 4 asked for, 2 there: it is becoming 4. Taken for one of 2, it would be asked again
        each tick; and 3, wanted now, would look like a raise, for which GKE may take any node.
        """
        now = self._clock.monotonic()
        taken = self._api.taken if self._api is not None else {}
        if driver in taken:
            self._asked[driver] = taken.pop(driver), now
        per_zone, since = self._asked.get(driver, (0, now))
        if there >= per_zone * zones or now - since > FORGOTTEN_AFTER:
            self._asked.pop(driver, None)
            return there
        return per_zone * zones

    async def _look(self, driver: GkePool, within: float) -> Mapping[str, Any] | Missing:
        from autoscaler.kube.client import KubeError

        if self._api is None:
            return Missing(f"GKE pool {driver.pool}: nobody was given to ask Google")
        try:
            return await self._api.node_pool(driver, within)
        except KubeError as error:
            return Missing(f"GKE pool {driver.pool}: {error}")


def _owner(said: Mapping[str, Any]) -> str | None:
    scaling = said.get("autoscaling") or {}
    if not scaling.get("enabled"):
        return None
    least, most = scaling.get("minNodeCount", 0), scaling.get("maxNodeCount", "?")
    return f"GKE's cluster autoscaler sizes it between {least} and {most} nodes a zone"


def _refusal(said: Mapping[str, Any]) -> str | None:
    """ERROR and RUNNING_WITH_ERROR; the canonical conditions name quotas and stockouts."""
    if not str(said.get("status") or "").endswith("ERROR"):
        return None
    words = [str(one.get("message")) for one in said.get("conditions") or () if one.get("message")]
    return shortened("; ".join(words) or str(said.get("statusMessage") or said["status"]))
