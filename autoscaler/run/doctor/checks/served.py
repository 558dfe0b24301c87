"""Who serves the metrics APIs, under which names, and which HPAs ask for what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autoscaler.run.doctor.evidence import ClusterEvidence, Object, Unread
from autoscaler.serve.metrics_api.catalog import CUSTOM, DESIRED_REPLICAS, EXTERNAL, KEYS

OURS = "triton-autoscaler"
DESIRED = DESIRED_REPLICAS  # unless --metric-name says otherwise, as all of these
NAMES = KEYS
KNOWN_SERVERS = {
    "prometheus-adapter": "prometheus-adapter",
    "keda": "KEDA",
    "stackdriver": "the Stackdriver adapter",
    "kube-metrics-adapter": "Zalando's kube-metrics-adapter",
    "datadog": "Datadog's cluster agent",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One metric that an HPA asks for."""

    hpa: Object
    kind: str  # Pods, Object, External
    metric: str
    of: str = ""  # for Object: `Deployment/flower`

    @property
    def group(self) -> str:
        return EXTERNAL if self.kind == "External" else CUSTOM

    @property
    def name(self) -> str:
        return name_of(self.hpa)


def asks(autoscalers: tuple[Object, ...]) -> Iterator[Ask]:
    """Every metric of these groups that an HPA asks for; cpu and memory are others' business."""
    for hpa in autoscalers:
        for metric in hpa["spec"].get("metrics") or ():
            kind = metric["type"]
            if kind not in ("Pods", "Object", "External"):
                continue
            part = metric[kind.lower()]
            described = part.get("describedObject") or {}
            of = f"{described.get('kind')}/{described.get('name')}" if described else ""
            yield Ask(hpa, kind, part["metric"]["name"], of)


def is_ours(service: Object) -> bool:
    labels = service["metadata"].get("labels") or {}
    backend = service["spec"].get("service") or {}
    return labels.get("app.kubernetes.io/name") == OURS or str(backend.get("name", "")).startswith(
        OURS
    )


def owner(service: Object) -> str:
    """Whose it is, in words: `prometheus-adapter (Service monitoring/prometheus-adapter)`."""
    backend = service["spec"].get("service") or {}
    place = f"Service {backend.get('namespace')}/{backend.get('name')}"
    text = f"{backend.get('namespace')}/{backend.get('name')}".lower()
    known = next((name for part, name in KNOWN_SERVERS.items() if part in text), None)
    return f"{known} ({place})" if known else place


def services_of(kube: ClusterEvidence, group: str) -> list[Object]:
    return [
        service
        for name, service in kube.api_services.items()
        if name.endswith(f".{group}") and not isinstance(service, Unread)
    ]


def served_names(kube: ClusterEvidence, group: str) -> frozenset[str] | Unread:
    """The names that discovery lists; ours by default where it is us and the list is empty.

    KEDA lists only a placeholder, so what it serves cannot be told.
    """
    services = services_of(kube, group)
    if not services:
        return frozenset()
    listed: set[str] = set()
    why = Unread("discovery lists no metrics")
    for version in ("v1beta1", "v1beta2"):
        found = kube.resources.get(f"{group}/{version}", why)
        if isinstance(found, Unread):
            why = found if not found.absent else why
        else:
            listed.update(name for name in found if name != "externalmetrics")
    if listed:
        return frozenset(listed)
    return frozenset(NAMES) if any(is_ours(service) for service in services) else why


def name_of(thing: Object) -> str:
    return f"{thing['metadata'].get('namespace', '')}/{thing['metadata']['name']}"
