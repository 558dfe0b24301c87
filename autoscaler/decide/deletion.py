"""Which pods go first at a scale-in: those that empty whole GPU nodes, and the least busy.

The ReplicaSet controller takes pods that are not Ready first, then by the annotation
pod-deletion-cost, the lowest first. One pod left on a node of eight GPUs keeps paying for eight.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from autoscaler.decide.fleet import Trust
from autoscaler.model import Observation, Pod, Pool

# A pod without a cost has 0; one that somebody set above it is theirs to spare.
FIRST = -1


def pod_deletion_costs(observation: Observation, remove: int, trust: Trust) -> dict[str, int]:
    """Costs by pod name for `remove` pods to go; only those that are not so already."""
    live = [pod for pod in observation.pods if not pod.terminating]
    ready = [pod for pod in live if pod.ready]
    chosen = _chosen(observation, ready, remove - (len(live) - len(ready)), trust)
    costs = {}
    for pod in ready:
        if pod.name in chosen:
            cost = min(pod.deletion_cost, FIRST)
        else:
            cost = 0 if pod.deletion_cost == FIRST else pod.deletion_cost
        if cost != pod.deletion_cost:
            costs[pod.name] = cost
    return costs


def _chosen(observation: Observation, ready: Sequence[Pod], remove: int, trust: Trust) -> set[str]:
    """Whole nodes first, the smallest before the larger; the rest from the emptiest node.

    Costs under FIRST and above 0 were set by somebody else, and stand.
    """
    theirs = sorted((p for p in ready if p.deletion_cost < FIRST), key=lambda p: p.deletion_cost)
    chosen = {pod.name for pod in theirs[: max(0, remove)]}
    left = [pod for pod in ready if FIRST <= pod.deletion_cost <= 0]
    others = _others(observation, ready)
    while remove > len(chosen) and left:
        by_node = _by_node(left)
        group = min(by_node.values(), key=lambda g: _rank(g, remove - len(chosen), others, trust))
        ranked = sorted(group, key=lambda pod: (pod.leaving is None, _busy(pod, trust), pod.name))
        whole = len(group) <= remove - len(chosen)
        taken = ranked if whole else ranked[: remove - len(chosen)]
        chosen |= {pod.name for pod in taken}
        left = [pod for pod in left if pod.name not in chosen]
    return chosen


def _rank(
    group: Sequence[Pod], remove: int, others: Counter[str | None], trust: Trust
) -> tuple[bool, bool, int, float, str]:
    """Leaving nodes, then those that can be emptied, then the emptiest, then the least busy."""
    node = group[0].node
    kept = others[node]
    emptied = node is not None and kept == 0 and len(group) <= remove
    leaving = all(pod.leaving is not None for pod in group)
    busy = sum(_busy(pod, trust) for pod in group) / len(group)
    return (not leaving, not emptied, len(group) + kept, busy, group[0].name)


def _by_node(pods: Sequence[Pod]) -> dict[str, list[Pod]]:
    """Pods whose node is not known stand alone."""
    groups: dict[str, list[Pod]] = {}
    for pod in pods:
        groups.setdefault(pod.node or f"of {pod.name}", []).append(pod)
    return groups


def _others(observation: Observation, ready: Sequence[Pod]) -> Counter[str | None]:
    """GPU pods on each node that stay there whatever we do: not ours, or spared by hand."""
    kept = Counter(pod.node for pod in ready if pod.deletion_cost > 0)
    ours = Counter(pod.node for pod in observation.pods)
    pool = observation.pool
    for node in pool.nodes if isinstance(pool, Pool) else ():
        kept[node.name] += max(0, node.gpu_pods - ours[node.name])
    return kept


def _busy(pod: Pod, trust: Trust) -> float:
    """Requests inside and arriving; a pod that does not tell is spared."""
    total = 0.0
    for signals in pod.models:
        pending, arrivals = trust.value(signals.pending), trust.value(signals.arrivals)
        if pending is None or arrivals is None:
            return math.inf
        total += pending + arrivals
    return total if pod.models else math.inf
