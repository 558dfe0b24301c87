"""Replicas and pods from Kubernetes: the target's `/scale`, and the pods that it selects."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from autoscaler.model import Missing, Pod, Replicas, Target
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

# Requests under way at once: the API server's fairness would queue more of them anyhow.
CONCURRENCY = 16
PAGE = "500"
PLURALS = {
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("apps/v1", "ReplicaSet"): "replicasets",
}


@dataclass(frozen=True, slots=True)
class TargetReading:
    """`pods` are all that the selector gives, terminating ones too, without signals."""

    replicas: Replicas
    pods: tuple[Pod, ...]
    selector: str
    labels: Mapping[str, str] = field(default_factory=dict)  # the target's own, where known
    pod_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by pod name


@dataclass(frozen=True, slots=True)
class ClusterReading:
    targets: Mapping[Target, TargetReading | Missing]


class Cluster(Protocol):
    """Never raises for what the API server does: a target that cannot be read is Missing."""

    async def read(
        self, targets: Sequence[Target], now: float, deadline: float
    ) -> ClusterReading: ...


class KubernetesCluster:
    """Asks the API server on each read: one GET and one LIST (paged) for each target."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._plurals = dict(PLURALS)

    async def read(
        self,
        targets: Sequence[Target],
        now: float,  # noqa: ARG002 -- the API server answers for this moment
        deadline: float,
    ) -> ClusterReading:
        limit = asyncio.Semaphore(CONCURRENCY)
        loop = asyncio.get_running_loop()
        due = loop.time() + deadline

        async def one(target: Target) -> TargetReading | Missing:
            try:
                async with asyncio.timeout_at(due), limit:
                    return await self._target(target, due)
            except TimeoutError:
                waited = format_duration(deadline)
                return Missing(f"Kubernetes gave no answer on {target.name} within {waited}")

        found = await asyncio.gather(*(one(target) for target in targets))
        return ClusterReading(dict(zip(targets, found, strict=True)))

    async def _target(self, target: Target, due: float) -> TargetReading | Missing:
        from autoscaler.kube.client import KubeError

        what = "scale"
        try:
            path = await self._path(target, due)
            scale = await self._get(f"{path}/scale", {}, due)
            selector = (scale.get("status") or {}).get("selector") or ""
            if not selector:
                return Missing(f"/scale of {target.kind} {target.name} names no pod selector")
            what = "pods"
            items = await self._pods(target.namespace, selector, due)
        except KubeError as error:
            return Missing(remedy(target, what, error))
        ours = [item for item in items if belongs(controller(item), target)]
        pods = tuple([pod_of(item) for item in ours])
        serving = sum(pod.ready and not pod.terminating for pod in pods)
        replicas = Replicas(
            # Zero is left out of a Scale's JSON.
            desired=int((scale.get("spec") or {}).get("replicas", 0)),
            ready=serving,
            resource_version=(scale.get("metadata") or {}).get("resourceVersion"),
        )
        labels = {pod["metadata"]["name"]: pod["metadata"].get("labels") or {} for pod in ours}
        return TargetReading(replicas, pods, selector, pod_labels=labels)

    async def _path(self, target: Target, due: float) -> str:
        """/apis/apps/v1/namespaces/default/deployments/flower; other kinds through discovery."""
        version = target.api_version
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        plural = self._plurals.get((version, target.kind))
        if plural is None:
            for resource in (await self._get(root, {}, due)).get("resources") or ():
                if resource["kind"] == target.kind and "/" not in resource["name"]:
                    plural = self._plurals[version, target.kind] = resource["name"]
        if plural is None:
            from autoscaler.kube.client import KubeError

            raise KubeError(f"{version} has no kind {target.kind}", 404)
        return f"{root}/namespaces/{target.namespace}/{plural}/{target.name}"

    async def _pods(self, namespace: str, selector: str, due: float) -> list[Any]:
        """All pages: a list that stops at the first 500 would lose pods without a word."""
        items: list[Any] = []
        query = {"labelSelector": selector, "limit": PAGE}
        while True:
            page = await self._get(f"/api/v1/namespaces/{namespace}/pods", query, due)
            items += page.get("items") or ()
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return items
            query["continue"] = more

    async def _get(self, path: str, query: dict[str, str], due: float) -> Any:
        # A little more than is left: `read` speaks of the whole time, not of this call's share.
        left = due - asyncio.get_running_loop().time()
        return await self._client.get(path, query, within=left + 0.5)


def pod_of(item: Any) -> Pod:
    metadata, status = item["metadata"], item.get("status") or {}
    created = metadata.get("creationTimestamp")
    return Pod(
        name=metadata["name"],
        ready=any(
            condition.get("type") == "Ready" and condition.get("status") == "True"
            for condition in status.get("conditions") or ()
        ),
        terminating="deletionTimestamp" in metadata,
        phase=status.get("phase") or "Unknown",
        created_at=datetime.fromisoformat(created).timestamp() if created else None,
        node=(item.get("spec") or {}).get("nodeName"),
    )


def controller(item: Any) -> tuple[str, str] | None:
    """Kind and name of the one owner that controls a pod."""
    for owner in item["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner.get("kind")), str(owner.get("name"))
    return None


def belongs(owner: tuple[str, str] | None, target: Target) -> bool:
    """Selectors overlap: a canary with the same labels is another Deployment's pod.

    A Deployment's pods are controlled by its ReplicaSet, flower-5cf8b78894; a pod that nobody
    controls is taken for the target's (its ReplicaSet will adopt it).
    """
    if owner is None or (target.api_version, target.kind) not in PLURALS:
        return True
    kind, name = owner
    if target.kind == "Deployment":
        of_set = re.fullmatch(r"(.+)-[a-z0-9]{1,10}", name)
        return kind == "ReplicaSet" and of_set is not None and of_set[1] == target.name
    return kind == target.kind and name == target.name


def remedy(target: Target, what: str, error: Exception) -> str:
    """The reason, and what to type."""
    kind, name, namespace = target.kind, target.name, target.namespace
    status = getattr(error, "status", 0)
    resource = "pods" if what == "pods" else f"{kind.lower()}s/scale"
    if status == 403:
        verb = "list" if what == "pods" else "get"
        return (
            f"not allowed to {verb} {resource} in namespace {namespace} ({error}): try "
            f"`kubectl create role triton-autoscaler -n {namespace} --verb={verb} "
            f"--resource={resource}` and bind it"
        )
    if status == 404:
        return (
            f"no {kind} {name} in namespace {namespace}, or it has no /scale ({error}): see "
            f"`kubectl get {kind.lower()}s -n {namespace}`"
        )
    if status == 401:
        return f"Kubernetes does not know us ({error}): renew the token, see `kubectl auth whoami`"
    return f"Kubernetes, {kind} {namespace}/{name}: {error}"
