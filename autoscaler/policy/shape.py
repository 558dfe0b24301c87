"""Tree → document: pydantic's errors become problems with a place and a remedy."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from autoscaler.policy.budgets import BudgetDocument
from autoscaler.policy.diagnostics import Finding, Problem, Route, did_you_mean, listing, spell
from autoscaler.policy.documents import API_VERSION, BARE, KIND, Document
from autoscaler.policy.pools import BARE_DRIVERS
from autoscaler.policy.registry import CHECKS
from autoscaler.policy.scalars import describe
from autoscaler.policy.schema import MODELS, fields_at, places_of
from autoscaler.policy.source import Tree, nulls, problem_at

_ADAPTERS: dict[str, TypeAdapter[Any]] = {}  # by kind, made when first needed

MAX_FAULTS = 50  # of one document: more would bury the first

# What people bring along from the HPA and from KEDA.
_FOREIGN = {
    "minReplicas": "spec.replicas.min",
    "maxReplicas": "spec.replicas.max",
    "minReplicaCount": "spec.replicas.min",
    "maxReplicaCount": "spec.replicas.max",
    "scaleTargetRef": "spec.target",
    "stabilizationWindowSeconds": "stabilizationWindow, with a unit: 5m",
    "periodSeconds": "period, with a unit: 15s",
    "cooldownPeriod": "spec.cooldown.scaleDown, with a unit: 5m",
    "metrics": "spec.objectives",
    "triggers": "spec.objectives",
}


def read_document(file: str, tree: Tree) -> tuple[Document | BudgetDocument | None, list[Problem]]:
    """The document, or what keeps it from being one."""
    findings = list(_identity(tree.data))
    document = None
    if not findings:
        document, findings = _validate(tree)
    problems = []
    for check, finding in findings:
        mark = tree.mark(finding.route, finding.on_key)
        problems.append(problem_at(check, file, mark, finding.message, finding.remedy))
    return (None if problems else document), problems


def _identity(data: Any) -> list[tuple[str, Finding]]:
    """A manifest of another program gets one problem, not one for each of its fields."""
    if not isinstance(data, dict):
        message = f"a document must be a mapping, not {describe(data)}"
        return [("wrong-type", Finding((), message, "start with `apiVersion:`"))]
    version, kind = data.get("apiVersion"), data.get("kind")
    if isinstance(version, str) and version != API_VERSION:
        remedy = f"write {API_VERSION}, or keep other manifests out of this folder"
        return [("api-version", Finding(("apiVersion",), f"{version!s} is not read here", remedy))]
    if isinstance(kind, str) and kind not in MODELS:
        remedy = f"write kind: {listing(MODELS)}"
        return [("kind", Finding(("kind",), f"{kind!s} is not read here", remedy))]
    return []


def _kind(tree: Tree) -> str:
    kind = tree.data.get("kind")
    return kind if isinstance(kind, str) else KIND


def _validate(
    tree: Tree,
) -> tuple[Document | BudgetDocument | None, list[tuple[str, Finding]]]:
    kind = _kind(tree)
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(MODELS[kind])
    empty = [route for route in nulls(tree.data) if not _may_be_empty(route)][:MAX_FAULTS]
    document, found = None, []
    try:
        document = _ADAPTERS[kind].validate_python(tree.data)
    except ValidationError as error:
        details = error.errors(include_url=False)[:MAX_FAULTS]
        found = [_translate(tree, detail) for detail in details]
    unknown = {finding.route for check, finding in found if check == "unknown-field"}
    empty = [route for route in empty if not any(route[: len(u)] == u for u in unknown)]
    found = [item for item in found if item[1].route not in empty]
    for route in empty:
        remedy = "write a value, or leave the field out for its default"
        finding = Finding(route, f"{spell(route)} has no value", remedy, on_key=True)
        found.append(("empty-value", finding))
    return document, found


def _may_be_empty(route: Route) -> bool:
    if route[:2] == ("spec", "nodes"):
        return len(route) == 4 and route[3] in BARE_DRIVERS
    return len(route) == 4 and route[:2] == ("spec", "objectives") and route[3] in BARE


def _translate(tree: Tree, detail: Any) -> tuple[str, Finding]:
    kind, loc, value = detail["type"], tuple(detail["loc"]), detail["input"]
    route = _present(tree, loc[:-1] if kind in {"missing", "extra_forbidden"} else loc)
    if kind == "missing":
        name = str(loc[-1])
        remedy = f"add `{name}:`"
        return "missing-field", Finding(route, f"{spell((*route, name))} is missing", remedy, True)
    if kind == "extra_forbidden":
        return "unknown-field", _unknown(route, str(loc[-1]), _kind(tree))
    if kind in CHECKS:
        context = detail["ctx"]
        on_key = kind == "bad-percentile"
        if on_key:
            route = (*route, str(value)) if (*route, str(value)) in tree.keys else route
        return kind, Finding(route, _name(route) + context["message"], context["remedy"], on_key)
    wanted = {"list_type": "a list", "dict_type": "a mapping", "model_type": "a mapping"}
    message = f"{_name(route)}must be {wanted.get(kind, 'another type')}, not {describe(value)}"
    names = fields_at(route, _kind(tree))
    remedy = "write `- ` items below it" if kind == "list_type" else "indent its fields below it"
    if names and kind != "list_type":
        remedy += f": {', '.join(names)}"
    return "wrong-type", Finding(route, message, remedy)


def _present(tree: Tree, loc: Route) -> Route:
    """`loc` without the segments that pydantic added and the text does not have."""
    route: Route = ()
    for step in loc:
        longer = (*route, step)
        if longer in tree.values or longer in tree.keys:
            route = longer
    return route


def _name(route: Route) -> str:
    return f"{spell(route)}: " if route else ""


def _unknown(route: Route, name: str, kind: str) -> Finding:
    known = fields_at(route, kind)
    close = did_you_mean(name, known)
    elsewhere = sorted({spell((*place, name)) for place in places_of(name, kind)})
    if name in _FOREIGN:
        remedy = f"here it is {_FOREIGN[name]}"
    elif close:
        remedy = f"did you mean {close}?"
    elif elsewhere:
        remedy = f"it belongs at {listing(elsewhere)}"
    elif known:
        remedy = f"known here: {', '.join(known)}"
    else:
        remedy = "delete it"
    return Finding((*route, name), f"{spell((*route, name))} is not known", remedy, on_key=True)
