"""Replicas, pods and other hands from memory: a watch on the pods and the targets of each
namespace in use, and on the HPAs and ScaledObjects of those in which we write.

A read asks the API server nothing, whatever the number of targets and pods. What cannot be
watched (another kind with a /scale, or a role without `watch` on deployments) is polled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from autoscaler.clock import Clock
from autoscaler.model import Missing, Target
from autoscaler.observe.cluster import (
    ClusterReading,
    KubernetesCluster,
    OtherHands,
    TargetReading,
    hands_for,
    reading_of,
    remedy,
)
from autoscaler.observe.labels import ByLabels
from autoscaler.observe.rows import WATCHED, PodRow, TargetRow, belongs, pod_row, target_row
from autoscaler.observe.watched_hands import WatchedHands
from autoscaler.observe.watches import unread

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient
    from autoscaler.kube.watch import WatchCache


# Versions of the targets and of the pods, and the other hands: a reading stays until one changes.
State: TypeAlias = tuple[int, int, OtherHands | None]


class _Namespace:
    """The watches of one namespace: its pods, and each kind of target in use there."""

    def __init__(self, client: KubeClient, clock: Clock, namespace: str) -> None:
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._tasks: set[asyncio.Task[None]] = set()
        self._targets: dict[str, WatchCache[TargetRow]] = {}
        self._indexed: tuple[int, ByLabels[PodRow]] = (-1, ByLabels(()))
        self._known: dict[Target, tuple[State, TargetReading]] = {}
        self.pods: WatchCache[PodRow] = self._follow("/api/v1", "pods", pod_row)

    def targets(self, kind: str) -> WatchCache[TargetRow]:
        plural = WATCHED["apps/v1", kind]
        if plural not in self._targets:
            trim = partial(target_row, kind=kind)
            self._targets[plural] = self._follow("/apis/apps/v1", plural, trim)
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

    def reading(self, target: Target, hands: OtherHands | None) -> TargetReading | Missing:
        from autoscaler.kube.client import KubeError

        targets = self.targets(target.kind)
        for cache in (targets, self.pods):
            why = unread(cache)
            if why:
                return Missing(why)
        found = targets.items.get((target.namespace, target.name))
        if found is None:
            self._known.pop(target, None)
            return Missing(remedy(target, "scale", KubeError("not there", 404)))
        state = (targets.version, self.pods.version, hands)
        known = self._known.get(target)
        if known is None or known[0] != state:
            selector = ",".join(map(str, found.selector))
            reading = reading_of(target, found, self._pods(target, found), selector, hands)
            known = self._known[target] = state, reading
        return known[1]

    def _pods(self, target: Target, found: TargetRow) -> list[PodRow]:
        if self._indexed[0] != self.pods.version:
            pods = [(row.labels, row) for row in self.pods.items.values()]
            self._indexed = self.pods.version, ByLabels(pods)
        return [
            row for row in self._indexed[1].select(found.selector) if belongs(row.owner, target)
        ]


class WatchedCluster:
    """A `Cluster` served from watches; they start with the first read that needs them."""

    """`own`: the namespace of our lease and of the freeze, the client's unless given."""

    def __init__(self, client: KubeClient, clock: Clock, own: str | None = None) -> None:
        self._client = client
        self._clock = clock
        self._polled = KubernetesCluster(client)
        self._hands = WatchedHands(client, clock, own or client.namespace)
        self._namespaces: dict[str, _Namespace] = {}
        self.last = ClusterReading({})  # labels and selectors of the last read, for who serves

    async def close(self) -> None:
        for namespace in self._namespaces.values():
            await namespace.close()
        self._namespaces.clear()
        await self._hands.close()

    async def read(
        self,
        targets: Sequence[Target],
        now: float,  # noqa: ARG002 -- what is in memory was true a moment ago
        deadline: float,
        scaled: Collection[Target] = frozenset(),
    ) -> ClusterReading:
        """From memory, but for the first read and for what is polled."""
        due = asyncio.get_running_loop().time() + deadline
        watched = [one for one in targets if (one.api_version, one.kind) in WATCHED]
        await self._forget({one.namespace for one in watched})
        await asyncio.gather(
            self._first_lists(watched, deadline / 2),
            self._hands.refresh({one.namespace for one in targets if one in scaled}, deadline / 2),
        )
        other = {one: hands_for(one, self._hands, scaled) for one in targets}
        found = {
            one: self._namespaces[one.namespace].reading(one, other[one])
            for one in self._synced(watched)
        }
        rest = [one for one in targets if one not in found]
        for one, row in zip(rest, await self._polled.rows(rest, due), strict=True):
            found[one] = row if isinstance(row, Missing) else reading_of(one, *row, other[one])
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
