"""Node pools."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.policy.diagnostics import Finding
from autoscaler.policy.entry import Entry
from autoscaler.policy.registry import check

_NODES = ("spec", "nodes")


@check(
    "nodes-without-scale",
    "`nodes.driver` is given and the mode is not `scale`.",
    "Only `mode: scale` asks for nodes; in the other modes the decision says what it would ask.",
    "warning",
)
def nodes_without_scale(entry: Entry) -> Iterator[Finding]:
    nodes = entry.spec.nodes
    if nodes and nodes.driver and entry.spec.mode != "scale":
        message = f"no node is asked for in mode {entry.spec.mode}"
        remedy = "keep it for later, or write mode: scale"
        yield Finding((*_NODES, "driver"), message, remedy, on_key=True)


@check(
    "nodes-without-driver",
    "`nodes.spare`, `maxNodes` or `fallback` is given without `nodes.driver`.",
    "Nobody would be asked for the spare GPUs.",
)
def nodes_without_driver(entry: Entry) -> Iterator[Finding]:
    nodes = entry.spec.nodes
    if nodes is None or nodes.driver is not None:
        return
    given = {"spare": nodes.spare, "maxNodes": nodes.max_nodes, "fallback": nodes.fallback}
    for name, value in given.items():
        if value:
            message = f"{name} means nothing without a driver"
            remedy = "add driver: {capacityBuffer: {}}, or delete it"
            yield Finding((*_NODES, name), message, remedy, on_key=True)
            return


@check(
    "spare-missing",
    "a driver that only keeps room free (capacityBuffer, placeholderPods) has `spare` 0.",
    "Such a driver is sized in spare replicas: with none it asks for nodes only ahead of growth.",
    "warning",
)
def spare_missing(entry: Entry) -> Iterator[Finding]:
    nodes = entry.spec.nodes
    driver = nodes.driver if nodes else None
    if nodes and driver and (driver.capacity_buffer or driver.placeholder_pods) and not nodes.spare:
        message = "nothing is kept free: spare is 0"
        yield Finding((*_NODES, "driver"), message, "write spare: 1", on_key=True)


@check(
    "gpus-per-node-missing",
    "a pool sized in nodes (scale, gke) has no `gpusPerNode`.",
    "While the pool is empty nobody knows how many nodes a number of GPUs is.",
    "warning",
)
def gpus_per_node_missing(entry: Entry) -> Iterator[Finding]:
    nodes = entry.spec.nodes
    driver = nodes.driver if nodes else None
    if nodes and driver and (driver.scale or driver.gke) and nodes.gpus_per_node is None:
        message = "an empty pool could not be sized"
        remedy = "write gpusPerNode: the GPUs of one of its nodes"
        yield Finding((*_NODES, "driver"), message, remedy, on_key=True)


@check(
    "replica-larger-than-node",
    "`gpusPerReplica` is above `gpusPerNode`.",
    "A pod runs on one node: it could never be scheduled.",
)
def replica_larger_than_node(entry: Entry) -> Iterator[Finding]:
    nodes = entry.spec.nodes
    if nodes and nodes.gpus_per_node and nodes.gpus_per_replica > nodes.gpus_per_node:
        message = (
            f"a replica of {nodes.gpus_per_replica} GPUs fits no node of {nodes.gpus_per_node}"
        )
        remedy = "correct one of the two"
        yield Finding((*_NODES, "gpusPerReplica"), message, remedy)
