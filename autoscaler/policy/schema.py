"""The JSON Schema of the YAML, and the field names that stand at a place of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from autoscaler.policy.diagnostics import Route
from autoscaler.policy.documents import BARE, Document

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a policy document, for editors and foreign CI."""
    return copy.deepcopy(_schema())


@cache
def _schema() -> dict[str, Any]:
    made = Document.model_json_schema(by_alias=True)
    made = _tidy(made)
    made["properties"]["apiVersion"] = {"const": "triton-autoscaler/v1alpha1"}
    made["properties"]["kind"] = {"const": "ScalingPolicy"}
    objective = made["$defs"]["ObjectivePart"]
    objective |= {"minProperties": 1, "maxProperties": 1}
    for name in BARE:  # `- demand:` and `- demand: {}` alike
        objective["properties"][name] = _or({"type": "null"}, objective["properties"][name])
    objectives = made["$defs"]["Spec"]["properties"]["objectives"]
    objectives["items"] = _or({"enum": list(BARE)}, objectives["items"])
    objectives["minItems"] = 1
    return {"$schema": DIALECT, "title": "ScalingPolicy", **made}


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
def fields_at(route: Route) -> list[str]:
    """The names that may stand in the mapping at `route`; empty where any may."""
    return sorted({name for node in _nodes_at(route) for name in node.get("properties", {})})


@lru_cache(maxsize=256)
def places_of(field: str) -> list[Route]:
    """Where in a document a field of this name belongs: `queueTime` → spec.sla, …"""
    return [route for route, name in _all_fields(_schema(), ()) if name == field]


def _nodes_at(route: Route) -> list[dict[str, Any]]:
    nodes = _alternatives(_schema())
    for step in route:
        found: list[dict[str, Any]] = []
        for node in nodes:
            if isinstance(step, int):
                found += _alternatives(node.get("items"))
            elif step in node.get("properties", {}):
                found += _alternatives(node["properties"][step])
        nodes = found
    return nodes


def _alternatives(node: dict[str, Any] | None) -> list[dict[str, Any]]:
    if node is None:
        return []
    if "$ref" in node:
        return _alternatives(_schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    if "anyOf" in node:
        return [found for item in node["anyOf"] for found in _alternatives(item)]
    return [node]


def _all_fields(node: Any, route: Route) -> Iterator[tuple[Route, str]]:
    for found in _alternatives(node):
        for name, child in found.get("properties", {}).items():
            yield route, name
            yield from _all_fields(child, (*route, name))
        yield from _all_fields(found.get("items"), (*route, 0))
