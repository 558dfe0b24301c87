"""Problems: what is wrong, where, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]
Route: TypeAlias = tuple[str | int, ...]  # ("spec", "objectives", 0, "queueTime")


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of one line; lines and columns count characters from 1, `end` is exclusive."""

    line: int
    column: int
    end: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One diagnostic. `check` is an id of `registry.CHECKS`."""

    check: str
    severity: Severity
    file: str
    line: int
    column: int
    end_column: int
    message: str
    remedy: str

    @property
    def order(self) -> tuple[str, int, int, str]:
        return (self.file, self.line, self.column, self.check)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says: a place in the document instead of a line."""

    route: Route
    message: str
    remedy: str
    on_key: bool = False  # point at the field's name, not at its value


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be: `queuetime` → `queueTime`."""
    candidates = list(known)
    bare = word.lower().replace("_", "").replace("-", "")
    for candidate in candidates:
        if candidate.lower() == bare:
            return candidate
    close = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return close[0] if close else None


def spell(route: Route) -> str:
    """`("spec", "objectives", 0, "metric")` → `spec.objectives[0].metric`."""
    text = ""
    for step in route:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def listing(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *head, last = list(words)
    return f"{', '.join(head)} or {last}" if head else last
