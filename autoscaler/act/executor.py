"""Executors carry actions out. Live, dry run and tests differ in nothing but this.

The live one is `autoscaler.act.live`; what it may not or cannot do it says as an `ActionError`
with the place, the reason and the remedy, and nothing else in the daemon changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from autoscaler.model import Action


class ActionError(Exception):
    """A write that was refused or did not come through; the text says where, why and what helps.

    `unanswered`: nobody answered in time, so that the next write would wait in vain too.
    """

    def __init__(self, text: str, *, unanswered: bool = False) -> None:
        super().__init__(text)
        self.unanswered = unanswered


class Executor(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def writes(self) -> bool:
        """False where nothing outside this process is changed."""

    async def execute(self, action: Action) -> None:
        """Raises ActionError."""


def describe(action: Action) -> str:
    """`scale Deployment default/flower 2 → 3`"""
    target = action.target
    whose = f"{target.kind} {target.namespace}/{target.name}"
    change = f"{action.before} → {action.after}"
    if action.kind == "pool" and action.pool is not None:
        return f"resize the node pool of {whose} {change} {action.pool.unit}"
    if action.kind == "deletionCost":
        pods = len(action.deletion_costs)
        return f"say which pods of {whose} go first ({'1 pod' if pods == 1 else f'{pods} pods'})"
    return f"scale {whose} {change}"


class DryRun:
    """Says what it would do, once per change: the same wish on every tick is not news."""

    name = "dry-run"
    writes = False

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said: dict[tuple[str, str], str] = {}

    async def execute(self, action: Action) -> None:
        key, wish = (action.policy, action.kind), describe(action)
        if self._said.get(key) == wish:
            return
        self._said[key] = wish
        self._say(f"dry run: would {wish}")


class Refused:
    """Nothing is written, and each wish to write is a fault that says why not."""

    name = "refused"
    writes = False

    def __init__(self, reason: str) -> None:
        self.reason = reason

    async def execute(self, action: Action) -> None:  # noqa: ARG002 -- none is carried out
        raise ActionError(self.reason)


class Recording:
    """Keeps the actions: for tests."""

    name = "recording"
    writes = True

    def __init__(self) -> None:
        self.actions: list[Action] = []

    async def execute(self, action: Action) -> None:
        self.actions.append(action)
