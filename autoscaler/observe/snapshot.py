"""The join: each policy's target, its live pods, and what is known of them, as one Observation.

Two ways to know which pods live: Kubernetes says so, or (without it) their series are fresh and
their names are those that the target would give. Everything here is one pass over pods and one
over policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from autoscaler.kube.hands import NO_HANDS
from autoscaler.model import (
    Hands,
    Metric,
    Missing,
    ModelSignals,
    Observation,
    Pod,
    Policy,
    Pool,
    Replicas,
    Signal,
    Target,
)
from autoscaler.observe.cluster import ClusterReading, TargetReading
from autoscaler.observe.names import Owners
from autoscaler.observe.pods import ALL_MODELS
from autoscaler.observe.pool_join import fallback_of, pool_of, with_leaving
from autoscaler.observe.port import PodReading, Readings
from autoscaler.observe.triton import unknown_model
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.observe.pools import PoolReadings

INFERRED = "pods inferred from series, by their names: no access to Kubernetes"
NOT_ASKED = Missing("this query was not asked")
NOT_READ = Missing("its replicas were not read")
# Other hands, the node pool and its fallback.
Around: TypeAlias = tuple[Hands, Pool | Missing | None, Pool | Missing | None]
NOTHING_AROUND: Around = (NO_HANDS, None, None)


def join(
    policies: Sequence[Policy],
    readings: Readings,
    cluster: ClusterReading | None,
    now: float,
    pools: PoolReadings | None = None,
) -> dict[str, Observation]:
    """Policy.key → Observation, for every policy, whatever is missing. `now` is Unix time."""
    by_target = _series_by_target({policy.target for policy in policies}, readings)
    observations = {}
    for policy in policies:
        series = by_target.get(policy.target, ())
        if cluster is None:
            observation = _from_series(policy, readings, series, now)
        else:
            target = cluster.targets.get(policy.target, NOT_READ)
            observation = _from_cluster(policy, readings, target, series, now, pools)
        observations[policy.key] = observation
    return observations


def _series_by_target(
    targets: Iterable[Target], readings: Readings
) -> dict[Target, list[tuple[str, PodReading]]]:
    """Pods with series, under the target whose pods are named so."""
    owners = Owners(targets)
    found: dict[Target, list[tuple[str, PodReading]]] = {}
    for (namespace, pod), reading in readings.pods.items():
        target = owners.of(namespace, pod)
        if target is not None:
            found.setdefault(target, []).append((pod, reading))
    return found


# --- with Kubernetes -------------------------------------------------------------------------


def _from_cluster(
    policy: Policy,
    readings: Readings,
    target: TargetReading | Missing,
    series: Sequence[tuple[str, PodReading]],
    now: float,
    pools: PoolReadings | None,
) -> Observation:
    around = (
        target.hands if isinstance(target, TargetReading) else NO_HANDS,
        pool_of(policy, target, pools),
        fallback_of(policy, target, pools),
    )
    if isinstance(target, Missing):
        return _observation(policy, readings, target, (), (target.missing,), around)
    there = [pod for pod in target.pods if pod.phase not in _OVER]
    # Without signals: what they still serve is load that nobody has to carry.
    going = [pod for pod in there if pod.terminating]
    live = with_leaving(
        (pod for pod in there if not pod.terminating), pools.nodes if pools else None, now
    )
    known = {pod.name for pod in target.pods}
    namespace = policy.target.namespace
    rows = [(pod, readings.pods.get((namespace, pod.name))) for pod in live]
    models = _models(policy, (reading for _, reading in rows))
    pods = tuple(
        [
            _with_signals(pod, reading, _silence(pod, reading, readings, now), models)
            for pod, reading in rows
        ]
    )
    over = [pod.name for pod in target.pods if pod.phase in _OVER]
    notes = (
        _note("terminating, still on their GPUs", [pod.name for pod in going]),
        _note("over (failed or completed), left out", over),
        _note("gone but for their series, left out", [n for n, _ in series if n not in known]),
        _note("not Ready", [pod.name for pod in live if not pod.ready]),
        _note("about to be lost", [pod.name for pod in live if pod.leaving]),
        f"Kubernetes makes no more pods: {target.hands.refused}" if target.hands.refused else "",
        *target.notes,
    )
    return _observation(policy, readings, target.replicas, (*pods, *going), notes, around)


_OVER = ("Succeeded", "Failed")  # their GPUs are free again, whatever still keeps the object


def _silence(
    pod: Pod, reading: PodReading | None, readings: Readings, now: float
) -> Missing | None:
    """Why this pod's signals are not known; None where they are."""
    if readings.failed is not None:
        return Missing(readings.failed)
    stale = _stale(reading, readings, now)
    if stale is None:
        return None
    if not pod.ready and reading is None:
        return Missing("not Ready, and no series yet")
    return Missing(stale)


# --- without ---------------------------------------------------------------------------------


