"""A GKE node pool, by setSize. Contract-tested over HTTP only: no real GKE was at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autoscaler.act.executor import ActionError
from autoscaler.act.nodepools.calls import Calls
from autoscaler.act.nodepools.emptied import check_lowering
from autoscaler.model import GkePool, PoolWish

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient
    from autoscaler.kube.gke import GkeClient, GkeError

GKE_POOL = "cloud.google.com/gke-nodepool"


async def resize(
    client: KubeClient,
    wish: PoolWish,
    driver: GkePool,
    *,
    within: float,
    dry_run: bool,
    gke: GkeClient,
) -> tuple[str, ...]:
    """One look and one setSize. The operation that it begins is not waited for: it takes minutes,
    and the nodes tell when it is done.

    GKE chooses the nodes that it takes and does not look at what runs on them: the pool is lowered
    only while no node of it has a GPU pod. Returns what the reader should know. Raises ActionError.
    """
    from autoscaler.kube.gke import GkeError
    from autoscaler.kube.pool_owner import gke_owner_of

    where = f"GKE node pool {driver.cluster}/{driver.pool}"
    try:
        pool = await gke.node_pool(driver, within)
        if owner := gke_owner_of(pool):
            raise ActionError(
                f"{where} is never resized by us: {owner}; use driver capacityBuffer to ask it, or "
                "`gcloud container node-pools update --no-enable-autoscaling`"
            )
        zones = max(1, len(pool.get("locations") or ()))
        per_zone = -(-wish.after // zones)
        notes = _uneven(where, wish.after, zones, per_zone)
        if wish.after < wish.before <= per_zone * zones:
            return notes  # 6 nodes in 3 zones, 5 wanted: two a zone they stay
        calls = Calls(client, within, dry_run=dry_run)
        await check_lowering(calls, wish, f"{GKE_POOL}={driver.pool}", where)
        if dry_run:
            return (*notes, f"{where}: GKE has no dry run; setSize was not called")
        _check(await gke.set_size(driver, per_zone, within), where)
        gke.taken[driver] = per_zone
    except GkeError as error:
        raise _refused(where, driver, error) from error
    return notes


def _uneven(where: str, wanted: int, zones: int, per_zone: int) -> tuple[str, ...]:
    """setSize counts nodes in each zone: 4 nodes in 3 zones are 2 a zone, 6 in all."""
    if per_zone * zones == wanted:
        return ()
    note = (
        f"{where} spans {zones} zones and is sized by the zone: {per_zone * zones} nodes stand for "
        f"{wanted}; a pool of one zone is sized to the node"
    )
    return (note,)


def _check(operation: Mapping[str, Any], where: str) -> None:
    error = operation.get("error") or {}
    if error:
        raise ActionError(
            f"{where}: operation {operation.get('name')} failed: {error.get('message', error)}"
        )


def _refused(where: str, driver: GkePool, error: GkeError) -> ActionError:
    if error.busy:
        return ActionError(f"{where} is busy ({error}): tried again next tick")
    if error.status == 0:
        # Not `unanswered`: that is said of the API server, which may well be there.
        return ActionError(f"{where}: {error}; observed again next tick")
    if error.status >= 500:
        return ActionError(f"{where}: {error}; observed again next tick")
    if error.status in {401, 403}:
        return ActionError(
            f"{where}: not allowed ({error}): give our Google service account a role with "
            f"container.clusters.get and container.clusters.update in project {driver.project}"
        )
    if error.status == 404:
        return ActionError(
            f"{where} is not there ({error}): correct project {driver.project}, location "
            f"{driver.location}, cluster or pool in nodes.driver.gke"
        )
    return ActionError(f"{where}: refused ({error}): correct nodes.driver.gke or its quota")
