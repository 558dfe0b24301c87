"""The one registry of checks: id, severity, what it means, why it matters.

Checks of form (the YAML itself, types, units) are declared in `form.py` and reported where the
text is read; checks of meaning are functions in `checks/`, bound here by their decorator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from autoscaler.policy.diagnostics import Finding, Severity

if TYPE_CHECKING:
    from autoscaler.policy.entry import Entry

Scope: TypeAlias = Literal["file", "set"]
PolicyCheck: TypeAlias = "Callable[[Entry], Iterator[Finding]]"
SetCheck: TypeAlias = "Callable[[list[Entry]], Iterator[tuple[Entry, Finding]]]"


@dataclass(frozen=True, slots=True)
class Check:
    """`summary` completes "this check fires when …"; `why` is the harm it avoids.

    Scope `set`: the fault lies in what was given to `validate`; no short file can show it.
    """

    id: str
    severity: Severity
    summary: str
    why: str
    scope: Scope = "file"


CHECKS: dict[str, Check] = {}
POLICY_CHECKS: dict[str, PolicyCheck] = {}
SET_CHECKS: dict[str, SetCheck] = {}


def declare(
    id_: str, summary: str, why: str, severity: Severity = "error", scope: Scope = "file"
) -> Check:
    assert id_ not in CHECKS, f"two checks are called {id_}"
    CHECKS[id_] = Check(id_, severity, summary, why, scope)
    return CHECKS[id_]


def check(
    id_: str, summary: str, why: str, severity: Severity = "error"
) -> Callable[[PolicyCheck], PolicyCheck]:
    """Register a function that looks at one policy."""

    def bind(function: PolicyCheck) -> PolicyCheck:
        declare(id_, summary, why, severity)
        POLICY_CHECKS[id_] = function
        return function

    return bind


def check_set(
    id_: str, summary: str, why: str, severity: Severity = "error"
) -> Callable[[SetCheck], SetCheck]:
    """Register a function that looks at all policies together."""

    def bind(function: SetCheck) -> SetCheck:
        declare(id_, summary, why, severity)
        SET_CHECKS[id_] = function
        return function

    return bind
