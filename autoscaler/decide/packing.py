"""How many nodes so many replicas need: whole replicas on whole nodes, beside everybody else's."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from autoscaler.model import IN_NODES, Driver, Nodes, Observation, Pool, ScaledPool


@dataclass(frozen=True, slots=True)
class Packing:
    """`hosted`: replicas that the busy nodes have room for; `busy`: nodes with a GPU
    pod on them, anybody's; `going`: empty ones that are about to be lost and still counted;
    `each`: replicas that a whole node takes.
    """

    hosted: int
    busy: int
    going: int
    each: int

    def nodes(self, replicas: int) -> int:
        """Never under `busy`: 5 replicas, 2 a node, 1 busy node with room for 2 → 1 + 2 = 3."""
        return self.busy + self.going + math.ceil(max(0, replicas - self.hosted) / self.each)


def pack(nodes: Nodes, pool: Pool, observation: Observation) -> Packing | str:
    """The reason in words where no size can be told."""
    per_replica = max(1, nodes.gpus_per_replica)
    known = [node.gpus for node in pool.nodes if node.gpus > 0]
    gpus = nodes.gpus_per_node or (min(known) if known else None)
    if gpus is None:
        return "how many GPUs a node has is not known while there is none: give gpusPerNode"
    if gpus < per_replica:
        return f"a node has {gpus} GPUs and a replica takes {per_replica}: none would fit"
    ours = Counter(pod.node for pod in observation.pods)
    live = Counter(pod.node for pod in observation.pods if not pod.terminating)
    hosted = busy = going = 0
    for node in pool.nodes:
        pods = max(node.gpu_pods, ours[node.name])
        if pods:
            busy += 1
        if node.leaving is not None:
            going += 0 if pods else 1
            hosted += live[node.name]  # as long as they are there; their replacements count
        elif pods:
            # Of somebody else's pod only the number is known: one GPU each, at the least. So is a
            # terminating one of ours taken: a replica cannot start on its GPU before it is gone.
            hosted += max(0, node.gpus - (pods - live[node.name])) // per_replica
    return Packing(hosted, busy, going, gpus // per_replica)


def elsewhere(pool: Pool, observation: Observation) -> int:
    """Replicas that run on nodes which are not of this pool."""
    names = {node.name for node in pool.nodes}
    return sum(
        pod.node is not None and pod.node not in names and not pod.terminating
        for pod in observation.pods
    )


def astray(nodes: Nodes, driver: Driver, pool: Pool, observation: Observation) -> str | None:
    """Why the pods that are `elsewhere` may well be on this pool's own nodes, in words.

    A mistyped label: 3 busy nodes, none of them found, 3 pods elsewhere, so that none would be
    needed here and 3 → 0 be asked for. Where room is bought from somebody else's pool (a buffer as
    the fallback), pods may be on nodes that nobody names.
    """
    if not isinstance(driver, ScaledPool) or driver.node_selector is None:
        return None
    if len(pool.nodes) >= pool.size or not isinstance(nodes.fallback, (*IN_NODES, type(None))):
        return None
    pools = [one for one in (observation.pool, observation.fallback) if isinstance(one, Pool)]
    named = {node.name for one in pools for node in one.nodes}
    lost = sum(
        pod.node is not None and pod.node not in named and not pod.terminating
        for pod in observation.pods
    )
    if not lost:
        return None
    return (
        f"nodeSelector finds {len(pool.nodes)} of {pool.size} nodes of {driver.kind} "
        f"{driver.name}, and {lost} of our pods run on nodes of no pool: not lowered; correct "
        "nodeSelector"
    )
