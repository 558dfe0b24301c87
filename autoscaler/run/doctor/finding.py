"""What a check says, and what all of them together mean for the exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from autoscaler.run.doctor.evidence import Evidence

Status: TypeAlias = Literal["ok", "warn", "fail", "unknown"]
Need: TypeAlias = Literal["prometheus", "kubernetes", "policies"]

FINE, PROBLEMS, NOTHING_CHECKED = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `what` is the case with `subject`, and `remedy` is what to type."""

    check: str
    status: Status
    subject: str  # a policy, an HPA, a pod, a URL
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A finding before it knows which check it came from."""

    status: Status
    subject: str
    what: str
    remedy: str = ""


class CannotTell(Exception):  # noqa: N818 -- named for what happened
    """Raised by a check that lacks what it would look at; the text is the reason."""


def count(number: int, noun: str) -> str:
    """`1 pod`, `2 pods`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


Look: TypeAlias = Callable[["Evidence"], Iterator[Said]]


@dataclass(frozen=True, slots=True)
class Check:
    """`needs` are the parts of the evidence without which it can say nothing."""

    id: str
    needs: Sequence[Need]
    look: Look


def check(name: str, *needs: Need) -> Callable[[Look], Check]:
    def decorate(look: Look) -> Check:
        return Check(name, needs, look)

    return decorate


def exit_code(findings: Iterable[Finding], *, strict: bool = False) -> int:
    """0 fine, 1 problems, 3 where neither Prometheus nor Kubernetes could be asked anything.

    What could not be checked is no problem by itself: doctor also runs with only Prometheus.
    """
    statuses = [finding.status for finding in findings if finding.check != "policies"]
    if not any(status in ("ok", "warn") for status in statuses):
        return NOTHING_CHECKED
    bad = {"fail", "warn"} if strict else {"fail"}
    every = {finding.status for finding in findings}
    return PROBLEMS if bad & every else FINE
