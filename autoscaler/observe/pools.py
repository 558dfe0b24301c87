"""Node pools: how large each policy's is, what is on its nodes, who owns it, why it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from autoscaler.clock import Clock
from autoscaler.kube.paths import BUFFERS, DEPLOYMENTS, Paths, collection
from autoscaler.model import (
    IN_NODES,
    CapacityBuffer,
    Driver,
    GkePool,
    Missing,
    Node,
    PlaceholderPods,
    Policy,
    Pool,
    ScaledPool,
    Target,
)
from autoscaler.observe.gke_pools import GKE_POOL, GkeApi, GkePools
from autoscaler.observe.pool_fleet import Fleet, FleetWatch
from autoscaler.observe.pool_objects import SILENT_AFTER, PoolRow, failed_claim, trimmer
from autoscaler.observe.watches import Watches, gone, unread

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

NODE_CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
KARPENTER_POOL = "karpenter.sh/nodepool"
InKubernetes: TypeAlias = CapacityBuffer | PlaceholderPods | ScaledPool


@dataclass(frozen=True, slots=True)
class PoolReadings:
    """`pools` and `fallbacks` by policy key; `nodes` by name, None where they are not known.

    `fits`: by policy key, a buffer's word that its pods fit already, where it takes their size
    from the target's own pod template.
    """

    pools: Mapping[str, Pool | Missing] = field(default_factory=dict)
    fallbacks: Mapping[str, Pool | Missing] = field(default_factory=dict)
    nodes: Mapping[str, Node] | None = None
    fits: Mapping[str, str] = field(default_factory=dict)


class PoolReader(Protocol):
    """Never raises for what the outside does: a pool that cannot be read is Missing."""

    async def read(
        self, policies: Sequence[Policy], now: float, deadline: float
    ) -> PoolReadings: ...


class KubernetesPools:
    """From watches on nodes, on pods with GPUs, and on the objects that size the pools.

    They begin with the first read that needs them; a fleet without `nodes` and without `mode:
    scale` asks for none, nor for the right to.
    """

    def __init__(self, client: KubeClient, clock: Clock, gke: GkeApi | None = None) -> None:
        self._paths = Paths(client)
        self._watches = Watches(client, clock)
        self._fleet = FleetWatch(self._watches)
        self._gke = GkePools(gke, clock)
        self._plurals: dict[tuple[str, str], str | Missing] = {}

    async def close(self) -> None:
        await self._watches.close()

    async def read(self, policies: Sequence[Policy], now: float, deadline: float) -> PoolReadings:
        """`now` is Unix time, `deadline` seconds."""
        wanted = [one for one in policies if one.nodes or one.mode == "scale"]
        if not wanted:
            return PoolReadings()
        first = {p.key: (p.nodes.driver, p.target) for p in wanted if p.nodes and p.nodes.driver}
        second = {
            p.key: (p.nodes.fallback, p.target) for p in wanted if p.nodes and p.nodes.fallback
        }
        asked = [*first.values(), *second.values()]
        await self._begin([driver for driver, _ in asked], deadline / 2)
        for driver, target in asked:
            self._follow(driver, target)
        await self._watches.first_answers(deadline / 2)
        fleet = self._fleet.look()
        return PoolReadings(
            pools={key: self._pool(*one, fleet, now) for key, one in first.items()},
            fallbacks={key: self._pool(*one, fleet, now) for key, one in second.items()},
            nodes=None if isinstance(fleet, Missing) else fleet.nodes,
            fits={key: said for key, one in first.items() if (said := self._fits(*one))},
        )

    # --- what is watched ---------------------------------------------------------------------

    async def _begin(self, drivers: Sequence[Driver], within: float) -> None:
        self._fleet.follow(pods=any(not isinstance(one, CapacityBuffer) for one in drivers))
        kinds = {(one.api_version, one.kind) for one in drivers if isinstance(one, ScaledPool)}
        unknown = [kind for kind in kinds if not isinstance(self._plurals.get(kind), str)]
        await asyncio.gather(
            self._gke.refresh({one for one in drivers if isinstance(one, GkePool)}, within),
            *(self._discover(*kind, within) for kind in unknown),
        )

    async def _discover(self, api_version: str, kind: str, within: float) -> None:
        from autoscaler.kube.client import KubeError

        try:
            plural = await self._paths.plural(api_version, kind, within)
        except KubeError as error:
            self._plurals[api_version, kind] = Missing(f"pools of kind {kind}: {error}")
        else:
            self._plurals[api_version, kind] = plural

    def _collection(self, driver: InKubernetes, target: Target) -> tuple[str, str] | Missing:
        """Path and kind of the objects of which one sizes the pool; of all but GKE's."""
        if isinstance(driver, CapacityBuffer):
            return collection(*BUFFERS, target.namespace), "CapacityBuffer"
        if isinstance(driver, PlaceholderPods):
            return collection(*DEPLOYMENTS, target.namespace), "Deployment"
        plural = self._plurals[driver.api_version, driver.kind]
        if isinstance(plural, Missing):
            return plural
        return collection(driver.api_version, plural, driver.namespace), driver.kind

    def _follow(self, driver: Driver, target: Target) -> None:
        if isinstance(driver, GkePool):
            return
        found = self._collection(driver, target)
        if not isinstance(found, Missing):
            path, kind = found
            self._watches.follow(path, trimmer(kind))
            if kind == "NodePool":
                self._watches.follow(NODE_CLAIMS, failed_claim)

    # --- one pool ----------------------------------------------------------------------------

    def _pool(
        self, driver: Driver, target: Target, fleet: Fleet | Missing, now: float
    ) -> Pool | Missing:
        nodes = _nodes(driver, fleet)
        if isinstance(nodes, Missing):
            return nodes
        if isinstance(driver, GkePool):
            return self._gke.pool(driver, nodes)
        row = self._row(driver, target)
        if isinstance(row, Missing):
            return row
        return Pool(
            size=row.size,
            nodes=nodes,
            owner=f"{named(driver, target)}: {row.owner}" if row.owner else None,
            refusal=self._refusal(driver, target, row, fleet, now),
            resource_version=row.resource_version or None,
        )

    def _row(self, driver: InKubernetes, target: Target) -> PoolRow | Missing:
        found = self._collection(driver, target)
        if isinstance(found, Missing):
            return found
        path, kind = found
        cache = self._watches.get(path)
        if gone(cache):
            return Missing(f"{named(driver, target)}: {path} is not there: install its CRD")
        why = unread(cache)
        if cache is None or why:
            remedy = _remedy(cache.status if cache else 0, path)
            return Missing(f"{named(driver, target)}: {remedy}{why}")
        namespace = target.namespace if kind in {"CapacityBuffer", "Deployment"} else None
        scope = namespace or (driver.namespace if isinstance(driver, ScaledPool) else None) or ""
        row: PoolRow | None = cache.items.get((scope, driver.name))
        if row is not None:
            return row
        if isinstance(driver, ScaledPool):
            return Missing(f"{named(driver, target)} is not there: see `kubectl get {driver.kind}`")
        return PoolRow(0, "")  # made with the first wish for it

    def _fits(self, driver: Driver, target: Target) -> str | None:
        """A buffer's word that it fits, where it takes the target's own template."""
        if not isinstance(driver, CapacityBuffer):
            return None
        row = self._row(driver, target)
        alike = f"{target.kind} {target.name}"
        return row.fits if isinstance(row, PoolRow) and row.pods_like == alike else None

    def _refusal(
        self, driver: InKubernetes, target: Target, row: PoolRow, fleet: Fleet | Missing, now: float
    ) -> str | None:
        if row.refusal or not row.size:
            return row.refusal
        if row.silent_since is not None and now - row.silent_since > SILENT_AFTER:
            return (
                "nobody acts on it: Karpenter needs its feature gate CapacityBuffer, the Cluster "
                "Autoscaler --capacity-buffer-controller-enabled"
            )
        if isinstance(driver, PlaceholderPods) and isinstance(fleet, Fleet):
            return fleet.waiting(target.namespace, driver.name)
        claims = self._watches.get(NODE_CLAIMS)
        if isinstance(driver, ScaledPool) and driver.kind == "NodePool" and claims:
            return next((said for pool, said in claims.items.values() if pool == driver.name), None)
        return None


