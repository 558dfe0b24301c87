"""Whether a node pool brings what was asked of it: waited for, come, or lost."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.decide.coldstart import node_lost_after
from autoscaler.decide.failing import unscheduled
from autoscaler.model import IN_NODES, Nodes, Observation, Pod, Pool, PoolMemory, State


def follow(
    nodes: Nodes, pool: Pool, observation: Observation, state: State, now: float
) -> PoolMemory:
    """The memory after this look, but for `idle_since`.

    Lost: for twice the cold start no node came although more were asked for, or a pod has waited
    that long for one. The first node that comes starts the clock anew.
    """
    memory, patience = state.pool, node_lost_after(state)
    memory = _asked(memory, nodes, pool, now)
    late = memory.asked_at is not None and now - memory.asked_at > patience
    if late or _homeless_for(observation, now) > patience:
        return memory if memory.lost_since is not None else replace(memory, lost_since=now)
    return memory if memory.lost_since is None else replace(memory, lost_since=None)


def waiting_for_a_node(observation: Observation) -> list[Pod]:
    return [
        pod
        for pod in observation.pods
        if not pod.ready and not pod.terminating and unscheduled(pod)
    ]


def _asked(memory: PoolMemory, nodes: Nodes, pool: Pool, now: float) -> PoolMemory:
    """Nodes asked for that are not there yet; spare replicas show in pods that wait, only.

    A node that is there has come, whatever became of it: 3 asked for, one of them cordoned for
    hours, is no pool that brings nothing. One that never gets Ready shows in pods that wait, too.
    """
    there = len(pool.nodes)
    if not isinstance(nodes.driver, IN_NODES) or there >= pool.size:
        if memory.asked_at is None and memory.asked_nodes == 0:
            return memory
        return replace(memory, asked_at=None, asked_nodes=0)
    if memory.asked_at is None or there > memory.asked_nodes:
        return replace(memory, asked_at=now, asked_nodes=there)
    return memory if there == memory.asked_nodes else replace(memory, asked_nodes=there)


def _homeless_for(observation: Observation, now: float) -> float:
    """Seconds that the longest waiting pod has had no node."""
    since = [
        pod.created_at for pod in waiting_for_a_node(observation) if pod.created_at is not None
    ]
    return now - min(since) if since else 0.0
