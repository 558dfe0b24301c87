"""All nodes of the cluster and the pods with GPUs on them, at one moment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autoscaler.model import Missing, Node
from autoscaler.observe.labels import ByLabels, Requirement, Selector
from autoscaler.observe.node_rows import GpuPod, NodeRow, gpu_pod, node_row
from autoscaler.observe.watches import Watches, unread

if TYPE_CHECKING:
    from autoscaler.kube.watch import WatchCache

NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
ALIVE = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}


@dataclass(frozen=True, slots=True)
class Fleet:
    nodes: Mapping[str, Node]
    by_labels: ByLabels[Node]
    pods: Mapping[tuple[str, str], GpuPod]  # by namespace and name
    unknown: str | None  # why the pods are not known, and the nodes' `gpu_pods` mean nothing
    _chosen: dict[Selector, tuple[Node, ...]] = field(default_factory=dict)

    def having(self, labels: Mapping[str, str]) -> tuple[Node, ...]:
        """By name; found once for all policies that share the pool."""
        selector = tuple(Requirement(key, "In", (value,)) for key, value in labels.items())
        if selector not in self._chosen:
            found = sorted(self.by_labels.select(selector), key=lambda node: node.name)
            self._chosen[selector] = tuple(found)
        return self._chosen[selector]

    def waiting(self, namespace: str, deployment: str) -> str | None:
        """Why a pod of that Deployment has no node; the first that says so speaks for all."""
        of_set = re.compile(re.escape(deployment) + r"-[a-z0-9]{1,10}")
        return next(
            (
                pod.waiting
                for (place, _), pod in self.pods.items()
                if place == namespace
                and pod.node is None
                and pod.waiting
                and pod.owner
                and of_set.fullmatch(pod.owner[1])
            ),
            None,
        )


class FleetWatch:
    """Nodes, and where a pool's size depends on them the pods with GPUs too."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self._pods = False
        self._known: tuple[tuple[int, int, str | None], Fleet] | None = None

    def follow(self, *, pods: bool) -> None:
        self._watches.follow(NODES, node_row)
        self._pods = self._pods or pods
        if self._pods:
            self._watches.follow(PODS, gpu_pod, ALIVE)

    def look(self) -> Fleet | Missing:
        """Counted anew only where a node or a pod has changed."""
        nodes, pods = self._watches.get(NODES), self._watches.get(PODS)
        why = unread(nodes)
        if nodes is None or why:
            return Missing(_untold("nodes", nodes, why or ""))
        why = unread(pods)
        unknown = _untold("pods of all namespaces", pods, why) if why else None
        state = (nodes.version, pods.version if pods else -1, unknown)
        if self._known is None or self._known[0] != state:
            of_pods = {} if pods is None or unknown else dict(pods.items)
            self._known = state, _count(nodes.items.values(), of_pods, unknown)
        return self._known[1]


def _untold(what: str, cache: WatchCache[Any] | None, why: str) -> str:
    if cache is None or cache.status != 403:
        return f"the {what} are not known: {why}"
    return (
        f"not allowed to list and watch {what} ({why}): the component `nodepools` of the shipped "
        "manifests allows it"
    )


def _count(
    rows: Iterable[NodeRow], pods: Mapping[tuple[str, str], GpuPod], unknown: str | None
) -> Fleet:
    on = Counter(pod.node for pod in pods.values() if pod.node)
    nodes, labelled = {}, []
    for row in rows:
        node = Node(row.name, row.gpus, row.ready, row.leaving, on[row.name])
        nodes[row.name] = node
        labelled.append((row.labels, node))
    return Fleet(nodes, ByLabels(labelled), pods, unknown)
