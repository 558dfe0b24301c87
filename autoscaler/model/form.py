"""The JSON spelling of the vocabulary."""

from __future__ import annotations

from typing import Any


def camel(name: str) -> str:
    """`queue_time` → `queueTime`, the spelling of Kubernetes and of every JSON we write."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


# Read by pydantic in `autoscaler.wire`; a plain dict, so that this module needs no pydantic.
WIRE: dict[str, Any] = {
    "alias_generator": camel,
    "populate_by_name": True,
    "extra": "forbid",
    "allow_inf_nan": False,
}
