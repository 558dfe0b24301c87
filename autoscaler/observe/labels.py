"""Labels that many pods share, kept once, and the pods that a target's selector picks."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")
Labels: TypeAlias = Mapping[str, str]
NO_LABELS: Labels = {}


def kept(labels: Mapping[str, str] | None) -> Labels:
    """The same object for the same labels: the 100 pods of a ReplicaSet have one set."""
    if not labels:
        return NO_LABELS
    return _shared(tuple(sorted(labels.items())))


@lru_cache(maxsize=8192)
def _shared(pairs: tuple[tuple[str, str], ...]) -> Labels:
    return {sys.intern(key): sys.intern(value) for key, value in pairs}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement of a metav1.LabelSelector: operator In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value is None or value not in self.values
        return (value is not None) == (self.operator == "Exists")

    def __str__(self) -> str:
        if self.operator in {"Exists", "DoesNotExist"}:
            return self.key if self.operator == "Exists" else f"!{self.key}"
        if self.operator == "In" and len(self.values) == 1:
            return f"{self.key}={self.values[0]}"
        word = "in" if self.operator == "In" else "notin"
        return f"{self.key} {word} ({','.join(self.values)})"


Selector: TypeAlias = tuple[Requirement, ...]


def selector_of(given: Any) -> Selector:
    """From a LabelSelector's JSON; raises KeyError or ValueError for what is none."""
    exact = (given or {}).get("matchLabels") or {}
    found = [Requirement(key, "In", (value,)) for key, value in sorted(exact.items())]
    for one in (given or {}).get("matchExpressions") or ():
        if one["operator"] not in {"In", "NotIn", "Exists", "DoesNotExist"}:
            raise ValueError(f"operator {one['operator']}")
        found.append(
            Requirement(one["key"], one["operator"], tuple(sorted(one.get("values") or ())))
        )
    return tuple(found)


class ByLabels(Generic[T]):
    """Things by their labels. Built once per change, so that 1,000 targets with 10,000 pods take
    one pass over the pods and a look-up each, not 10,000,000 comparisons.
    """

    def __init__(self, things: Iterable[tuple[Labels, T]]) -> None:
        groups: dict[int, tuple[Labels, list[T]]] = {}
        for labels, thing in things:
            groups.setdefault(id(labels), (labels, []))[1].append(thing)
        self._groups = list(groups.values())
        self._by_pair: dict[tuple[str, str], list[tuple[Labels, list[T]]]] = {}
        for group in self._groups:
            for pair in group[0].items():
                self._by_pair.setdefault(pair, []).append(group)

    def select(self, selector: Selector) -> list[T]:
        """Nothing for an empty selector: apps/v1 refuses one, and it would take everybody's."""
        if not selector:
            return []
        return [
            thing
            for labels, things in self._candidates(selector)
            if all(requirement.holds(labels) for requirement in selector)
            for thing in things
        ]

    def _candidates(self, selector: Selector) -> Sequence[tuple[Labels, list[T]]]:
        for requirement in selector:
            if requirement.operator == "In":
                return [
                    group
                    for value in dict.fromkeys(requirement.values)
                    for group in self._by_pair.get((requirement.key, value), ())
                ]
        return self._groups
