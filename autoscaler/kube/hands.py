"""Who else has a hand on a target's replicas: read from objects' JSON, told in words.

Here, and not in `observe`, since the look right before a write reads the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoscaler.kube.managed import annotator, author, replicas_manager
from autoscaler.model import Hands
from autoscaler.units import shortened

PAUSED = "triton-autoscaler/paused"
FREEZE = "triton-autoscaler-freeze"
HPA, SCALED_OBJECT = "HorizontalPodAutoscaler", "ScaledObject"
KEDA_PAUSED = "autoscaling.keda.sh/paused"

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scaler:
    """An HPA or a ScaledObject, and what it scales. `group` "" where it does not say."""

    kind: str
    namespace: str
    name: str
    group: str
    of_kind: str
    of_name: str
    behind: str | None = None  # the ScaledObject that made this HPA
    paused: bool = False

    def __str__(self) -> str:
        if self.behind:
            hpa = f" (by {self.kind} {self.name})"
            return f"{SCALED_OBJECT} {self.namespace}/{self.behind}{hpa}"
        paused = " (paused now, free to go on)" if self.paused else ""
        return f"{self.kind} {self.namespace}/{self.name}{paused}"


@dataclass(frozen=True, slots=True)
class Owner:
    """The object that controls the target, such as the custom resource of an operator."""

    api_version: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def hpa_of(item: Json) -> Scaler:
    """Raises KeyError, TypeError or AttributeError for what is none."""
    metadata, ref = item["metadata"], item["spec"]["scaleTargetRef"]
    owners = metadata.get("ownerReferences") or ()
    behind = next((one["name"] for one in owners if one.get("kind") == SCALED_OBJECT), None)
    return _scaler(HPA, metadata, ref, ref["kind"], ref.get("apiVersion") or "", behind=behind)


def scaled_object_of(item: Json) -> Scaler:
    """keda.sh/v1alpha1: its target is a Deployment of apps/v1 unless it says otherwise."""
    metadata, ref = item["metadata"], item["spec"]["scaleTargetRef"]
    kind, version = ref.get("kind") or "Deployment", ref.get("apiVersion") or "apps/v1"
    annotations = metadata.get("annotations") or {}
    paused = any(key.startswith(KEDA_PAUSED) and annotations[key] != "false" for key in annotations)
    return _scaler(SCALED_OBJECT, metadata, ref, kind, version, paused=paused)


def _scaler(
    what: str,
    metadata: Json,
    ref: Json,
    kind: str,
    version: str,
    *,
    behind: str | None = None,
    paused: bool = False,
) -> Scaler:
    group = version.rpartition("/")[0]
    return Scaler(
        what, metadata["namespace"], metadata["name"], group, kind, ref["name"], behind, paused
    )


# --- the target's own JSON -------------------------------------------------------------------

NO_HANDS = Hands()


def hands_of(item: Json, kind: str) -> Hands:
    """What the target itself says: writer, pause, rollout and refusal. Items of a list do not say
    their kind.
    """
    writer = replicas_manager(item["metadata"])
    hands = Hands(
        writer=str(writer) if writer else None,
        paused=_paused(item["metadata"]),
        rollout=_rollout(item, kind),
        refused=_refused(item.get("status") or {}),
    )
    return NO_HANDS if hands == NO_HANDS else hands


def owner_of(metadata: Json) -> Owner | None:
    for one in metadata.get("ownerReferences") or ():
        if one.get("controller"):
            return Owner(one["apiVersion"], one["kind"], one["name"])
    return None


def _paused(metadata: Json) -> str | None:
    """Whatever it says but `false` or nothing pauses: a switch in doubt is off."""
    value = str((metadata.get("annotations") or {}).get(PAUSED, "")).strip()
    if value.casefold() in {"", "false"}:
        return None
    who = annotator(metadata, PAUSED)
    why = "" if value.casefold() == "true" else f": {shortened(value)}"
    return f"annotation {PAUSED}" + (f" (by {who})" if who else "") + why


def _rollout(item: Json, kind: str) -> str | None:
    """Pods of an older version beside newer ones.

    Counted against the pods that there are, not against spec.replicas: else each of our own
    scale-ups, 3 → 5 with 3 of 5 pods made so far, would read as a rollout.
    """
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    generation, seen = metadata.get("generation"), status.get("observedGeneration", 0)
    if kind not in {"Deployment", "StatefulSet"} or generation is None:
        return None
    if seen < generation:
        return f"its spec of generation {generation} is not acted on yet (at {seen})"
    pods, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    done = kind == "StatefulSet" and status.get("updateRevision") == status.get("currentRevision")
    if done or updated >= pods:
        return None
    return f"{updated} of {pods} pods are of the new version{_stuck(spec, status)}"


def _stuck(spec: Json, status: Json) -> str:
    if spec.get("paused"):
        return "; the rollout is paused"
    progressing = _condition(status, "Progressing")
    if progressing.get("status") == "False":
        said = shortened(progressing.get("message") or progressing.get("reason") or "no progress")
        return f"; it is stuck: {said}"
    return ""


def _refused(status: Json) -> str | None:
    """ReplicaFailure: pods that the controller may not make, by quota, limits or admission."""
    failure = _condition(status, "ReplicaFailure")
    if failure.get("status") != "True" or failure.get("reason") != "FailedCreate":
        return None
    return shortened(_without_pod(failure.get("message") or "FailedCreate"))


def _without_pod(message: str) -> str:
    """`pods "flower-5cf8b78894-x7k2p" is forbidden: exceeded quota: …` names another pod at each
    try; what it is about is behind that.
    """
    head, _, said = message.partition(" is forbidden: ")
    return said if said and head.startswith("pods ") else message


def _condition(status: Json, kind: str) -> Json:
    found: Sequence[Json] = [
        one for one in status.get("conditions") or () if one.get("type") == kind
    ]
    return found[0] if found else {}


# --- the freeze of everything ----------------------------------------------------------------


def freeze_of(item: Json) -> str:
    """`ConfigMap triton-autoscaler/triton-autoscaler-freeze (by kubectl-create, …): incident 7`"""
    metadata = item["metadata"]
    who, reason = author(metadata), (item.get("data") or {}).get("reason")
    return (
        f"ConfigMap {metadata['namespace']}/{metadata['name']}"
        + (f" (by {who})" if who else "")
        + (f": {shortened(reason)}" if reason else "")
    )
