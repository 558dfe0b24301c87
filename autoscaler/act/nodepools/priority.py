"""Whether a replica pushes a placeholder out: by their PriorityClasses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoscaler.act.executor import ActionError
from autoscaler.act.nodepools.calls import Calls, Json

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
# --expendable-pods-priority-cutoff of the Cluster Autoscaler: it adds no node for a pod below.
EXPENDABLE = -10


async def check_priority(calls: Calls, name: str, target_class: str | None) -> tuple[str, ...]:
    """What the reader should know. Raises ActionError where placeholders would stay for ever."""
    found = await calls.look(CLASSES, "the list of PriorityClasses")
    classes = {one["metadata"]["name"]: one for one in found.get("items") or ()}
    if name not in classes:
        raise ActionError(
            f"there is no PriorityClass {name}, which nodes.driver.placeholderPods names: `kubectl "
            f"create priorityclass {name} --value=-1`"
        )
    value, replicas = int(classes[name].get("value", 0)), _of_replicas(classes, target_class)
    if value >= replicas.value:
        raise ActionError(
            f"PriorityClass {name} has value {value}, and the target's pods {replicas.value} "
            f"({replicas.named}): they would not push its placeholders out; name a class with a "
            f"value below {replicas.value}, such as -1"
        )
    if replicas.never:
        raise ActionError(
            f"the target's pods never push others out ({replicas.named} has preemptionPolicy "
            "Never): placeholders would keep their GPUs from them; use driver capacityBuffer"
        )
    if value < EXPENDABLE:
        note = (
            f"PriorityClass {name} has value {value}: the Cluster Autoscaler adds no node for pods "
            f"below {EXPENDABLE}; Karpenter does"
        )
        return (note,)
    return ()


class _Replicas:
    """The priority of the target's own pods. `never`: they do not preempt."""

    def __init__(self, named: str, found: Json) -> None:
        self.named = named
        self.value = int(found.get("value", 0))
        self.never = found.get("preemptionPolicy") == "Never"


def _of_replicas(classes: Mapping[str, Any], named: str | None) -> _Replicas:
    if named is not None:
        found = classes.get(named, {})
        return _Replicas(f"PriorityClass {named}", found)
    for name, one in classes.items():
        if one.get("globalDefault"):
            return _Replicas(f"PriorityClass {name}, the cluster's default", one)
    return _Replicas("they name no PriorityClass", {})
