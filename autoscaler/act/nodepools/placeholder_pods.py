"""Placeholder pods: a Deployment of ours that holds room until a replica pushes its pods out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autoscaler.act.nodepools.calls import (
    MANAGED_BY,
    PLACEHOLDER,
    Calls,
    Json,
    check_ours,
    check_size,
    ours,
)
from autoscaler.act.nodepools.priority import check_priority
from autoscaler.act.nodepools.room import Room, room_of
from autoscaler.model import PlaceholderPods, PoolWish, Target

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

SETTING = "nodes.driver.placeholderPods.name"
# The strictest Pod Security level admits this.
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65535,
    "seccompProfile": {"type": "RuntimeDefault"},
}


async def resize(
    client: KubeClient,
    target: Target,
    wish: PoolWish,
    driver: PlaceholderPods,
    *,
    within: float,
    dry_run: bool,
) -> tuple[str, ...]:
    """The Deployment, made where it is not there. Returns what the reader should know.

    Raises ActionError.
    """
    from autoscaler.kube.paths import pool_path

    calls = Calls(client, within, dry_run=dry_run)
    room, owner = await room_of(calls, target)
    path, where = pool_path(driver, target), f"Deployment {target.namespace}/{driver.name}"
    found = await calls.find(path, where)
    check_ours(found, target, where, SETTING)
    check_size(found, wish.before, where)
    # Who only takes placeholders away needs no class any more: it may be gone.
    more = wish.after > wish.before
    notes = await check_priority(calls, driver.priority_class, room.priority_class) if more else ()
    metadata = ours(driver.name, target, owner, found)
    await calls.apply(path, _deployment(driver, room, wish.after, metadata), where)
    return notes


def _deployment(
    driver: PlaceholderPods, room: Room, replicas: int, metadata: dict[str, Any]
) -> dict[str, Any]:
    """Not the labels of the target's pods: its Service would send requests to pods that sleep.

    An anti-affinity of the target against its own pods still holds against those pods, but not
    between placeholders: two of them may share a node where two replicas may not.
    """
    labels = {PLACEHOLDER: driver.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            # Rolling, a change of the target's template would first ask for more GPUs.
            "strategy": {"type": "Recreate"},
            "revisionHistoryLimit": 0,
            "template": {
                "metadata": {"labels": {**labels, MANAGED_BY: metadata["labels"][MANAGED_BY]}},
                "spec": _pod(driver, room),
            },
        },
    }


def _pod(driver: PlaceholderPods, room: Room) -> dict[str, Any]:
    """A sleeper for each container of a replica, with its resources: together the same room.

    Init containers that end are left out: these would not end. Sidecars among them sleep along.
    """
    sidecars = [one for one in room.init_containers if one.get("restartPolicy") == "Always"]
    sleepers = [_sleeper(driver.image, one) for one in (*room.containers, *sidecars)]
    return {
        **room.placement,
        **({"resources": room.resources} if room.resources else {}),
        "containers": sleepers,
        "priorityClassName": driver.priority_class,
        # Pushed out, it has nothing to finish, and a replica waits for its GPU.
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }


def _sleeper(image: str, container: Json) -> dict[str, Any]:
    return {
        "name": container["name"],
        "image": image,
        "resources": container["resources"],
        "securityContext": RESTRICTED,
    }
