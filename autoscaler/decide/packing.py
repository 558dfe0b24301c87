"""How many nodes so many replicas need: whole replicas on whole nodes, beside everybody else's."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from autoscaler.model import Nodes, Observation, Pool


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
    hosted = busy = going = 0
    for node in pool.nodes:
        pods = max(node.gpu_pods, ours[node.name])
        if pods:
            busy += 1
        if node.leaving is not None:
            going += 0 if pods else 1
            hosted += ours[node.name]  # as long as they are there; their replacements count
        elif pods:
            # Of somebody else's pod only the number is known: one GPU each, at the least.
            hosted += max(0, node.gpus - (pods - ours[node.name])) // per_replica
    return Packing(hosted, busy, going, gpus // per_replica)


def elsewhere(pool: Pool, observation: Observation) -> int:
    """Replicas that run on nodes which are not of this pool."""
    names = {node.name for node in pool.nodes}
    return sum(
        pod.node is not None and pod.node not in names and not pod.terminating
        for pod in observation.pods
    )