def _from_series(
    policy: Policy, readings: Readings, series: Sequence[tuple[str, PodReading]], now: float
) -> Observation:
    if readings.failed is not None:
        why = Missing(readings.failed)
        return _observation(policy, readings, why, (), (INFERRED,))
    stale = {name: _stale(reading, readings, now) for name, reading in series}
    # Series of a pod that is gone stay a while. An endpoint that somebody named is a pod, and a
    # silent one: left out, two pods of which one does not answer would be a fleet of one.
    named = readings.source == "scrape" and not all(stale.values())
    alive = [(name, reading) for name, reading in series if named or not stale[name]]
    gone = [name for name, why in stale.items() if why and not named]
    models = _models(policy, (reading for name, reading in alive if not stale[name]))
    pods = tuple([_with_signals(Pod(name), r, _missing(stale[name]), models) for name, r in alive])
    notes = (INFERRED, _note(f"silent for over {_limit(readings)}, left out", gone))
    if not pods:
        # No pod seen is no proof of none: a scrape job that broke looks the same.
        target = policy.target
        replicas: Replicas | Missing = Missing(
            f"no pod of {target.name} in namespace {target.namespace} has fresh series (its pods "
            f"are named {target.name}-<hash>-<5 letters> or {target.name}-<number>)"
        )
    else:
        replicas = Replicas(desired=len(pods), ready=len(pods), source="series")
    return _observation(policy, readings, replicas, pods, notes)


# --- both ------------------------------------------------------------------------------------


def _stale(reading: PodReading | None, readings: Readings, now: float) -> str | None:
    """Why a reading is too old to use, or None: its last sample is up to 3 scrapes + 5 s old.

    Measured from when the readings were taken: a slow tick must not age them. Readings that are
    themselves that old do age.
    """
    if reading is None:
        return f"{readings.source} knows no series of it"
    taken = readings.at if now - readings.at <= readings.fresh_for else now
    age = taken - reading.fresh_at
    if age <= readings.fresh_for:
        return None
    if age == float("inf"):
        return reading.failed or "never sampled"
    why = f" ({reading.failed})" if reading.failed else ""
    return f"last sample {format_duration(age)} ago, over {_limit(readings)}{why}"


def _missing(why: str | None) -> Missing | None:
    return Missing(why) if why else None


def _limit(readings: Readings) -> str:
    return format_duration(readings.fresh_for)


def _models(policy: Policy, readings: Iterable[PodReading | None]) -> tuple[str, ...]:
    """The models that any of the target's pods is known to hold: all of them hold the same.

    So that a silent pod reads as Missing for each model, never as a pod without load.
    """
    names = dict.fromkeys(policy.capacity.models if policy.capacity else ())
    for reading in readings:
        if reading is not None:
            for signals in reading.models:
                if signals.model not in names:
                    names[signals.model] = None
    names.pop(ALL_MODELS, None)
    return tuple(names) or (ALL_MODELS,)


def _with_signals(
    pod: Pod, reading: PodReading | None, silence: Missing | None, models: tuple[str, ...]
) -> Pod:
    signals: tuple[ModelSignals, ...]
    if reading is None or silence is not None:
        why = silence or Missing("no series")
        signals = tuple([unknown_model(model, why) for model in models])
        duty: Signal = why
        watts: Signal = why
    else:
        signals, duty, watts = reading.models, reading.duty_cycle, reading.gpu_power
    return Pod(
        pod.name,
        pod.ready,
        pod.terminating,
        pod.phase,
        pod.created_at,
        pod.node,
        signals,
        duty,
        watts,
        pod.image,
        pod.gpus,
        pod.scheduled_at,
        pod.started_at,
        pod.ready_at,
        pod.waiting,
        pod.leaving,
        pod.deletion_cost,
    )


def _observation(
    policy: Policy,
    readings: Readings,
    replicas: Replicas | Missing,
    pods: tuple[Pod, ...],
    notes: Iterable[str],
    around: Around = NOTHING_AROUND,
) -> Observation:
    hands, pool, fallback = around
    metrics = {
        objective.id: _metric(objective.query, readings)
        for objective in policy.objectives
        if isinstance(objective, Metric)
    }
    return Observation(
        policy=policy.key,
        at=readings.at,
        replicas=replicas,
        pods=pods,
        metrics=metrics,
        windows=readings.windows,
        source=readings.source,
        notes=tuple([note for note in notes if note]),
        hands=hands,
        pool=pool,
        fallback=fallback,
    )


def _metric(query: str, readings: Readings) -> Signal:
    if readings.failed is not None:
        return Missing(readings.failed)
    return readings.metrics.get(query, NOT_ASKED)


def _note(what: str, names: Sequence[str]) -> str:
    """`2 pods terminating, left out: flower-a, flower-b`; empty for none."""
    if not names:
        return ""
    more = ", …" if len(names) > 3 else ""
    pods = "1 pod" if len(names) == 1 else f"{len(names)} pods"
    return f"{pods} {what}: {', '.join(sorted(names)[:3])}{more}"
