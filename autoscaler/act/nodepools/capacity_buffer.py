"""CapacityBuffer: the autoscaler that owns the pool is asked to keep room for so many replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autoscaler.act.nodepools.calls import (
    Calls,
    Json,
    check_ours,
    check_size,
    ours,
    target_name,
)
from autoscaler.act.nodepools.room import Room, limits_only_note, room_of
from autoscaler.model import CapacityBuffer, PoolWish, Target

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

SETTING = "nodes.driver.capacityBuffer.name"


async def resize(
    client: KubeClient,
    target: Target,
    wish: PoolWish,
    driver: CapacityBuffer,
    *,
    within: float,
    dry_run: bool,
) -> tuple[str, ...]:
    """The buffer and the PodTemplate of the same name, made where they are not there.

    A template of our own, not a scalableRef to the target: that one takes the target's template as
    it is, and buys nothing for limits without requests. Returns what the reader should know.
    Raises ActionError.
    """
    from autoscaler.kube.paths import BUFFERS, collection

    calls = Calls(client, within, dry_run=dry_run)
    room, owner = await room_of(calls, target)
    name, at = driver.name, f"{target.namespace}/{driver.name}"
    buffer_path = f"{collection(*BUFFERS, target.namespace)}/{name}"
    template_path = f"{collection('v1', 'podtemplates', target.namespace)}/{name}"
    buffer = await calls.find(buffer_path, f"CapacityBuffer {at}")
    template = await calls.find(template_path, f"PodTemplate {at}")
    check_ours(buffer, target, f"CapacityBuffer {at}", SETTING)
    check_ours(template, target, f"PodTemplate {at}", SETTING)
    check_size(buffer, wish.before, f"CapacityBuffer {at}")
    await calls.apply(
        template_path,
        _pod_template(room, ours(name, target, owner, template)),
        f"PodTemplate {at}",
    )
    await calls.apply(
        buffer_path,
        _buffer(name, wish.after, ours(name, target, owner, buffer)),
        f"CapacityBuffer {at}",
    )
    return limits_only_note(room, target_name(target))


def _pod_template(room: Room, metadata: Json) -> dict[str, Any]:
    """With the labels of the target's pods, so that its spread and anti-affinity mean the same."""
    spec: dict[str, Any] = {**room.placement, "containers": list(room.containers)}
    if room.init_containers:
        spec["initContainers"] = list(room.init_containers)
    if room.resources:
        spec["resources"] = room.resources
    if room.priority_class:
        spec["priorityClassName"] = room.priority_class
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": metadata,
        "template": {"metadata": {"labels": room.labels}, "spec": spec},
    }


def _buffer(name: str, replicas: int, metadata: Json) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling.x-k8s.io/v1beta1",
        "kind": "CapacityBuffer",
        "metadata": metadata,
        "spec": {"podTemplateRef": {"name": name}, "replicas": replicas},
    }
