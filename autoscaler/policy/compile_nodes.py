"""`spec.nodes` → the pool's driver and numbers."""

from __future__ import annotations

from autoscaler import model
from autoscaler.policy.entry import Entry
from autoscaler.policy.pools import DriverPart


def nodes_of(entry: Entry) -> model.Nodes | None:
    part = entry.spec.nodes
    if part is None:
        return None
    return model.Nodes(
        driver=_driver(entry, part.driver),
        gpus_per_replica=part.gpus_per_replica,
        gpus_per_node=part.gpus_per_node,
        spare=part.spare,
        max_nodes=part.max_nodes,
        fallback=_driver(entry, part.fallback),
    )


def _driver(entry: Entry, part: DriverPart | None) -> model.Driver | None:
    if part is None:
        return None
    spare_name = f"{entry.spec.target.name}-spare"
    if (buffer := part.capacity_buffer) is not None:
        return model.CapacityBuffer(buffer.name or spare_name)
    if (pods := part.placeholder_pods) is not None:
        return model.PlaceholderPods(pods.name or spare_name, pods.priority_class, pods.image)
    if (pool := part.scale) is not None:
        place = (pool.api_version, pool.kind, pool.name, pool.namespace)
        return model.ScaledPool(*place, pool.node_selector)
    assert part.gke is not None, "driver-shape lets nothing else through"
    gke = part.gke
    return model.GkePool(gke.project, gke.location, gke.cluster, gke.pool)
