"""Policies while running: read again when their contents change, all or nothing.

ConfigMap mounts swap a symlink and keep or fake modification times, so the contents are hashed on
each tick. A set with an error in it is not taken: the last good one stays and the error shows in
the log, the metrics and the page until it is mended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from autoscaler.model import Policy


class ProblemLike(Protocol):
    @property
    def severity(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def remedy(self) -> str: ...


class PolicySetLike(Protocol):
    @property
    def policies(self) -> tuple[Policy, ...]: ...
    @property
    def problems(self) -> Sequence[ProblemLike]: ...
    @property
    def hash(self) -> str: ...
    @property
    def ok(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """What runs, and what became of the newest edit."""

    policies: int
    hash: str  # of the set that runs
    good: bool  # whether the newest edit is what runs
    changed_at: float  # Unix time at which the running set was taken
    tried_hash: str  # of the newest edit
    errors: tuple[str, ...] = ()


class Reloader:
    """Holds the set that runs; `check` looks whether there is a better one.

    `fingerprint` is a cheap hash of the contents, `load` the full reading.
    """

    def __init__(
        self,
        load: Callable[[], PolicySetLike],
        fingerprint: Callable[[], str],
        now: Callable[[], float],
        first: PolicySetLike,
    ) -> None:
        self._load = load
        self._fingerprint = fingerprint
        self._now = now
        self._seen = fingerprint()
        self.policies: tuple[Policy, ...] = first.policies
        self.status = ReloadStatus(len(first.policies), first.hash, True, now(), first.hash)

    def check(self, force: bool = False) -> ReloadStatus:
        """Take the newest edit if it is whole and right; keep what runs if not."""
        try:
            seen = self._fingerprint()
        except OSError as error:
            self._seen = ""  # whatever is there when it can be read again is news
            return self._keep("unreadable", (f"{error.filename}: {error.strerror}",))
        if seen == self._seen and not force:
            return self.status
        found = self._load()
        self._seen = seen
        if not found.ok or not found.policies:
            return self._keep(found.hash, _errors(found) or ("there is no policy in it",))
        if found.hash != self.status.hash or not self.status.good:
            self.policies = found.policies
            self.status = ReloadStatus(
                len(found.policies), found.hash, True, self._now(), found.hash
            )
        return self.status

    def _keep(self, tried: str, errors: tuple[str, ...]) -> ReloadStatus:
        running = self.status
        self.status = ReloadStatus(
            running.policies, running.hash, False, running.changed_at, tried, errors
        )
        return self.status


def _errors(found: PolicySetLike) -> tuple[str, ...]:
    return tuple(
        f"{problem.file}:{problem.line}: {problem.message}"
        for problem in found.problems
        if problem.severity == "error"
    )
