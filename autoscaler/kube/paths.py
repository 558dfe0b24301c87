"""Where things are in the Kubernetes API, and the name under which we write there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscaler.model import (
    CapacityBuffer,
    Driver,
    GkePool,
    PlaceholderPods,
    Target,
)

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

# `fieldManager` of every write: who looks at managedFields tells our own writes by it.
FIELD_MANAGER = "triton-autoscaler"
# Known without asking, so that the usual targets and pools cost no discovery.
PLURALS = {
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("apps/v1", "ReplicaSet"): "replicasets",
    ("karpenter.sh/v1", "NodePool"): "nodepools",
    ("cluster.x-k8s.io/v1beta1", "MachineDeployment"): "machinedeployments",
    ("cluster.x-k8s.io/v1beta2", "MachineDeployment"): "machinedeployments",
}
BUFFERS = "autoscaling.x-k8s.io/v1beta1", "capacitybuffers"
DEPLOYMENTS = "apps/v1", "deployments"


def collection(api_version: str, plural: str, namespace: str | None) -> str:
    """/apis/apps/v1/namespaces/default/deployments; without a namespace, of the whole cluster."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def target_path(target: Target, plural: str | None = None) -> str:
    """/apis/apps/v1/namespaces/default/deployments/flower. Raises KeyError without `plural` where
    that is not known: see `Paths`.
    """
    found = plural or PLURALS[target.api_version, target.kind]
    return f"{collection(target.api_version, found, target.namespace)}/{target.name}"


def pool_path(driver: Driver, target: Target, plural: str | None = None) -> str:
    """The object that sizes the pool. Raises KeyError as above, ValueError for GKE's: that one is
    not in Kubernetes.
    """
    if isinstance(driver, GkePool):
        raise ValueError(  # noqa: TRY004 -- of all drivers this one has no path
            f"GKE pool {driver.pool} is not an object of Kubernetes"
        )
    if isinstance(driver, CapacityBuffer):
        return f"{collection(*BUFFERS, target.namespace)}/{driver.name}"
    if isinstance(driver, PlaceholderPods):
        return f"{collection(*DEPLOYMENTS, target.namespace)}/{driver.name}"
    found = plural or PLURALS[driver.api_version, driver.kind]
    return f"{collection(driver.api_version, found, driver.namespace)}/{driver.name}"


class Paths:
    """Paths of any kind: what is not known is asked of the API server's discovery, once."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._plurals = dict(PLURALS)

    async def target(self, target: Target, within: float) -> str:
        """Raises KubeError: 404 where that version has no such kind. `within`: seconds."""
        plural = await self.plural(target.api_version, target.kind, within)
        return target_path(target, plural)

    async def pool(self, driver: Driver, target: Target, within: float) -> str:
        """Raises KubeError as above, and ValueError for GKE's."""
        if isinstance(driver, (CapacityBuffer, PlaceholderPods, GkePool)):
            return pool_path(driver, target)
        plural = await self.plural(driver.api_version, driver.kind, within)
        return pool_path(driver, target, plural)

    async def plural(self, api_version: str, kind: str, within: float) -> str:
        """`rollouts` of argoproj.io/v1alpha1 Rollout. Raises KubeError."""
        from autoscaler.kube.client import KubeError

        known = self._plurals.get((api_version, kind))
        if known is not None:
            return known
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        answer = await self._client.get(root, within=within)
        for resource in answer.get("resources") or ():
            if resource["kind"] == kind and "/" not in resource["name"]:
                self._plurals[api_version, kind] = resource["name"]
                return str(resource["name"])
        raise KubeError(f"{api_version} has no kind {kind}", 404)
