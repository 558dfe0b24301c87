"""Policies that get in each other's way."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from autoscaler.policy.diagnostics import Finding, Route
from autoscaler.policy.entry import Entry
from autoscaler.policy.pools import DriverPart
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


@check_set(
    "shared-pool",
    "two policies size the same node pool (`scale` or `gke`), as driver or fallback.",
    "Each knows of its own replicas only: 4 → 3 nodes by one, 3 → 4 by the other, for ever.",
)
def shared_pool(entries: list[Entry]) -> Iterator[tuple[Entry, Finding]]:
    first: dict[Hashable, tuple[Entry, Route]] = {}
    for entry in entries:
        for key, route in _pools(entry):
            other, there = first.setdefault(key, (entry, route))
            if other is not entry:
                place = f"{other.file}:{other.tree.mark(there).line}"
                message = f"this pool is already sized by the policy at {place}"
                remedy = "ask its autoscaler for room (driver: {capacityBuffer: {}}), or give "
                yield entry, Finding(route, message, f"{remedy}each policy a pool of its own")


def _pools(entry: Entry) -> Iterator[tuple[Hashable, Route]]:
    """The pools that it sizes in nodes, and where their names stand."""
    nodes = entry.spec.nodes
    if nodes is None:
        return
    named: dict[str, DriverPart | None] = {"driver": nodes.driver, "fallback": nodes.fallback}
    for name, driver in named.items():
        if driver is not None and (pool := driver.scale) is not None:
            group = pool.api_version.rpartition("/")[0]
            key = ("scale", group, pool.kind, pool.namespace, pool.name)
            yield key, ("spec", "nodes", name, "scale", "name")
        elif driver is not None and (gke := driver.gke) is not None:
            place = ("gke", gke.project, gke.location, gke.cluster, gke.pool)
            yield place, ("spec", "nodes", name, "gke", "pool")
