"""Policies while running: read again when their contents change, all or nothing.

ConfigMap mounts swap a symlink and keep or fake modification times, so the contents are hashed on
each tick. A set with an error in it is not taken: the last good one stays and the error shows in
the log, the metrics and the page until it is mended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autoscaler.model import GpuBudget, Policy
from autoscaler.policy import PolicySet


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

    `load` is the full reading, `fingerprint` a cheap hash of the contents of the same files and
    of the profiles that the set names.
    """

    def __init__(
        self,
        load: Callable[[], PolicySet],
        fingerprint: Callable[[PolicySet], str],
        now: Callable[[], float],
        first: PolicySet,
    ) -> None:
        self._load = load
        self._fingerprint = fingerprint
        self._now = now
        self._read = first  # the newest reading, good or not
        self._seen = fingerprint(first)
        self.policies: tuple[Policy, ...] = first.policies
        self.budgets: tuple[GpuBudget, ...] = first.budgets
        self.status = ReloadStatus(len(first.policies), first.hash, True, now(), first.hash)

    def check(self, force: bool = False) -> ReloadStatus:
        """Take the newest edit if it is whole and right; keep what runs if not."""
        if self._fingerprint(self._read) == self._seen and not force:
            return self.status
        found = self._read = self._load()
        self._seen = self._fingerprint(found)
        if not found.ok or not found.policies:
            return self._keep(found.hash, _errors(found) or ("there is no policy in it",))
        if found.hash != self.status.hash or not self.status.good:
            self.policies, self.budgets = found.policies, found.budgets
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


def _errors(found: PolicySet) -> tuple[str, ...]:
    return tuple(
        f"{problem.file}:{problem.line}: {problem.message}"
        for problem in found.problems
        if problem.severity == "error"
    )
