"""What is kept of a pod and of a target, whether they were listed or watched."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.kube.hands import NO_HANDS, Owner, hands_of, owner_of
from autoscaler.model import Hands, Pod, Target
from autoscaler.observe.labels import Labels, Selector, kept, selector_of
from autoscaler.observe.pod_detail import GPU, MIG, pod_of

# Kinds whose whole object is read; others have a /scale and are known by that.
WATCHED = {
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("apps/v1", "ReplicaSet"): "replicasets",
}


@dataclass(frozen=True, slots=True)
class PodRow:
    """What is kept of a pod: about 0.6 kB of its 10 kB."""

    pod: Pod
    labels: Labels
    owner: tuple[str, str] | None  # kind and name of the controller


@dataclass(frozen=True, slots=True)
class TargetRow:
    """What is kept of a Deployment, StatefulSet or ReplicaSet, or of another kind's /scale."""

    replicas: int
    selector: Selector
    resource_version: str
    labels: Labels
    uid: str = ""
    hands: Hands = NO_HANDS
    owner: Owner | None = None
    # Its pod template names GPUs as limits and not as requests.
    unrequested: bool = False


def pod_row(item: Any) -> PodRow:
    owner = controller(item)
    return PodRow(
        pod_of(item),
        kept(item["metadata"].get("labels")),
        None if owner is None else (sys.intern(owner[0]), sys.intern(owner[1])),
    )


def target_row(item: Any, kind: str) -> TargetRow:
    """Raises KeyError, TypeError or ValueError for what is none."""
    metadata, spec = item["metadata"], item["spec"]
    return TargetRow(
        replicas=int(spec.get("replicas", 1)),
        selector=selector_of(spec.get("selector")),
        resource_version=metadata["resourceVersion"],
        labels=kept(metadata.get("labels")),
        uid=metadata.get("uid") or "",
        hands=hands_of(item, kind),
        owner=owner_of(metadata),
        unrequested=_unrequested((spec.get("template") or {}).get("spec") or {}),
    )


def _unrequested(template: Mapping[str, Any]) -> bool:
    """A pod gets its requests from its limits, a pod template does not: {limits: {nvidia.com/gpu:
    1}} without requests is a pod of one GPU, and a template of none.
    """
    for one in template.get("containers") or ():
        resources = one.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        if any(name not in requests for name in limits if name == GPU or name.startswith(MIG)):
            return True
    return False


def controller(item: Any) -> tuple[str, str] | None:
    """Kind and name of the one owner that controls a pod."""
    for owner in item["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner.get("kind")), str(owner.get("name"))
    return None


def belongs(owner: tuple[str, str] | None, target: Target) -> bool:
    """Selectors overlap: a canary with the same labels is another Deployment's pod.

    A Deployment's pods are controlled by its ReplicaSet, flower-5cf8b78894; a pod that nobody
    controls is taken for the target's (its ReplicaSet will adopt it).
    """
    if owner is None or (target.api_version, target.kind) not in WATCHED:
        return True
    kind, name = owner
    if target.kind == "Deployment":
        of_set = re.fullmatch(r"(.+)-[a-z0-9]{1,10}", name)
        return kind == "ReplicaSet" and of_set is not None and of_set[1] == target.name
    return kind == target.kind and name == target.name