def _nodes(driver: Driver, fleet: Fleet | Missing) -> tuple[Node, ...] | Missing:
    """Of a pool sized in nodes, with the pods on them: a node of which that is not known could be
    taken from under a busy pod. Of the others the join says on which nodes the target's pods are.
    """
    if not isinstance(driver, IN_NODES):
        return ()
    if isinstance(fleet, Missing):
        return fleet
    if fleet.unknown is not None:
        return Missing(fleet.unknown)
    if isinstance(driver, GkePool):
        return fleet.having({GKE_POOL: driver.pool})
    if driver.node_selector:
        return fleet.having(driver.node_selector)
    if driver.kind != "NodePool":
        return Missing(
            f"which nodes are those of {driver.kind} {driver.name} is not known: name a label of "
            "them in nodes.driver.scale.nodeSelector"
        )
    return fleet.having({KARPENTER_POOL: driver.name})


def named(driver: Driver, target: Target) -> str:
    """`NodePool gpu`, `CapacityBuffer default/flower-spare`"""
    if isinstance(driver, GkePool):
        return f"GKE pool {driver.pool}"
    if isinstance(driver, ScaledPool):
        where = f"{driver.namespace}/" if driver.namespace else ""
        return f"{driver.kind} {where}{driver.name}"
    kind = "CapacityBuffer" if isinstance(driver, CapacityBuffer) else "Deployment"
    return f"{kind} {target.namespace}/{driver.name}"


def _remedy(status: int, path: str) -> str:
    if status != 403:
        return ""
    return f"not allowed to list and watch {path}: the component `nodepools` allows it: "
