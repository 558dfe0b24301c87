"""The JSON Schema of the YAML, and the field names that stand at a place of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from autoscaler.policy.budgets import KIND as BUDGET
from autoscaler.policy.budgets import BudgetDocument
from autoscaler.policy.diagnostics import Route
from autoscaler.policy.documents import BARE, KIND, Document
from autoscaler.policy.part import Part
from autoscaler.policy.pools import BARE_DRIVERS

MODELS: dict[str, type[Part]] = {KIND: Document, BUDGET: BudgetDocument}

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(kind: str = KIND) -> dict[str, Any]:
    """JSON Schema (2020-12) of a document of that kind, for editors and foreign CI."""
    return copy.deepcopy(_schema(kind))


@cache
def _schema(kind: str) -> dict[str, Any]:
    made: dict[str, Any] = _tidy(MODELS[kind].model_json_schema(by_alias=True))
    made["properties"]["apiVersion"] = {"const": "triton-autoscaler/v1alpha1"}
    made["properties"]["kind"] = {"const": kind}
    if kind == KIND:
        _shorthands(made)
    return {"$schema": DIALECT, "title": kind, **made}


def _shorthands(made: dict[str, Any]) -> None:
    """What may be written shorter than its mapping."""
    driver = made["$defs"]["DriverPart"]
    driver |= {"minProperties": 1, "maxProperties": 1}
    for name in BARE_DRIVERS:
        driver["properties"][name] = _or({"type": "null"}, driver["properties"][name])
    objective = made["$defs"]["ObjectivePart"]
    objective |= {"minProperties": 1, "maxProperties": 1}
    for name in BARE:  # `- demand:` and `- demand: {}` alike
        objective["properties"][name] = _or({"type": "null"}, objective["properties"][name])
    objectives = made["$defs"]["Spec"]["properties"]["objectives"]
    objectives["items"] = _or({"enum": list(BARE)}, objectives["items"])
    objectives["minItems"] = 1


def _or(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    kept = {key: second[key] for key in ("description",) if key in second}
    rest = {key: value for key, value in second.items() if key not in kept}
    return {"anyOf": [first, rest], **kept}


def _tidy(node: Any) -> Any:
    """Without pydantic's titles, nulls (an empty value is refused) and defaults in base units."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if key in {"properties", "$defs"}:
            kept[key] = {name: _tidy(child) for name, child in value.items()}
        elif key not in {"title", "default"}:
            kept[key] = _tidy(value)
    choices = kept.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [item for item in choices if item != {"type": "null"}]
        del kept["anyOf"]
        kept = {**(rest[0] if len(rest) == 1 else {"anyOf": rest}), **kept}
    return kept


@lru_cache(maxsize=256)
def fields_at(route: Route, kind: str = KIND) -> list[str]:
    """The names that may stand in the mapping at `route`; empty where any may."""
    return sorted({name for node in _nodes_at(route, kind) for name in node.get("properties", {})})


@lru_cache(maxsize=256)
def places_of(field: str, kind: str = KIND) -> list[Route]:
    """Where in a document a field of this name belongs: `queueTime` → spec.sla, …"""
    found = _all_fields(_schema(kind), (), kind)
    return [route for route, name in found if name == field]


def _nodes_at(route: Route, kind: str) -> list[dict[str, Any]]:
    nodes = _alternatives(_schema(kind), kind)
    for step in route:
        found: list[dict[str, Any]] = []
        for node in nodes:
            if isinstance(step, int):
                found += _alternatives(node.get("items"), kind)
            elif step in node.get("properties", {}):
                found += _alternatives(node["properties"][step], kind)
        nodes = found
    return nodes


def _alternatives(node: dict[str, Any] | None, kind: str) -> list[dict[str, Any]]:
    if node is None:
        return []
    if "$ref" in node:
        return _alternatives(_schema(kind)["$defs"][node["$ref"].rsplit("/", 1)[-1]], kind)
    if "anyOf" in node:
        return [found for item in node["anyOf"] for found in _alternatives(item, kind)]
    return [node]


def _all_fields(node: Any, route: Route, kind: str) -> Iterator[tuple[Route, str]]:
    for found in _alternatives(node, kind):
        for name, child in found.get("properties", {}).items():
            yield route, name
            yield from _all_fields(child, (*route, name), kind)
        yield from _all_fields(found.get("items"), (*route, 0), kind)
