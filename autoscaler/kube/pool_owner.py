"""Who else resizes a node pool, by what the pool itself says: such a pool is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Where it is set, the Cluster Autoscaler takes a MachineDeployment for one of its node groups.
CAPI_MAX = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size"
KARPENTER = "karpenter.sh"


def owner_of(pool: Mapping[str, Any]) -> str | None:
    """The owner in words, of the pool's object in Kubernetes. None: it is free to be resized.

    A Karpenter NodePool without spec.replicas is dynamic: Karpenter sizes it by Pending pods, and
    its scale subresource, though there, is refused by a rule of the CRD.
    """
    group = str(pool.get("apiVersion") or "").partition("/")[0]
    if group == KARPENTER and pool.get("kind") == "NodePool":
        if "replicas" in (pool.get("spec") or {}):
            return None
        return "Karpenter sizes it itself: it has no spec.replicas"
    most = ((pool.get("metadata") or {}).get("annotations") or {}).get(CAPI_MAX)
    if most:
        return f"the Cluster Autoscaler may size it up to {most} (annotation {CAPI_MAX})"
    return None


def gke_owner_of(pool: Mapping[str, Any]) -> str | None:
    """The same of a NodePool of the Kubernetes Engine API."""
    scaling = pool.get("autoscaling") or {}
    if not scaling.get("enabled"):
        return None
    if "totalMaxNodeCount" in scaling:
        least, most = scaling.get("totalMinNodeCount", 0), scaling["totalMaxNodeCount"]
        return f"GKE's cluster autoscaler sizes it between {least} and {most} nodes"
    least, most = scaling.get("minNodeCount", 0), scaling.get("maxNodeCount", "?")
    return f"GKE's cluster autoscaler sizes it between {least} and {most} nodes a zone"
