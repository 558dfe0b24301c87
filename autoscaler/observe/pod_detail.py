"""One pod's JSON as a Pod: its way to Ready, its GPUs, and why it is not there yet, in words."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from autoscaler.model import Pod
from autoscaler.units import shortened

GPU = "nvidia.com/gpu"
MIG = "nvidia.com/mig-"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

Json = Mapping[str, Any]


def pod_of(item: Json) -> Pod:
    """Raises KeyError, TypeError or ValueError for what is no pod."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    conditions = {one.get("type"): one for one in status.get("conditions") or ()}
    ready = _holds(conditions.get("Ready"))
    node = spec.get("nodeName")
    container = _main(spec.get("containers") or ())
    image = container.get("image")
    return Pod(
        name=metadata["name"],
        ready=ready,
        terminating="deletionTimestamp" in metadata,
        phase=sys.intern(status.get("phase") or "Unknown"),
        created_at=unix(metadata.get("creationTimestamp")),
        node=sys.intern(node) if node else None,
        image=sys.intern(image) if image else None,
        gpus=gpus_of(spec),
        scheduled_at=_since(conditions.get("PodScheduled")),
        started_at=_started(status.get("containerStatuses") or (), spec),
        ready_at=_since(conditions.get("Ready")),
        waiting=None if ready else _waiting(status, conditions, node),
        leaving=_disrupted(conditions.get("DisruptionTarget")),
        deletion_cost=_deletion_cost(metadata.get("annotations") or {}),
    )


def unix(text: str | None) -> float | None:
    """2026-11-21T08:00:00Z as Unix time. Raises ValueError for what is no time."""
    return datetime.fromisoformat(text).timestamp() if text else None


# --- GPUs ------------------------------------------------------------------------------------


def gpus_of(spec: Json) -> int:
    """GPUs and MIG slices that the pod holds; of a container's limits, which equal its requests.

    Sidecars (init containers that go on running) hold theirs beside the others; a plain init
    container's are handed on, so the larger of the two counts.
    """
    running = sum(_gpus(one) for one in spec.get("containers") or ())
    before = 0
    for one in spec.get("initContainers") or ():
        if one.get("restartPolicy") == "Always":
            running += _gpus(one)
        else:
            before = max(before, _gpus(one))
    return max(running, before)


def gpu_count(resources: Mapping[str, Any]) -> int:
    """Of a resource list: {"nvidia.com/gpu": "2", "nvidia.com/mig-1g.10gb": "1"} is 3."""
    return sum(
        int(count) for name, count in resources.items() if name == GPU or name.startswith(MIG)
    )


def _gpus(container: Json) -> int:
    resources = container.get("resources")
    if not resources:
        return 0
    return gpu_count(resources.get("limits") or resources.get("requests") or {})


def _main(containers: Iterable[Json]) -> Json:
    """The container with the GPU, else the first."""
    first: Json | None = None
    for one in containers:
        if _gpus(one):
            return one
        first = first or one
    return first or {}


# --- the way to Ready ------------------------------------------------------------------------


def _holds(condition: Json | None) -> bool:
    return condition is not None and condition.get("status") == "True"


def _since(condition: Json | None) -> float | None:
    if condition is None or condition.get("status") != "True":
        return None
    return unix(condition.get("lastTransitionTime"))


def _started(statuses: Iterable[Json], spec: Json) -> float | None:
    """When the last of the containers began to run, so: when all images were there.

    None once any of them was restarted. A pod of last week whose container crashed an hour ago
    would else read as one whose image took a week to pull.
    """
    starts = []
    for one in statuses:
        running = (one.get("state") or {}).get("running")
        if not running or one.get("restartCount"):
            return None
        starts.append(unix(running.get("startedAt")))
    if len(starts) < len(spec.get("containers") or ()) or not starts:
        return None
    known = [start for start in starts if start is not None]
    return max(known) if len(known) == len(starts) else None


def _waiting(status: Json, conditions: Mapping[Any, Json], node: str | None) -> str:
    """The first thing in its way: a node, then the init containers, then the containers."""
    scheduled = conditions.get("PodScheduled")
    if node is None:
        if scheduled is None:
            return "no node yet"
        return _said(scheduled.get("reason") or "no node yet", scheduled.get("message"))
    for key, kind in (("initContainerStatuses", "init container"), ("containerStatuses", "")):
        for one in status.get(key) or ():
            why = _container(one, kind or "container")
            if why:
                return why
    ready = conditions.get("Ready") or {}
    if not status.get("containerStatuses"):
        return "on its node, no container made yet"
    return _said("running, not Ready", ready.get("message") or ready.get("reason"))


def _container(one: Json, kind: str) -> str | None:
    """Why this container does not run or serve; None where it does.

    CrashLoopBackOff's own message names the pod and how long it backs off: the end of the last
    run says more, and stays the same from tick to tick.
    """
    state, name, restarts = one.get("state") or {}, one.get("name"), one.get("restartCount") or 0
    ended = _ended((one.get("lastState") or {}).get("terminated"))
    times = "1 restart" if restarts == 1 else f"{restarts} restarts"
    again = f", {times}, last ended by {ended}" if restarts else ""
    waiting, terminated = state.get("waiting"), state.get("terminated")
    if waiting:
        reason = waiting.get("reason") or "waiting"
        message = None if reason == "CrashLoopBackOff" else waiting.get("message")
        return _said(f"{reason} ({kind} {name}{again})", message)
    if terminated:
        if terminated.get("exitCode") == 0 and kind == "init container":
            return None
        return f"{kind} {name} ended by {_ended(terminated)}{again}"
    if restarts and not one.get("ready") and kind == "container":
        return f"running, not Ready ({kind} {name}{again})"
    if kind == "init container" and state.get("running") and not one.get("started"):
        return f"init container {name} is running"
    return None


def _ended(terminated: Json | None) -> str:
    """`OOMKilled (exit 137)`"""
    if not terminated:
        return "an unknown cause"
    return f"{terminated.get('reason') or 'Error'} (exit {terminated.get('exitCode')})"


def _said(reason: str, message: str | None) -> str:
    """Kept once for all pods that wait for the same: after a burst there are thousands."""
    return sys.intern(f"{reason}: {shortened(message)}" if message else reason)


# --- about to be lost ------------------------------------------------------------------------


def _disrupted(condition: Json | None) -> str | None:
    """DisruptionTarget: told before the pod is terminated, by whoever is about to do it."""
    if not _holds(condition):
        return None
    assert condition is not None
    return _said(condition.get("reason") or "DisruptionTarget", condition.get("message"))


def _deletion_cost(annotations: Mapping[str, str]) -> int:
    """As the ReplicaSet controller reads it: what is no 32-bit number counts as 0."""
    try:
        cost = int(annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0
    return cost if -(2**31) <= cost < 2**31 else 0
