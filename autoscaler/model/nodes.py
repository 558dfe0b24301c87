"""GPU node pools: how one is resized, and what it was seen to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from autoscaler.model.form import WIRE


@dataclass(frozen=True, slots=True)
class CapacityBuffer:
    """autoscaling.x-k8s.io/v1beta1: the autoscaler that owns the pool keeps so much room free.

    Sized in spare replicas. The buffer `name` lives in the target's namespace and is made where
    it is not there.
    """

    __pydantic_config__ = WIRE
    name: str
    type: Literal["capacityBuffer"] = "capacityBuffer"


@dataclass(frozen=True, slots=True)
class PlaceholderPods:
    """Pods of low priority that hold GPUs until a replica pushes them out. In spare replicas."""

    __pydantic_config__ = WIRE
    name: str
    priority_class: str
    image: str
    type: Literal["placeholderPods"] = "placeholderPods"


@dataclass(frozen=True, slots=True)
class ScaledPool:
    """A pool that nobody scales and that has a scale subresource. Sized in nodes.

    Karpenter's static NodePool (karpenter.sh/v1, cluster-scoped: no namespace), Cluster API's
    MachineDeployment (cluster.x-k8s.io/v1beta1). `node_selector` says which nodes are its own.
    """

    __pydantic_config__ = WIRE
    api_version: str
    kind: str
    name: str
    namespace: str | None = None
    node_selector: dict[str, str] | None = None  # None: karpenter.sh/nodepool=NAME
    type: Literal["scale"] = "scale"


@dataclass(frozen=True, slots=True)
class GkePool:
    """A GKE node pool without autoscaling, by its own setSize call. Sized in nodes."""

    __pydantic_config__ = WIRE
    project: str
    location: str
    cluster: str
    pool: str
    type: Literal["gke"] = "gke"


Driver: TypeAlias = CapacityBuffer | PlaceholderPods | ScaledPool | GkePool

# Sized in nodes; the others in replicas' worth of room that is to stay free.
IN_NODES = (ScaledPool, GkePool)


@dataclass(frozen=True, slots=True)
class Nodes:
    """What a policy says of its GPU nodes. `spare`: replicas' worth of GPUs kept ready."""

    __pydantic_config__ = WIRE
    driver: Driver | None = None  # None: GPUs are counted, no node is asked for
    gpus_per_replica: int = 1
    gpus_per_node: int | None = None  # None: as the pool's nodes have; needed for an empty pool
    spare: int = 0
    max_nodes: int | None = None
    # Asked instead once the first one has brought no node for twice the cold start.
    fallback: Driver | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One GPU node of the pool. `leaving`: why its capacity is about to be lost, in words."""

    __pydantic_config__ = WIRE
    name: str
    gpus: int
    ready: bool = True
    leaving: str | None = None
    gpu_pods: int = 0  # pods with a GPU on it, anybody's, that are not over


@dataclass(frozen=True, slots=True)
class Pool:
    """A node pool as it was seen.

    `size` is what was last asked of it, in the driver's unit (nodes, or spare replicas).
    `owner` names who else resizes it: then it is never resized by us. `refusal` says why it
    brings nothing although asked, in the words of the one that refuses.
    """

    __pydantic_config__ = WIRE
    size: int
    nodes: tuple[Node, ...] = ()
    owner: str | None = None
    refusal: str | None = None
    resource_version: str | None = None


@dataclass(frozen=True, slots=True)
class PoolWish:
    """What is asked of a pool now. `unit` is the driver's: nodes, or spare replicas."""

    __pydantic_config__ = WIRE
    driver: Driver
    unit: Literal["nodes", "spare replicas"]
    before: int
    after: int
    reason: str
    resource_version: str | None = None
