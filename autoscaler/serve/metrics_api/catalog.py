"""Which metrics there are, what they are, and under which names they are served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_:.-]{0,252}")
# The objective ids of a policy's own PromQL: metric-1, metric-2, …
OWN = re.compile(r"metric-[1-9][0-9]*")

Of: TypeAlias = Literal["model", "pod", "target"]


class CatalogError(ValueError):
    """A name that cannot be given to a metric; says what to write instead."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric. `of`: what it is measured on; what is measured on a model is added up for the
    pod, for the target and for the namespace, as a sum (`additive`) or as a ratio of sums.
    """

    key: str
    name: str
    unit: str
    of: Of
    additive: bool
    help: str


_KNOWN: tuple[tuple[str, str, Of, bool, str], ...] = (
    ("avg_time_queue_us", "µs", "model", False, "Mean time in Triton's queue, per request."),
    ("pending_requests", "requests", "model", True, "Requests inside without an answer yet."),
    ("request_rate", "requests/s", "model", True, "Requests that arrive."),
    ("rejected_ratio", "0 to 1", "model", False, "Share of requests counted as turned away."),
    ("gpu_duty_cycle", "percent", "pod", False, "Busiest GPU of the pod, 0 to 100."),
    ("gpu_power_ratio", "0 to 1", "pod", False, "GPU power as a share of the board's limit."),
    ("desired_replicas", "replicas", "target", True, "What the policy decided."),
)
KEYS = tuple(key for key, *_ in _KNOWN)
DESIRED_REPLICAS = "desired_replicas"


class Catalog:
    """The metrics under their served names. `names`: key → name where it is another one."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = dict(names or {})
        self._by_name: dict[str, Definition] = {}
        for key, unit, of, additive, text in _KNOWN:
            name = self._names.get(key, key)
            self._by_name[name] = Definition(key, name, unit, of, additive, text)
        self._own = {name: key for key, name in self._names.items() if OWN.fullmatch(key)}

    def find(self, name: str) -> Definition | None:
        """By the name that is asked for."""
        known = self._by_name.get(name)
        if known is not None:
            return known
        key = self._own.get(name, name)
        if not OWN.fullmatch(key) or self._names.get(key, key) != name:
            return None
        return Definition(key, name, "as its query gives", "target", False, "A policy's own query.")

    def served(self, own: Iterable[str] = ()) -> tuple[Definition, ...]:
        """All of them by name; `own` are ids (`metric-1`) that the policies in force have."""
        names = [self._names.get(key, key) for key in dict.fromkeys(own)]
        found = [self.find(name) for name in (*self._by_name, *names)]
        return tuple(sorted((one for one in found if one), key=lambda one: one.name))


def parse_names(arguments: Iterable[str]) -> Catalog:
    """`--metric-name avg_time_queue_us=triton_queue`, several; may raise CatalogError."""
    names: dict[str, str] = {}
    for argument in arguments:
        key, equals, name = argument.partition("=")
        if not equals or not NAME.fullmatch(name):
            raise CatalogError(
                f"{argument!r}: write METRIC=NAME, for example {KEYS[0]}=triton_queue; a name "
                "has letters, digits, '_', ':', '.' and '-', and starts with a letter or '_'"
            )
        if key not in KEYS and not OWN.fullmatch(key):
            raise CatalogError(f"no metric {key!r}: there are {', '.join(KEYS)} and metric-1, …")
        names[key] = name
    taken = [names.get(key, key) for key in dict.fromkeys((*KEYS, *names))]
    twice = next((name for name in taken if taken.count(name) > 1), None)
    if twice is not None:
        raise CatalogError(f"two metrics would be called {twice!r}: give one another name")
    return Catalog(names)
