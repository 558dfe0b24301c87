"""The series of a metric that a series selector wants: of a pod, and of a whole target."""

from __future__ import annotations

from typing import TypeAlias

from autoscaler.decide.fleet import Trust
from autoscaler.model import Metric, Missing, Pod, Sample
from autoscaler.serve.metrics_api.catalog import DESIRED_REPLICAS, Definition
from autoscaler.serve.metrics_api.measures import (
    ANY_MODEL,
    NO_POD,
    NO_SIGNALS,
    Part,
    pod_series,
    trusted,
)
from autoscaler.serve.metrics_api.selectors import Selector
from autoscaler.serve.metrics_api.views import Watched

# A part with the model that it is of; None: of the pod or the target.
Labelled: TypeAlias = tuple[str | None, Part | Missing]


class Chosen:
    """Series carry the labels `policy` and, where measured on one, `model`."""

    def __init__(self, definition: Definition, selector: Selector) -> None:
        self._definition = definition
        self._selector = selector
        self.passed_over: set[str] = set()  # models that there are and nobody asked for

    def of_pod(self, watched: Watched, pod: Pod, trust: Trust) -> list[Labelled]:
        """Empty where the selector wants none; Missing where it is not known which there are."""
        found = pod_series(self._definition.key, pod, trust)
        if not found:
            return [(ANY_MODEL, NO_SIGNALS)]
        if not self._selector:
            return list(found)
        return [one for one in found if self._wants(watched, one.model)]

    def of_target(self, watched: Watched, trust: Trust) -> list[Labelled] | None:
        """The parts that make up a target's value; None where it has no such series."""
        if self._definition.of == "target":
            value = self._own(watched, trust) if self._wants(watched, None) else None
            if isinstance(value, Sample):
                return [(None, Part(value.value, 1.0, value.at, value.window))]
            return None if value is None else [(None, value)]
        if watched.blind is not None:
            return [(None, Missing(watched.blind))]
        return self._of_fleet(watched, trust)

    def _of_fleet(self, watched: Watched, trust: Trust) -> list[Labelled] | None:
        """Silence of a pod that is not Ready is not missing: it starts and has nothing to tell."""
        parts = [
            (model, part)
            for pod in watched.pods
            for model, part in self.of_pod(watched, pod, trust)
            if pod.ready or not isinstance(part, Missing)
        ]
        if parts or not self._selector:
            return parts or [(None, NO_POD)]
        return None

    def _own(self, watched: Watched, trust: Trust) -> Sample | Missing | None:
        """What was decided, or the answer to the policy's own query."""
        if self._definition.key == DESIRED_REPLICAS:
            decision = watched.decision
            if decision is None:
                return Missing(f"{watched.policy.key} was not decided yet")
            if decision.desired is None:
                return Missing(decision.hold or decision.sentence)
            return trusted(Sample(float(decision.desired), decision.at), trust)
        objectives = watched.policy.objectives
        if not any(isinstance(o, Metric) and o.id == self._definition.key for o in objectives):
            return None
        metrics = watched.observation.metrics if watched.observation else {}
        return trusted(metrics.get(self._definition.key, Missing("not observed yet")), trust)

    def _wants(self, watched: Watched, model: str | None) -> bool:
        labels = {"policy": watched.policy.name}
        if model is not None:
            labels["model"] = model
        if model == ANY_MODEL or self._selector.matches(labels):
            return True
        if model is not None:
            self.passed_over.add(model)
        return False
