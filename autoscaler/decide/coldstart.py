"""Cold starts, measured: decision → scheduled (a node) → started (the image) → Ready (the model).

A pod counts once, and only if its first Ready was seen: a container that restarted a week later
became Ready long after it was scheduled, and took no week to start.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from autoscaler.model import Arrival, ColdStart, Observation, Order, Pod, Pool, State

# Before ENOUGH starts are measured: the slowest healthy one on record is about 15 minutes (a GPU
# node on Autopilot).
UNMEASURED = 900.0
SHORTEST = 60.0
ENOUGH = 3
KEPT = 32
FOLLOWED = 64
# Where a GPU is free, a pod is bound within a second of its creation; from here on it waited.
NODE_WAIT = 3.0
# A pod this young when first seen was not Ready and lost again in between.
YOUNG = 60.0
# A pod that is created within so many seconds of an order was created by it. Kubernetes writes
# whole seconds: created 08:00:00, ordered 08:00:00.9.
BY_ORDER, TRUNCATED = 30.0, 1.0


def lost_after(state: State) -> float:
    """Seconds without progress after which a pod that has its node is no supply on its way.

    Twice the p90 of what was measured: 2 × 95 s = 190 s.
    """
    return _patience([start.total for start in state.cold_starts], len(state.cold_starts))


def node_lost_after(state: State) -> float:
    """The same for a pod without a node, and for a node itself.

    Only starts that had to wait for a node tell how long one takes. Three of 20 s, each on a GPU
    that was free, would call a node of 5 minutes lost after one.
    """
    waited = [start.total for start in state.cold_starts if start.scheduling >= NODE_WAIT]
    return _patience(waited, len(state.cold_starts))


def horizon(state: State) -> float | None:
    """How far ahead capacity must be asked for, in seconds (p90); None before enough is known."""
    if len(state.cold_starts) < ENOUGH:
        return None
    return quantile([start.total for start in state.cold_starts], 0.9)


def _patience(totals: list[float], measured: int) -> float:
    if measured < ENOUGH or not totals:
        return UNMEASURED
    return max(SHORTEST, 2 * quantile(totals, 0.9))


def quantile(values: Iterable[float], share: float) -> float:
    """The nearest rank: the p90 of 10 values is the ninth. Raises ValueError for none."""
    ranked = sorted(values)
    if not ranked:
        raise ValueError("no values")
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def figures(state: State) -> dict[str, float]:
    """What is shown: seconds, whole and by phase; nothing before the first start is measured."""
    starts = state.cold_starts
    if not starts:
        return {}
    totals = sorted(start.total for start in starts)
    return {
        "coldStartP50": quantile(totals, 0.5),
        "coldStartP90": quantile(totals, 0.9),
        "coldStartSchedulingP50": quantile((start.scheduling for start in starts), 0.5),
        "coldStartPullingP50": quantile((start.pulling for start in starts), 0.5),
        "coldStartLoadingP50": quantile((start.loading for start in starts), 0.5),
    }


def follow(
    state: State,
    unready: tuple[Pod, ...],
    observation: Observation,
    now: float,
    *,
    ordered: Order | None,
    first_look: bool,
) -> dict[str, Any]:
    """What changes in the state: pods on their way to their first Ready, and who got there.

    `unready`: live pods that are not Ready. `ordered`: the order of the last tick.
    """
    if not unready and not state.arrivals:
        return {}
    known = {arrival.pod for arrival in state.arrivals}
    new = []
    for pod in unready:
        if pod.name not in known and (first_look or _never_ready(pod, now)):
            measured = not first_look or _has_no_node(pod)
            new.append(Arrival(pod.name, _decided_at(pod, state, ordered, now), measured))
    waiting, ready = state.arrivals, {}
    if state.arrivals:
        live = {pod.name: pod for pod in observation.pods if not pod.terminating}
        ready = {name: pod for name, pod in live.items() if pod.ready}
        waiting = tuple(a for a in state.arrivals if a.pod in live and a.pod not in ready)
    changes: dict[str, Any] = {}
    if new or len(waiting) != len(state.arrivals):
        changes["arrivals"] = (*waiting, *new)[-FOLLOWED:]
    starts = _measured(state.arrivals, ready, _of_the_fallback(observation))
    if starts:
        changes["cold_starts"] = (*state.cold_starts, *starts)[-KEPT:]
    return changes


def _of_the_fallback(observation: Observation) -> frozenset[str]:
    """Nodes on which a start tells nothing: it waited in vain for the first pool before.

    Learned from, each outage would double the patience with the next: 85 s to Ready are waited
    for twice, 170 s, then the fallback's node makes it 255 s, and that 510 s, …
    """
    pool = observation.fallback
    return frozenset(node.name for node in pool.nodes) if isinstance(pool, Pool) else frozenset()


def _measured(
    arrivals: tuple[Arrival, ...], ready: Mapping[str, Pod], untold: frozenset[str]
) -> list[ColdStart]:
    starts = []
    for arrival in arrivals:
        pod = ready.get(arrival.pod)
        if pod is None or not arrival.measured or pod.node in untold:
            continue
        start = measure(pod, arrival.at)
        if start is not None:
            starts.append(start)
    return sorted(starts, key=lambda start: start.at)


def measure(pod: Pod, decided_at: float) -> ColdStart | None:
    """Its way to Ready; None where a time is missing (its container has restarted, say).

    The decision is dated by our clock and all else by Kubernetes'. Where ours was set since, they
    are no longer close: a start of 60 s would be one of 2 hours, and nobody called lost for 4.
    """
    if pod.created_at is not None and not _led_to(decided_at, pod.created_at):
        decided_at = pod.created_at
    scheduled, started, ready = pod.scheduled_at, pod.started_at, pod.ready_at
    if scheduled is None or started is None or ready is None:
        return None
    return ColdStart(
        at=ready,
        scheduling=max(0.0, scheduled - decided_at),
        pulling=max(0.0, started - scheduled),
        loading=max(0.0, ready - started),
    )


def _never_ready(pod: Pod, now: float) -> bool:
    return _has_no_node(pod) or (pod.created_at is not None and now - pod.created_at <= YOUNG)


def _has_no_node(pod: Pod) -> bool:
    return pod.node is None and pod.scheduled_at is None


def _decided_at(pod: Pod, state: State, ordered: Order | None, now: float) -> float:
    """When the order was given that this pod came of; its creation where there was none."""
    if pod.created_at is None:
        return now
    asked = [state.scaled_at]
    if ordered is not None and ordered.after > ordered.before:
        asked.append(ordered.at)
    since = [at for at in asked if at is not None and _led_to(at, pod.created_at)]
    return max(since, default=min(pod.created_at, now))


def _led_to(at: float, created_at: float) -> bool:
    return -TRUNCATED <= created_at - at <= BY_ORDER
