"""The room that one replica takes on a node, from its target's pod template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoscaler.act.executor import ActionError
from autoscaler.act.nodepools.calls import Calls, Json, target_name
from autoscaler.model import Target

# All that says on which nodes a pod may go. Volumes, commands, environment and credentials of the
# target do not: nobody needs to read them twice.
PLACEMENT = (
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "runtimeClassName",
    "schedulerName",
    "resourceClaims",
)


@dataclass(frozen=True, slots=True)
class Room:
    """`containers` and `init_containers` with name, image and resources alone.

    `limits_only`: resources that the template names in limits and not in requests. Of a pod the API
    server copies them over, of a pod template it does not; here they are copied already.
    """

    placement: dict[str, Any]
    containers: tuple[dict[str, Any], ...]
    init_containers: tuple[dict[str, Any], ...]
    resources: dict[str, Any]  # of the pod as a whole, where it names them
    labels: dict[str, str]
    priority_class: str | None
    limits_only: tuple[str, ...]


async def room_of(calls: Calls, target: Target) -> tuple[Room, Json]:
    """The room, and the target itself. Raises ActionError."""
    from autoscaler.kube.client import KubeError

    where = target_name(target)
    try:
        path = await calls.paths.target(target, calls.within)
    except KubeError as error:
        raise ActionError(f"{where} cannot be looked up: {error}") from error
    found = await calls.look(path, where)
    template = (found.get("spec") or {}).get("template") or {}
    if not (template.get("spec") or {}).get("containers"):
        raise ActionError(
            f"{where} has no pod template, so that nobody knows what room its replicas take: use "
            "nodes.driver scale or gke, which count nodes"
        )
    return room(template, where), found


def room(template: Json, where: str) -> Room:
    """Raises ActionError where the template asks for nothing: then nothing would be bought.

    Example: limits {nvidia.com/gpu: 1}, no requests. Karpenter counts requests, finds that such a
    pod fits anywhere, and says "All 2 virtual pods fit on existing capacity".
    """
    spec = template["spec"]
    copied: set[str] = set()
    containers = _rooms(spec["containers"], copied)
    init_containers = _rooms(spec.get("initContainers") or (), copied)
    whole = _resources(spec.get("resources") or {}, copied)
    claims = bool(spec.get("resourceClaims"))
    asked = [one.get("resources", {}).get("requests") for one in containers]
    if not any((*asked, whole.get("requests"), claims)):
        raise ActionError(
            f"{where}: its containers name neither requests nor limits, so that any node has room "
            "for them and none would be bought: name nvidia.com/gpu in resources.limits"
        )
    metadata = template.get("metadata") or {}
    return Room(
        placement={key: spec[key] for key in PLACEMENT if spec.get(key)},
        containers=containers,
        init_containers=init_containers,
        resources=whole,
        labels=dict(metadata.get("labels") or {}),
        priority_class=spec.get("priorityClassName"),
        limits_only=tuple(sorted(copied)),
    )


def limits_only_note(room: Room, where: str) -> tuple[str, ...]:
    """What the reader should know, if anything."""
    if not room.limits_only:
        return ()
    names = ", ".join(room.limits_only)
    note = (
        f"{where} names {names} in limits only: copied into the requests of the buffer's pod "
        "template, since Karpenter counts requests alone and would buy nothing for it"
    )
    return (note,)


def _rooms(containers: Sequence[Json], copied: set[str]) -> tuple[dict[str, Any], ...]:
    kept = ("name", "image", "restartPolicy")
    return tuple(
        {key: one[key] for key in kept if key in one}
        | {"resources": _resources(one.get("resources") or {}, copied)}
        for one in containers
    )


def _resources(found: Mapping[str, Any], copied: set[str]) -> dict[str, Any]:
    limits, requests = found.get("limits") or {}, found.get("requests") or {}
    copied |= set(limits) - set(requests)
    return {**found, "requests": {**limits, **requests}} if limits or requests else dict(found)
