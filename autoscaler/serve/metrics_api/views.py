"""What one tick leaves to be asked about: built once, frozen, read by every request until the next.

Pods that are gone or somebody else's are not in the observations and so not here; terminating ones
are there for the GPUs they hold, and `Watched.pods` leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler.decide.fleet import Trust
from autoscaler.model import (
    Decision,
    Metric,
    Missing,
    Observation,
    Pod,
    Policy,
    Sample,
    Target,
    Windows,
)
from autoscaler.serve.metrics_api.catalog import Catalog
from autoscaler.serve.metrics_api.selectors import Selector, SelectorError, parse

# In mode observe nothing is served: nobody can follow by accident.
SERVED_MODES = ("recommend", "scale")


@dataclass(frozen=True, slots=True)
class TargetLabels:
    """Labels as the cluster reading has them; `selector` is that of /scale, `app=flower`."""

    selector: str
    own: Mapping[str, str] = field(default_factory=dict)
    pods: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watched:
    """One served policy's target: what was seen of it and what was decided."""

    policy: Policy
    observation: Observation | None
    decision: Decision | None
    labels: TargetLabels | None
    selector: Selector | None  # the target's own, parsed

    @property
    def target(self) -> Target:
        return self.policy.target

    @property
    def name(self) -> str:
        """`Deployment default/flower`"""
        return f"{self.target.kind} {self.target.namespace}/{self.target.name}"

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Those that an HPA may hear of: a terminating one would be a silent pod to it."""
        seen = self.observation.pods if self.observation else ()
        return tuple([pod for pod in seen if not pod.terminating])

    @property
    def blind(self) -> str | None:
        """Why nothing at all is known of its pods; None where something is."""
        if self.observation is None:
            return f"{self.name} was not observed yet"
        if not self.pods and isinstance(self.observation.replicas, Missing):
            return self.observation.replicas.missing
        return None

    def trust(self, now: float) -> Trust:
        """What is fresh at that time, by the rule that decisions use."""
        windows = self.observation.windows if self.observation else Windows()
        return Trust(windows, now)


@dataclass(frozen=True, slots=True)
class MetricsView:
    """`at` is the time of the tick. Keys of `namespaces` and `withheld` are targets' namespaces."""

    at: float
    catalog: Catalog
    namespaces: Mapping[str, tuple[Watched, ...]] = field(default_factory=dict)
    withheld: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    own: tuple[str, ...] = ()  # ids of the policies' own queries
    resources: tuple[str, ...] = ("deployments.apps",)
    windows: Windows = field(default_factory=Windows)

    def stale(self, at: float, now: float) -> str | None:
        """Why something of that time is not to be acted on any more; None where it is fresh."""
        return Trust(self.windows, now).problem(Sample(0.0, at))


def build(
    at: float,
    policies: Sequence[Policy],
    observations: Mapping[str, Observation],
    decisions: Sequence[Decision],
    labels: Mapping[Target, TargetLabels],
    catalog: Catalog,
) -> MetricsView:
    """Keys of `observations` are Policy.key. Costs what policies cost, not what pods cost: values
    are computed when they are first asked for.
    """
    by_policy = {decision.policy: decision for decision in decisions}
    namespaces: dict[str, list[Watched]] = {}
    withheld: dict[str, list[str]] = {}
    for policy in policies:
        namespace = policy.target.namespace
        if policy.mode not in SERVED_MODES:
            withheld.setdefault(namespace, []).append(policy.key)
            continue
        found = labels.get(policy.target)
        namespaces.setdefault(namespace, []).append(
            Watched(
                policy,
                observations.get(policy.key),
                by_policy.get(policy.key),
                found,
                _selector(found),
            )
        )
    return MetricsView(
        at,
        catalog,
        {name: tuple(watched) for name, watched in namespaces.items()},
        {name: tuple(keys) for name, keys in withheld.items()},
        by_policy,
        _own(policies),
        tuple(sorted({resource_of(p.target) for p in policies} | {"deployments.apps"})),
        next((seen.windows for seen in observations.values()), Windows()),
    )


def resource_of(target: Target) -> str:
    """`deployments.apps`; a plural that English makes, which is what discovery has, too."""
    kind = target.kind.lower()
    if kind.endswith(("s", "x", "ch", "sh")):
        plural = f"{kind}es"
    elif kind.endswith("y") and kind[-2:-1] not in "aeiou":
        plural = f"{kind[:-1]}ies"
    else:
        plural = f"{kind}s"
    group, slash, _ = target.api_version.partition("/")
    return f"{plural}.{group}" if slash else plural


def _selector(labels: TargetLabels | None) -> Selector | None:
    try:
        return parse(labels.selector) if labels else None
    except SelectorError:
        return None  # never from a real /scale; its pods are then matched one by one


def _own(policies: Iterable[Policy]) -> tuple[str, ...]:
    ids = {
        objective.id
        for policy in policies
        if policy.mode in SERVED_MODES
        for objective in policy.objectives
        if isinstance(objective, Metric)
    }
    return tuple(sorted(ids))
