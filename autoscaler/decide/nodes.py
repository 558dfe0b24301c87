"""Stage 9: the GPU node pool. Nodes up before pods up, pods down before nodes down.

Sized in the driver's unit. *Nodes*: as many as the replicas need, with the spare ones and those
that the load will need a cold start from now; never fewer than have a GPU pod on them. *Spare
replicas*: room that the pool's own autoscaler keeps free. What nobody knows, or somebody else
owns, is left as it is; what does not come is said to be lost and asked for elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from autoscaler.decide import packing, poolmemory
from autoscaler.decide.capacity import round_up
from autoscaler.decide.coldstart import horizon, node_lost_after
from autoscaler.decide.context import Context
from autoscaler.decide.sizing import Need, Sized, size
from autoscaler.model import Missing, Observation, Policy, Pool, PoolMemory, PoolWish, State
from autoscaler.units import format_duration


@dataclass(frozen=True, slots=True)
class Planned:
    """`wish`: None where nothing is to be resized now."""

    memory: PoolMemory
    wish: PoolWish | None = None
    notes: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)


def plan(
    policy: Policy,
    observation: Observation,
    state: State,
    now: float,
    desired: int,
    *,
    ahead: int = 0,
    trusted: bool = True,
) -> Planned | None:
    """None where the policy names no pool. `trusted`: no signal is missing."""
    nodes, pool = policy.nodes, observation.pool
    if nodes is None or nodes.driver is None or (pool is None and policy.mode != "scale"):
        return None
    if not isinstance(pool, Pool):
        why = pool.missing if isinstance(pool, Missing) else "nobody has read it"
        return Planned(state.pool, notes=(f"the node pool is held as it is: {why}",))
    memory = poolmemory.follow(nodes, pool, observation, state, now)
    lost = memory.lost_since is not None
    need = _need(policy, observation, state, desired, ahead, trusted)
    here = replace(
        need,
        replicas=max(0, need.replicas - packing.elsewhere(pool, observation)),
        may_raise=need.may_raise and not lost,
    )
    first = size(nodes, nodes.driver, pool, observation, here, memory.idle_since, now)
    second = _fall_back(policy, observation, need, memory, now)
    memory = replace(memory, idle_since=first.idle_since, fallback_idle_since=second.idle_since)
    said = [*_told(pool, observation, state, memory, now, second), first.note, second.note]
    return Planned(
        memory,
        first.wish or second.wish,
        tuple([note for note in said if note]),
        _figures(pool, observation, memory, now),
    )


def ahead(ctx: Context, desired: int) -> int:
    """Replicas that the load will need beyond `desired` one cold start (p90) from now.

    The trend is that of the two windows, whose middles are (slow − fast) / 2 apart: 3.0 replicas'
    worth over 1 minute and 2.4 over 5 grow by 0.6 in 2 minutes; with a cold start of 4 minutes,
    half a minute after the middle of the fast window, 3.0 + 0.3 × 4.5 = 4.35 are to come. At most
    as many again as there are: a step looks like a steep trend for a while.
    """
    load, seconds = ctx.load, horizon(ctx.state)
    windows = ctx.fleet.windows
    if load is None or seconds is None or load.missing or load.missing_slow or not load.raisable:
        return 0
    if load.fast <= load.slow or windows.slow <= windows.fast:
        return 0
    slope = (load.fast - load.slow) / ((windows.slow - windows.fast) / 2)
    coming = load.fast + slope * (seconds + windows.fast / 2)
    more = round_up(coming / (1 - ctx.policy.headroom)) - desired
    return max(0, min(more, desired, ctx.policy.replicas.max - desired))


def _need(
    policy: Policy, observation: Observation, state: State, desired: int, ahead: int, trusted: bool
) -> Need:
    """Less is asked for only once the pods are down, nobody else is at it, and all is known."""
    current = getattr(observation.replicas, "desired", desired)
    hands, spare = observation.hands, policy.nodes.spare if policy.nodes else 0
    stopped = policy.paused or (policy.mode == "scale" and bool(hands.paused or hands.others))
    settled = desired == current and len(observation.pods) <= desired
    replicas = max(current, desired)
    if observation.cap is not None:  # spare GPUs are GPUs of the budget, too
        room = max(0, observation.cap.replicas - max(replicas, len(observation.pods)))
        spare, ahead = min(spare, room), min(ahead, max(0, room - spare))
    parts = [f"{replicas} replica{'s' if replicas != 1 else ''}"]
    parts += [f"{spare} spare"] if spare else []
    parts += [f"{ahead} that the load will need within a cold start"] if ahead else []
    return Need(
        replicas=replicas,
        spare=spare + ahead,
        why=" and ".join(parts) if len(parts) < 3 else f"{parts[0]}, {parts[1]} and {parts[2]}",
        may_raise=not stopped,
        may_lower=not stopped and trusted and settled and state.contest is None,
        idle_for=policy.cooldown.scale_down,
    )


def _fall_back(
    policy: Policy, observation: Observation, need: Need, memory: PoolMemory, now: float
) -> Sized:
    """While the first pool brings nothing, its fallback hosts whoever has no place there; later
    it keeps those that run on it, and goes down behind them.
    """
    nodes, pool = policy.nodes, observation.fallback
    if nodes is None or nodes.fallback is None or pool is None:
        return Sized()
    if isinstance(pool, Missing):
        return Sized(note=f"the fallback pool is held as it is: {pool.missing}")
    names = {node.name for node in pool.nodes}
    live = [pod for pod in observation.pods if not pod.terminating and pod.node is not None]
    on_it = sum(pod.node in names for pod in live)
    missing = max(0, need.replicas - len(live)) if memory.lost_since is not None else 0
    why = f"{on_it + missing} replicas without a place in the first pool"
    there = replace(need, replicas=on_it, spare=missing, why=why)
    # gpusPerNode and maxNodes are the first pool's.
    per_node = None if pool.nodes else nodes.gpus_per_node
    rules = replace(nodes, max_nodes=None, gpus_per_node=per_node)
    idle = memory.fallback_idle_since
    return size(rules, nodes.fallback, pool, observation, there, idle, now)


def _told(
    pool: Pool,
    observation: Observation,
    state: State,
    memory: PoolMemory,
    now: float,
    second: Sized,
) -> list[str]:
    said = [f"the node pool brings nothing: {pool.refusal}"] if pool.refusal else []
    if memory.lost_since is None:
        return said
    limit = format_duration(node_lost_after(state))
    homeless = len(poolmemory.waiting_for_a_node(observation))
    what = f"{pool.size} asked for, {len(pool.nodes)} nodes there, {homeless} pods without one"
    then = "the fallback is asked instead" if second.wish else "no more are asked for"
    lasting = format_duration(now - memory.lost_since)
    return [*said, f"capacity lost for {lasting}: no node came within {limit} ({what}); {then}"]


def _figures(
    pool: Pool, observation: Observation, memory: PoolMemory, now: float
) -> dict[str, float]:
    usable = sum(node.ready and node.leaving is None for node in pool.nodes)
    figures = {"poolSize": float(pool.size), "poolNodes": float(usable)}
    homeless = len(poolmemory.waiting_for_a_node(observation))
    if homeless:
        figures["withoutNode"] = float(homeless)
    if memory.lost_since is not None:
        figures["capacityLostFor"] = now - memory.lost_since
    return figures
