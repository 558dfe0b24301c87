"""The JSON documents of the API: values, Status errors, discovery. As apimachinery writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import orjson

from autoscaler.serve.metrics_api.catalog import CUSTOM, EXTERNAL
from autoscaler.serve.metrics_api.lookups import Item
from autoscaler.serve.metrics_api.quantity import canonical
from autoscaler.serve.metrics_api.selectors import Selector
from autoscaler.serve.metrics_api.views import MetricsView

Form: TypeAlias = Literal["custom/v1beta1", "custom/v1beta2", "external/v1beta1"]
VERSIONS = {CUSTOM: ("v1beta1", "v1beta2"), EXTERNAL: ("v1beta1",)}
# The HPA takes the version from the aggregator's order of APIServices, not from here; but a bare
# client takes this one.
PREFERRED = {CUSTOM: "v1beta2", EXTERNAL: "v1beta1"}
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def status(code: int, message: str) -> bytes:
    """The HPA shows the message word for word in its condition ScalingActive."""
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": REASONS.get(code, "Unknown"),
        "code": code,
    }
    return orjson.dumps(document)


def values(form: Form, metric: str, items: Iterable[Item], series: Selector) -> bytes:
    """A MetricValueList or ExternalMetricValueList. May raise SelectorError (see Selector)."""
    kind, api_version, render = _FORMS[form]
    echo = series.as_label_selector()
    times: dict[int, str] = {}
    document = {
        "kind": kind,
        "apiVersion": api_version,
        "metadata": {},
        "items": [render(metric, one, _time(one.at, times), echo) for one in items],
    }
    return orjson.dumps(document)


_Echo: TypeAlias = dict[str, Any] | None
_Render: TypeAlias = Callable[[str, Item, str, _Echo], dict[str, Any]]


def _v1beta2(metric: str, item: Item, time: str, echo: _Echo) -> dict[str, Any]:
    return {
        "describedObject": _object(item),
        "metric": {"name": metric, "selector": echo},
        "timestamp": time,
        "windowSeconds": round(item.window),
        "value": canonical(item.milli),
    }


def _v1beta1(metric: str, item: Item, time: str, echo: _Echo) -> dict[str, Any]:
    return {
        "describedObject": _object(item),
        "metricName": metric,
        "timestamp": time,
        "window": round(item.window),
        "value": canonical(item.milli),
        "selector": echo,
    }


def _external(metric: str, item: Item, time: str, _: _Echo) -> dict[str, Any]:
    return {
        "metricName": metric,
        "metricLabels": item.labels or {},
        "timestamp": time,
        "window": round(item.window),
        "value": canonical(item.milli),
    }


_FORMS: dict[Form, tuple[str, str, _Render]] = {
    "custom/v1beta1": ("MetricValueList", f"{CUSTOM}/v1beta1", _v1beta1),
    "custom/v1beta2": ("MetricValueList", f"{CUSTOM}/v1beta2", _v1beta2),
    "external/v1beta1": ("ExternalMetricValueList", f"{EXTERNAL}/v1beta1", _external),
}


def _object(item: Item) -> dict[str, str]:
    if item.namespace is None:
        return {"kind": item.kind, "name": item.name, "apiVersion": item.api_version}
    return {
        "kind": item.kind,
        "namespace": item.namespace,
        "name": item.name,
        "apiVersion": item.api_version,
    }


def _time(at: float, known: dict[int, str]) -> str:
    """RFC 3339, UTC, whole seconds: the second in which it was measured."""
    second = int(at)
    if second not in known:
        known[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return known[second]


# --- discovery -------------------------------------------------------------------------------


def resources(group: str, version: str, view: MetricsView) -> bytes:
    """/apis/G/V: an APIResourceList; `namespaces/…` is not namespaced, as others have it."""
    found = []
    for metric in view.catalog.served(view.own):
        if group == EXTERNAL:
            found.append((metric.name, True, "ExternalMetricValueList"))
            continue
        if metric.of != "target":
            found.append((f"pods/{metric.name}", True, "MetricValueList"))
        found.append((f"namespaces/{metric.name}", False, "MetricValueList"))
        found += [(f"{of}/{metric.name}", True, "MetricValueList") for of in view.resources]
    document = {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}",
        "resources": [
            {
                "name": name,
                "singularName": "",
                "namespaced": namespaced,
                "kind": kind,
                "verbs": ["get"],
            }
            for name, namespaced, kind in sorted(found)
        ],
    }
    return orjson.dumps(document)


def group(name: str) -> bytes:
    """/apis/G"""
    return orjson.dumps({"kind": "APIGroup", "apiVersion": "v1", **_group(name)})


def groups() -> bytes:
    """/apis, in the old form: an aggregated document that missed a group would unpublish it."""
    document = {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(name) for name in VERSIONS],
    }
    return orjson.dumps(document)


def _group(name: str) -> dict[str, Any]:
    def version(of: str) -> dict[str, str]:
        return {"groupVersion": f"{name}/{of}", "version": of}

    return {
        "name": name,
        "versions": [version(of) for of in VERSIONS[name]],
        "preferredVersion": version(PREFERRED[name]),
    }
