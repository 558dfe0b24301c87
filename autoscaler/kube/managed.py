"""managedFields: who last set a field of an object, when and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoscaler.kube.paths import FIELD_MANAGER

REPLICAS = ("f:spec", "f:replicas")


@dataclass(frozen=True, slots=True)
class Manager:
    """`operation` is Apply (server-side: it claims the field for good) or Update.

    A write of the scale subresource leaves no time.
    """

    name: str
    operation: str
    at: str  # RFC 3339; "" where not said
    subresource: str = ""

    def __str__(self) -> str:
        """`kubectl, Update of scale, 2026-11-21T08:00:00Z`"""
        part = f" of {self.subresource}" if self.subresource else ""
        return ", ".join(word for word in (self.name, f"{self.operation}{part}", self.at) if word)


def managers(metadata: Mapping[str, Any], path: Sequence[str]) -> Iterator[Manager]:
    """All managers of the field, such as ("f:spec", "f:replicas").

    Several hold one field only where they agree on its value and all but one of them applied it.
    """
    for entry in metadata.get("managedFields") or ():
        found: Any = entry.get("fieldsV1")
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if found is not None:
            yield Manager(
                str(entry.get("manager") or "an unnamed manager"),
                str(entry.get("operation") or "Update"),
                str(entry.get("time") or ""),
                str(entry.get("subresource") or ""),
            )


def replicas_manager(metadata: Mapping[str, Any]) -> Manager | None:
    """The one other than us who last set spec.replicas; None where only we have.

    An applier that agrees with us for now counts: its next apply sets the field again.
    """
    others = [one for one in managers(metadata, REPLICAS) if one.name != FIELD_MANAGER]
    return max(others, key=lambda one: one.at, default=None)


def annotator(metadata: Mapping[str, Any], annotation: str) -> Manager | None:
    path = ("f:metadata", "f:annotations", f"f:{annotation}")
    return max(managers(metadata, path), key=lambda one: one.at, default=None)


def author(metadata: Mapping[str, Any]) -> Manager | None:
    """Who last touched the object at all."""
    entries = metadata.get("managedFields") or ()
    return max(
        (found for entry in entries for found in managers({"managedFields": [entry]}, ())),
        key=lambda one: one.at,
        default=None,
    )
