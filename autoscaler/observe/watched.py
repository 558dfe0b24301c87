"""Replicas and pods from memory: a watch on the pods and the targets of each namespace in use.

A read asks the API server nothing, whatever the number of targets and pods. What cannot be
watched (another kind with a /scale, or a role without `watch` on deployments) is polled.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoscaler.clock import Clock
from autoscaler.model import Missing, Pod, Replicas, Target
from autoscaler.observe.cluster import (
    PLURALS,
    ClusterReading,
    KubernetesCluster,
    TargetReading,
    belongs,
    controller,
    pod_of,
    remedy,
)
from autoscaler.observe.labels import ByLabels, Labels, Selector, kept, selector_of
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient
    from autoscaler.kube.watch import WatchCache

# Twice the 30 s after which a healthy watch is renewed: older than that is not known to be true.
STALE_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class WatchedPod:
    """What is kept of a pod: about 0.5 kB of its 10 kB."""

    pod: Pod
    labels: Labels
    owner: tuple[str, str] | None  # kind and name of the controller


@dataclass(frozen=True, slots=True)
class WatchedTarget:
    """What is kept of a Deployment, StatefulSet or ReplicaSet."""

    replicas: int
    selector: Selector
    resource_version: str
    labels: Labels


def trim_pod(item: Any) -> WatchedPod:
    pod = pod_of(item)
    owner = controller(item)
    return WatchedPod(
        Pod(
            name=pod.name,
            ready=pod.ready,
            terminating=pod.terminating,
            phase=sys.intern(pod.phase),
            created_at=pod.created_at,
            node=sys.intern(pod.node) if pod.node else None,
        ),
        kept(item["metadata"].get("labels")),
        None if owner is None else (sys.intern(owner[0]), sys.intern(owner[1])),
    )


def trim_target(item: Any) -> WatchedTarget:
    metadata, spec = item["metadata"], item["spec"]
    return WatchedTarget(
        replicas=int(spec.get("replicas", 1)),
        selector=selector_of(spec.get("selector")),
        resource_version=metadata["resourceVersion"],
        labels=kept(metadata.get("labels")),
    )


class _Namespace:
    """The watches of one namespace: its pods, and each kind of target in use there."""

    def __init__(self, client: KubeClient, clock: Clock, namespace: str) -> None:
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._tasks: set[asyncio.Task[None]] = set()
        self._targets: dict[str, WatchCache[WatchedTarget]] = {}
        self._indexed: tuple[int, ByLabels[WatchedPod]] = (-1, ByLabels(()))
        self._known: dict[Target, tuple[tuple[int, int], TargetReading]] = {}
        self.pods: WatchCache[WatchedPod] = self._follow("/api/v1", "pods", trim_pod)

    def targets(self, kind: str) -> WatchCache[WatchedTarget]:
        plural = PLURALS["apps/v1", kind]
        if plural not in self._targets:
            self._targets[plural] = self._follow("/apis/apps/v1", plural, trim_target)
        return self._targets[plural]

    def _follow(self, root: str, plural: str, trim: Any) -> WatchCache[Any]:
        from autoscaler.kube.watch import WatchCache

        path = f"{root}/namespaces/{self._namespace}/{plural}"
        cache: WatchCache[Any] = WatchCache(self._client, path, trim, clock=self._clock)
        self._tasks.add(asyncio.create_task(cache.run(), name=f"watch {path}"))
        return cache

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reading(self, target: Target) -> TargetReading | Missing:
        from autoscaler.kube.client import KubeError

        targets = self.targets(target.kind)
        for cache in (targets, self.pods):
            if cache.age > STALE_AFTER:
                limit = format_duration(STALE_AFTER)
                return Missing(f"{cache.why()}; older than {limit} is not trusted")
        found = targets.items.get((target.namespace, target.name))
        if found is None:
            self._known.pop(target, None)
            return Missing(remedy(target, "scale", KubeError("not there", 404)))
        versions = (targets.version, self.pods.version)
        known = self._known.get(target)
        if known is None or known[0] != versions:
            known = self._known[target] = versions, self._compose(target, found)
        return known[1]

    def _compose(self, target: Target, found: WatchedTarget) -> TargetReading:
        if self._indexed[0] != self.pods.version:
            pods = [(row.labels, row) for row in self.pods.items.values()]
            self._indexed = self.pods.version, ByLabels(pods)
        rows = [
            row for row in self._indexed[1].select(found.selector) if belongs(row.owner, target)
        ]
        serving = sum(row.pod.ready and not row.pod.terminating for row in rows)
        return TargetReading(
            Replicas(found.replicas, serving, resource_version=found.resource_version),
            tuple([row.pod for row in rows]),
            ",".join(map(str, found.selector)),
            labels=found.labels,
            pod_labels={row.pod.name: row.labels for row in rows},
        )


class WatchedCluster:
    """A `Cluster` served from watches; they start with the first read that needs them."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._polled = KubernetesCluster(client)
        self._namespaces: dict[str, _Namespace] = {}
        self.last = ClusterReading({})  # labels and selectors of the last read, for who serves

    async def close(self) -> None:
        for namespace in self._namespaces.values():
            await namespace.close()
        self._namespaces.clear()

    async def read(self, targets: Sequence[Target], now: float, deadline: float) -> ClusterReading:
        """From memory, but for the first read and for what is polled."""
        began = asyncio.get_running_loop().time()
        watched = [one for one in targets if (one.api_version, one.kind) in PLURALS]
        await self._forget({one.namespace for one in watched})
        await self._first_lists(watched, deadline / 2)
        found = {one: self._namespaces[one.namespace].reading(one) for one in self._synced(watched)}
        rest = [one for one in targets if one not in found]
        if rest:
            left = deadline - (asyncio.get_running_loop().time() - began)
            found |= (await self._polled.read(rest, now, left)).targets
        self.last = ClusterReading({target: found[target] for target in targets})
        return self.last

    def _synced(self, targets: Sequence[Target]) -> list[Target]:
        found = []
        for target in targets:
            namespace = self._namespaces[target.namespace]
            if namespace.pods.synced and namespace.targets(target.kind).synced:
                found.append(target)
        return found

    async def _first_lists(self, targets: Sequence[Target], within: float) -> None:
        """Start what is missing. Whether a list comes or is refused, it is waited for once."""
        fresh: dict[int, WatchCache[Any]] = {}
        for target in targets:
            name = target.namespace
            if name not in self._namespaces:
                self._namespaces[name] = _Namespace(self._client, self._clock, name)
            namespace = self._namespaces[name]
            for cache in (namespace.pods, namespace.targets(target.kind)):
                if not cache.synced and cache.problem is None:
                    fresh[id(cache)] = cache
        await asyncio.gather(*(cache.first_answer(within) for cache in fresh.values()))

    async def _forget(self, used: set[str]) -> None:
        """No policy names the namespace any more: stop watching it."""
        for name in self._namespaces.keys() - used:
            await self._namespaces.pop(name).close()
