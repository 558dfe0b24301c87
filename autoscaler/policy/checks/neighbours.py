"""Policies that get in each other's way."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from autoscaler.policy.diagnostics import Finding, Route
from autoscaler.policy.entry import Entry
from autoscaler.policy.registry import check_set


def _repeated(
    entries: list[Entry], key: Callable[[Entry], Hashable], route: Route, say: str, remedy: str
) -> Iterator[tuple[Entry, Finding]]:
    first: dict[Hashable, Entry] = {}
    for entry in entries:
        other = first.setdefault(key(entry), entry)
        if other is not entry:
            place = f"{other.file}:{other.tree.mark(route).line}"
            yield entry, Finding(route, f"{say} at {place}", remedy)


def _target(entry: Entry) -> Hashable:
    target = entry.spec.target
    group = target.api_version.rpartition("/")[0]
    return (entry.target_namespace, group, target.kind, target.name)


@check_set(
    "duplicate-target",
    "two policies scale the same object.",
    "They would undo each other's changes, tick by tick.",
)
def duplicate_target(entries: list[Entry]) -> Iterator[tuple[Entry, Finding]]:
    yield from _repeated(
        entries,
        _target,
        ("spec", "target", "name"),
        "this object is already scaled by the policy",
        "put the objectives of both into one policy: the highest proposal wins",
    )


@check_set(
    "duplicate-name",
    "two policies have the same name in one namespace.",
    "State, metrics and journal are kept by that name.",
)
def duplicate_name(entries: list[Entry]) -> Iterator[tuple[Entry, Finding]]:
    yield from _repeated(
        entries,
        lambda entry: (entry.namespace, entry.document.metadata.name),
        ("metadata", "name"),
        "a policy of this name is already",
        "rename one of them, or give them namespaces",
    )
