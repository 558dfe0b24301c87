"""What was read of Prometheus and the cluster, once, before any check looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from autoscaler.model import Missing, Policy, Target
from autoscaler.observe.cluster import ClusterReading
from autoscaler.observe.port import PodKey, Readings
from autoscaler.policy import PolicySet


@dataclass(frozen=True, slots=True)
class Unread:
    """Why something is not known. `status` is HTTP's: 404 is an answer, 403 and 0 are not."""

    reason: str
    status: int = 0

    @property
    def absent(self) -> bool:
        return self.status == 404


Object: TypeAlias = dict[str, Any]  # a Kubernetes object as it came
Objects: TypeAlias = "tuple[Object, ...] | Unread"


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that the daemon must be allowed to do, and what for."""

    verb: str
    group: str
    resource: str  # `deployments/scale`
    namespace: str | None
    reason: str
    name: str | None = None

    def __str__(self) -> str:
        of = f" {self.name}" if self.name else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{of}{where}"


@dataclass(frozen=True, slots=True)
class PrometheusEvidence:
    url: str
    version: str | Unread
    readings: Readings
    scrape_interval: float | Missing
    # pod → share of the GPU and the source that gave it (see observe.gpu)
    duty: Mapping[PodKey, tuple[float, str]] | Missing


@dataclass(frozen=True, slots=True)
class ClusterEvidence:
    host: str
    version: tuple[int, int]
    who: str  # whose rights were asked about
    targets: ClusterReading
    workloads: Mapping[Target, Object | Unread]
    autoscalers: Objects
    scaled_objects: Objects
    api_services: Mapping[str, Object | Unread]
    resources: Mapping[str, tuple[str, ...] | Unread]  # group/version → metric names
    rights: Mapping[Right, bool | Unread]
    pod_monitors: Objects
    prometheuses: Objects


@dataclass(frozen=True, slots=True)
class Evidence:
    policies: tuple[Policy, ...]
    policy_set: PolicySet
    # the same files, checked against the scrape interval that was measured
    measured_set: PolicySet
    prometheus: PrometheusEvidence | Unread
    cluster: ClusterEvidence | Unread

    @property
    def seen(self) -> PrometheusEvidence:
        assert isinstance(self.prometheus, PrometheusEvidence)
        return self.prometheus

    @property
    def kube(self) -> ClusterEvidence:
        assert isinstance(self.cluster, ClusterEvidence)
        return self.cluster
