"""A pool that nobody scales, by its scale subresource: Karpenter's static NodePool, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscaler.act.executor import ActionError
from autoscaler.act.nodepools.calls import Calls, Json, check_size
from autoscaler.act.nodepools.emptied import check_lowering
from autoscaler.model import PoolWish, ScaledPool, Target

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

KARPENTER_POOL = "karpenter.sh/nodepool"


async def resize(
    client: KubeClient,
    target: Target,
    wish: PoolWish,
    driver: ScaledPool,
    *,
    within: float,
    dry_run: bool,
) -> tuple[str, ...]:
    """PUT of /scale, of a pool that is as it was seen, nobody's, and has empty nodes to give.

    Raises ActionError.
    """
    calls = Calls(client, within, dry_run=dry_run)
    where = (
        f"{driver.kind} {driver.namespace}/{driver.name}"
        if driver.namespace
        else (f"{driver.kind} {driver.name}")
    )
    path, pool = await _nobodys(calls, target, driver, where, within)
    scale = await calls.look(f"{path}/scale", where)
    check_size(scale, wish.before, where)
    selector = driver.node_selector or {KARPENTER_POOL: driver.name}
    await check_lowering(
        calls,
        wish,
        ",".join(f"{key}={value}" for key, value in selector.items()),
        where,
        api_version=driver.api_version,
        has=_nodes_at_least(pool, scale) if driver.node_selector else 0,  # else it is Karpenter's
    )
    await _put(calls, f"{path}/scale", scale, wish.after, where)
    return ()


async def _nobodys(
    calls: Calls, target: Target, driver: ScaledPool, where: str, within: float
) -> tuple[str, Json]:
    """Its path and itself, if there is one and nobody else sizes it. Raises ActionError."""
    from autoscaler.kube.client import KubeError
    from autoscaler.kube.pool_owner import owner_of

    try:
        path = await calls.paths.pool(driver, target, within)
    except KubeError as error:
        raise ActionError(
            f"{where} cannot be looked up: {error}; correct nodes.driver.scale, or install its CRD"
        ) from error
    pool = await calls.find(path, where)
    if pool is None:
        raise ActionError(
            f"{where} is not there: correct the name in nodes.driver.scale, or make the pool"
        )
    if owner := owner_of(pool):
        raise ActionError(
            f"{where} is never resized by us: {owner}; use driver capacityBuffer to ask its owner"
        )
    return path, pool


async def _put(calls: Calls, path: str, scale: Json, size: int, where: str) -> None:
    """With the version that was looked at. Raises ActionError, also where a webhook changed it."""
    seen = scale["metadata"]
    known = ("name", "namespace", "uid", "resourceVersion")
    body = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {key: seen[key] for key in known if key in seen},
        "spec": {"replicas": size},
    }
    answer = await calls.put(path, body, where)
    made = int((answer.get("spec") or {}).get("replicas", 0))
    if made != size:
        raise ActionError(
            f"{where}: asked for {size} nodes, the API server made it {made}: an admission "
            "webhook of this cluster changes such writes"
        )


def _nodes_at_least(pool: Json, scale: Json) -> int:
    """By its own word: of a MachineDeployment those that are Ready (`replicas` are machines, with
    and without a node), of a NodePool `nodes`, of any other kind the replicas of its Scale.
    """
    status = pool.get("status") or {}
    of_scale = (scale.get("status") or {}).get("replicas")
    said = (status.get("readyReplicas"), status.get("nodes"), of_scale)
    return next((count for count in said if isinstance(count, int)), 0)
