"""One question to a view: the items, or why there are none.

404: nobody serves that. 503: it exists and is not known now; the HPA then holds. A list is never
empty, and a sum never silently partial: the HPA would act on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autoscaler.decide.fleet import Trust
from autoscaler.model import Missing, Pod, Sample
from autoscaler.serve.metrics_api.catalog import Definition
from autoscaler.serve.metrics_api.chosen import Chosen, Labelled
from autoscaler.serve.metrics_api.measures import Part, combine
from autoscaler.serve.metrics_api.quantity import to_milli
from autoscaler.serve.metrics_api.selectors import EVERYTHING, Selector
from autoscaler.serve.metrics_api.views import MetricsView, Watched, resource_of

ALL = "*"
SHOWN = 3  # reasons in a message


@dataclass(frozen=True, slots=True)
class Item:
    """One value. `labels` are those of an external metric's series."""

    api_version: str
    kind: str
    namespace: str | None
    name: str
    milli: int
    at: float
    window: float
    labels: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """At least one item. After `expires` (Unix time) one of them is stale: look again."""

    items: list[Item]
    expires: float


class Absent(Exception):  # noqa: N818 -- an answer, not a fault
    """Why there is nothing to answer with: 400, 404 or 503, and the words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Question:
    """`objects` selects objects by their labels, `series` the series by `policy` and `model`."""

    namespace: str
    resource: str  # pods, deployments.apps, namespaces; "" for an external metric
    name: str  # or *
    metric: str
    objects: Selector = EVERYTHING
    series: Selector = EVERYTHING


def look_up(view: MetricsView, question: Question, now: float) -> Found:
    """Raises Absent. `now` (Unix time) decides what is stale, at the rule of the decisions."""
    definition = view.catalog.find(question.metric)
    if definition is None:
        raise Absent(404, not_found(question))
    return _Lookup(view, question, definition, now).found()


def not_found(question: Question) -> str:
    """The words of custom-metrics-apiserver, which people search for."""
    of = "" if question.name == ALL else f" {question.name}"
    where = f" for {question.resource}{of}" if question.resource else ""
    return f"the server could not find the metric {question.metric}{where}"


class _Lookup:
    def __init__(
        self, view: MetricsView, question: Question, definition: Definition, now: float
    ) -> None:
        self.view, self.asked, self.definition, self.now = view, question, definition, now
        self.watched = view.namespaces.get(question.namespace, ())
        self.items: list[Item] = []
        self.expires = float("inf")
        self.reasons: dict[str, None] = {}  # in order, each once: why something is not known
        self.series = Chosen(definition, question.series)

    def found(self) -> Found:
        asked = self.asked
        if not self.watched:
            raise Absent(404, f"no policy serves metrics of namespace {asked.namespace}{self.hint}")
        match asked.resource:
            case "":
                self._external()
            case "pods":
                self._pods()
            case "namespaces":
                self._namespace()
            case _:
                self._targets()
        if self.items:
            return Found(self.items, self.expires)
        if self.reasons:
            raise Absent(503, f"{asked.metric} is not known now: {self._why()}")
        raise Absent(404, self._nothing())

    # --- pods --------------------------------------------------------------------------------

    def _pods(self) -> None:
        if self.definition.of == "target":
            raise Absent(404, f"{not_found(self.asked)}: it is one of the target, not of pods")
        for watched in self.watched:
            trust = watched.trust(self.now)
            if watched.blind is not None:
                self._unknown(watched.blind)
            for pod in self._selected(watched):
                parts = self.series.of_pod(watched, pod, trust)
                if parts:
                    value = self._combined(parts)
                    self._add(value, trust, "/v1", "Pod", watched.target.namespace, pod.name)

    def _selected(self, watched: Watched) -> Iterator[Pod]:
        pods = watched.pods
        name, selector = self.asked.name, self.asked.objects
        if name != ALL:
            pods = tuple([pod for pod in pods if pod.name == name])
        # The API server chose them by the target's own selector, so that one needs no look.
        if not selector or selector == watched.selector:
            yield from pods
            return
        labels = watched.labels.pods if watched.labels else {}
        seen: dict[int, bool] = {}  # pods of one ReplicaSet share one object of labels
        for pod in pods:
            known = labels.get(pod.name)
            if known is None:
                self._unknown(f"the labels of the pods of {watched.name} are not known")
                continue
            matches = seen.get(id(known))
            if matches is None:
                matches = seen[id(known)] = selector.matches(known)
            if matches:
                yield pod

    # --- targets, namespaces, external ---------------------------------------------------------

    def _targets(self) -> None:
        asked = self.asked
        for watched in self.watched:
            target, resource = watched.target, resource_of(watched.target)
            if asked.resource not in (resource, resource.partition(".")[0]):
                continue
            if asked.name not in (ALL, target.name) or not self._target_selected(watched):
                continue
            group = target.api_version if "/" in target.api_version else f"/{target.api_version}"
            trust = watched.trust(self.now)
            parts = self.series.of_target(watched, trust)
            if parts is not None:
                value = self._combined(parts)
                self._add(value, trust, group, target.kind, target.namespace, target.name)

    def _target_selected(self, watched: Watched) -> bool:
        if not self.asked.objects:
            return True
        if watched.labels is None:
            self._unknown(f"the labels of {watched.name} are not known")
            return False
        return self.asked.objects.matches(watched.labels.own)

    def _namespace(self) -> None:
        """All policies of the namespace together; an own query has no sum over policies."""
        parts: list[Part | Missing] = []
        matching = 0
        for watched in self.watched:
            of_this = self.series.of_target(watched, watched.trust(self.now))
            if of_this is not None:
                matching += 1
                parts += (part for _, part in of_this)
        if not matching:
            return
        if matching > 1 and self.definition.of == "target" and not self.definition.additive:
            raise Absent(
                400,
                f"{matching} policies of namespace {self.asked.namespace} have a metric "
                f"{self.asked.metric}: add metricLabelSelector=policy=NAME",
            )
        name = self.asked.namespace
        trust = self.watched[0].trust(self.now)
        self._add(combine(self.definition, parts), trust, "/v1", "Namespace", None, name)

    def _external(self) -> None:
        """One item for each policy, and for each model where the client's sum over them is right.

        The HPA adds up the items: all of them must be known.
        """
        for watched in self.watched:
            trust = watched.trust(self.now)
            parts = self.series.of_target(watched, trust)
            if parts is None:
                continue
            models = dict.fromkeys(model for model, _ in parts if model is not None)
            if self.definition.of == "model" and self.definition.additive and len(models) > 1:
                for model in models:
                    of_model = [part for name, part in parts if name == model]
                    self._series_item(watched, combine(self.definition, of_model), trust, model)
            else:
                one = next(iter(models)) if len(models) == 1 else None
                self._series_item(watched, self._combined(parts), trust, one)
        if self.reasons:
            self.items.clear()

    def _series_item(
        self, watched: Watched, value: Sample | Missing, trust: Trust, model: str | None
    ) -> None:
        labels = {"policy": watched.policy.name} | ({} if model is None else {"model": model})
        self._add(value, trust, "", "", watched.target.namespace, watched.target.name, labels)

    # --- both ----------------------------------------------------------------------------------

    def _combined(self, parts: list[Labelled]) -> Sample | Missing:
        return combine(self.definition, [part for _, part in parts])

    def _add(
        self,
        value: Sample | Missing,
        trust: Trust,
        api_version: str,
        kind: str,
        namespace: str | None,
        name: str,
        labels: dict[str, str] | None = None,
    ) -> None:
        if isinstance(value, Missing):
            self._unknown(value.missing)
            return
        milli = to_milli(value.value)
        if milli is None:
            self._unknown(f"{name} reads {value.value:g}, which no quantity can say")
            return
        self.expires = min(self.expires, value.at + trust.limit)
        self.items.append(
            Item(api_version, kind, namespace, name, milli, value.at, value.window, labels)
        )

    def _unknown(self, reason: str) -> None:
        self.reasons[reason] = None

    def _why(self) -> str:
        reasons = list(self.reasons)
        more = f"; and {len(reasons) - SHOWN} more reasons" if len(reasons) > SHOWN else ""
        return "; ".join(reasons[:SHOWN]) + more

    def _nothing(self) -> str:
        asked = self.asked
        if self.series.passed_over:
            some = _some(sorted(self.series.passed_over))
            return f"{not_found(asked)} with {asked.series}: its models are {some}"
        if asked.resource in ("", "namespaces"):
            with_ = f" with {asked.series}" if asked.series else ""
            return f"{not_found(asked)} in namespace {asked.namespace}{with_}{self.hint}"
        if asked.name != ALL:
            what = (
                "a live pod of a policy" if asked.resource == "pods" else "the target of a policy"
            )
            said = f'{asked.resource} "{asked.name}" not found'
            return f"{said}: it is not {what} that serves metrics{self.hint}"
        matching = f" matches {asked.objects}" if asked.objects else ""
        return (
            f"no {asked.resource} of a policy in namespace {asked.namespace}{matching}{self.hint}"
        )

    @property
    def hint(self) -> str:
        """Why somebody who expects a value may find none."""
        keys = self.view.withheld.get(self.asked.namespace, ())
        if not keys:
            return ""
        return f" (in mode observe and so not served: {_some(keys)}; mode: recommend serves)"


def _some(names: Sequence[str]) -> str:
    more = ", …" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
