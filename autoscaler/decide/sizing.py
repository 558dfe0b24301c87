"""One pool's next size: up at once, down after a while, and never when it is not ours to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autoscaler.decide import packing
from autoscaler.model import (
    IN_NODES,
    Driver,
    Nodes,
    Observation,
    Pool,
    PoolWish,
    ScaledPool,
)
from autoscaler.units import format_duration


@dataclass(frozen=True, slots=True)
class Need:
    """Room that is needed, in replicas; `why` in words. What may be asked for, and why not."""

    replicas: int  # to be on nodes of this pool
    spare: int  # kept free beside them
    why: str
    may_raise: bool = True
    may_lower: bool = True
    idle_for: float = 0.0  # seconds for which less must have done before less is asked for


@dataclass(frozen=True, slots=True)
class Sized:
    """`wish`: None where nothing is asked for now; `short`: more would be needed."""

    wish: PoolWish | None = None
    idle_since: float | None = None
    short: bool = False
    note: str | None = None


def size(
    nodes: Nodes,
    driver: Driver,
    pool: Pool,
    observation: Observation,
    need: Need,
    idle_since: float | None,
    now: float,
) -> Sized:
    if pool.owner is not None:
        return Sized(note=f"the node pool is not resized by us: {pool.owner} does that")
    got = _target(nodes, driver, pool, observation, need)
    if isinstance(got, str):
        return Sized(note=f"the node pool is held as it is: {got}")
    wanted, unit = got
    most = max(nodes.max_nodes or wanted, pool.size) if isinstance(driver, IN_NODES) else wanted
    after, note = min(wanted, most), None
    if wanted > most:
        note = f"{need.why} need {wanted} nodes, and maxNodes is {nodes.max_nodes}"
    if after > pool.size:
        reason = f"{need.why} need {after} {unit}; until now {pool.size} are asked for"
        wish = PoolWish(driver, unit, pool.size, after, reason, pool.resource_version)
        return Sized(wish if need.may_raise else None, short=True, note=note)
    if after == pool.size or not need.may_lower:
        return Sized(note=note)
    if why := packing.astray(nodes, driver, pool, observation):
        return Sized(note=why)
    if busy(pool) and isinstance(driver, IN_NODES) and not takes_empty_nodes(driver):
        words = f"{need.why} need {after} of {pool.size} nodes, but which of them would go is up to"
        return Sized(note=f"{words} the pool: it goes down once none has a GPU pod")
    since = now if idle_since is None else idle_since
    if now - since < need.idle_for:
        return Sized(idle_since=since, note=note)
    reason = f"{need.why} need {after} {unit}, and have for {format_duration(now - since)}"
    wish = PoolWish(driver, unit, pool.size, after, reason, pool.resource_version)
    return Sized(wish, idle_since=since, note=note)


def busy(pool: Pool) -> bool:
    return any(node.gpu_pods for node in pool.nodes)


def takes_empty_nodes(driver: Driver) -> bool:
    """Karpenter's static NodePool gives up empty nodes first, Cluster API the marked ones; any
    other kind, and GKE, takes whichever it likes.
    """
    groups = ("karpenter.sh/", "cluster.x-k8s.io/")
    return isinstance(driver, ScaledPool) and driver.api_version.startswith(groups)


def _target(
    nodes: Nodes, driver: Driver, pool: Pool, observation: Observation, need: Need
) -> tuple[int, Literal["nodes", "spare replicas"]] | str:
    """The size in the driver's unit; the reason in words where none can be told."""
    if not isinstance(driver, IN_NODES):
        return need.spare, "spare replicas"
    packed = packing.pack(nodes, pool, observation)
    if isinstance(packed, str):
        return packed
    return packed.nodes(need.replicas + need.spare), "nodes"
