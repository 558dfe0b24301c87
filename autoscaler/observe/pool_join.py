"""The join with the node pools: each policy's own, and the pods whose node is about to go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from autoscaler.model import IN_NODES, Driver, Missing, Node, Pod, Policy, Pool
from autoscaler.observe.cluster import TargetReading
from autoscaler.observe.pools import PoolReadings

NOT_READ = Missing("its node pool was not read")
# A pod's and its node's news come over two watches: a node unknown for so long is gone.
NODE_KNOWN_WITHIN = 60.0


def pool_of(
    policy: Policy, target: TargetReading | Missing, pools: PoolReadings | None
) -> Pool | Missing | None:
    """None where the policy names no pool, or nobody reads pools at all (recorded time)."""
    if pools is None or policy.nodes is None or policy.nodes.driver is None:
        return None
    pool = _on_nodes(
        pools.pools.get(policy.key, NOT_READ), policy.nodes.driver, target, pools.nodes
    )
    fits = pools.fits.get(policy.key)
    if isinstance(pool, Missing) or isinstance(target, Missing) or fits is None:
        return pool
    if not target.unrequested or not pool.size:
        return pool
    return replace(pool, refusal=f"{fits}: {_UNREQUESTED}")


# Both autoscalers take a pod template as it is written. The API server fills in a pod's requests
# from its limits, a template's it leaves empty.
_UNREQUESTED = (
    "its pod template names GPUs as limits and not as requests, so that a spare pod needs none; "
    "add resources.requests with the same GPUs"
)


def fallback_of(
    policy: Policy, target: TargetReading | Missing, pools: PoolReadings | None
) -> Pool | Missing | None:
    if pools is None or policy.nodes is None or policy.nodes.fallback is None:
        return None
    found = pools.fallbacks.get(policy.key, NOT_READ)
    return _on_nodes(found, policy.nodes.fallback, target, pools.nodes)


def _on_nodes(
    pool: Pool | Missing,
    driver: Driver,
    target: TargetReading | Missing,
    nodes: Mapping[str, Node] | None,
) -> Pool | Missing:
    """A pool sized in spare replicas has no nodes of its own: those under the target's pods."""
    if isinstance(pool, Missing) or isinstance(target, Missing) or isinstance(driver, IN_NODES):
        return pool
    if nodes is None:
        return pool
    under = {pod.node for pod in target.pods if pod.node is not None}
    return replace(pool, nodes=tuple([nodes[one] for one in sorted(under) if one in nodes]))


def with_leaving(
    pods: Iterable[Pod], nodes: Mapping[str, Node] | None, now: float
) -> tuple[Pod, ...]:
    """Each pod with why it is about to be lost, where its node is."""
    if nodes is None:
        return tuple(pods)
    return tuple(
        [replace(pod, leaving=why) if (why := _why(pod, nodes, now)) else pod for pod in pods]
    )


def _why(pod: Pod, nodes: Mapping[str, Node], now: float) -> str | None:
    """None where nothing is to be added to what the pod says itself."""
    if pod.node is None or pod.leaving:
        return None
    node = nodes.get(pod.node)
    if node is not None:
        return f"its node {node.name}: {node.leaving}" if node.leaving else None
    if pod.scheduled_at is not None and now - pod.scheduled_at > NODE_KNOWN_WITHIN:
        return f"its node {pod.node} is gone"
    return None
