"""LabelSelector objects (`matchLabels`, `matchExpressions`) against labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def mismatch(selector: Mapping[str, Any], labels: Mapping[str, str]) -> str | None:
    """The first requirement that the labels do not meet, in words; None where it selects them.

    An empty selector selects everything, as in Kubernetes.
    """
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            has = f"have {key}={labels[key]}" if key in labels else f"have no {key}"
            return f"asks for {key}={value}, the labels {has}"
    for wanted in selector.get("matchExpressions") or ():
        if not _meets(wanted, labels):
            values = ", ".join(wanted.get("values") or ())
            return f"asks for {wanted['key']} {wanted['operator']} ({values})"
    return None


def _meets(wanted: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = wanted["key"], wanted.get("values") or ()
    match wanted["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
