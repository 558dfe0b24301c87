"""`spec.nodes`: the GPUs of a replica, and how the pool they come from is resized."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from autoscaler.policy.part import Part
from autoscaler.policy.scalars import Count, Name, PositiveCount, Text, describe, fault

DRIVERS = ("capacityBuffer", "placeholderPods", "scale", "gke")
BARE_DRIVERS = ("capacityBuffer",)


class CapacityBufferPart(Part):
    """The autoscaler that owns the pool (Karpenter, Cluster Autoscaler) keeps `spare` free."""

    name: Name | None = Field(None, description="Of the buffer. Default: the target's + `-spare`.")


class PlaceholderPodsPart(Part):
    """A Deployment of ours whose pods hold `spare` GPUs until a replica pushes them out."""

    name: Name | None = Field(None, description="Default: the target's name + `-spare`.")
    priority_class: Name = Field(description="A PriorityClass with a value below 0.")
    image: Text = Field("registry.k8s.io/pause:3.10", description="Sleeps. Default: pause.")


class ScaledPoolPart(Part):
    """A pool that nobody else scales, by its `/scale`: Karpenter's static NodePool, …"""

    api_version: Text = Field(description="For example karpenter.sh/v1.")
    kind: Text = Field(description="For example NodePool, MachineDeployment.")
    name: Name = Field(description="Name of the pool.")
    namespace: Name | None = Field(None, description="Left out for a cluster-wide kind.")
    node_selector: dict[str, Text] | None = Field(
        None, description="Labels of its nodes. Default: karpenter.sh/nodepool = its name."
    )


class GkePart(Part):
    """A GKE node pool without autoscaling, by setSize. Needs the extra `gke`."""

    project: Text = Field(description="Project id.")
    location: Text = Field(description="Zone or region, for example us-central1-a.")
    cluster: Name = Field(description="Name of the cluster.")
    pool: Name = Field(description="Name of the node pool.")


class DriverPart(Part):
    """Exactly one way to ask for nodes."""

    capacity_buffer: CapacityBufferPart | None = Field(
        None, description="autoscaling.x-k8s.io/v1beta1."
    )
    placeholder_pods: PlaceholderPodsPart | None = Field(None, description="Low-priority pods.")
    scale: ScaledPoolPart | None = Field(None, description="A pool with a scale subresource.")
    gke: GkePart | None = Field(None, description="GKE setSize.")


def one_driver(value: Any) -> Any:
    """`{capacityBuffer: {}}`; refuses none and several."""
    names = ", ".join(DRIVERS)
    if not isinstance(value, dict):
        message = f"must be a mapping with one driver, not {describe(value)}"
        raise fault("driver-shape", message, f"write one of {names}")
    if len(value) != 1:
        message = f"must hold one driver; here: {', '.join(value) or 'none'}"
        raise fault("driver-shape", message, f"keep one of {names}; a second one is `fallback`")
    return {
        key: {} if body is None and key in BARE_DRIVERS else body for key, body in value.items()
    }


class NodesPart(Part):
    """The GPU node pool. Acted on in `mode: scale`."""

    gpus_per_replica: PositiveCount = Field(1, description="GPUs of one replica. Default: 1.")
    gpus_per_node: PositiveCount | None = Field(
        None, description="Default: as its nodes have; needed to size a pool that is empty."
    )
    spare: Count = Field(0, description="Replicas' worth of GPUs kept ready. Default: 0.")
    max_nodes: PositiveCount | None = Field(None, description="Never ask for more nodes.")
    driver: Annotated[DriverPart | None, BeforeValidator(one_driver)] = Field(
        None, description="How nodes are asked for. Left out: they are not."
    )
    fallback: Annotated[DriverPart | None, BeforeValidator(one_driver)] = Field(
        None, description="Asked instead once `driver` brought nothing for twice the cold start."
    )
