"""Executors carry actions out. Live, dry run and tests differ in nothing but this.

A live one (PUT on the scale subresource, node pools) has the same two members and raises
`ActionError` with the place, the reason and the remedy; nothing else in the daemon changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from autoscaler.model import Action, Target


class ActionError(Exception):
    """A write that was refused or did not come through; the text says where, why and what helps."""


class Executor(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def writes(self) -> bool:
        """False where nothing outside this process is changed."""

    async def execute(self, action: Action) -> None: ...


def describe(action: Action) -> str:
    """`scale Deployment default/flower 2 → 3`"""
    target = action.target
    return (
        f"{action.kind} {target.kind} {target.namespace}/{target.name} "
        f"{action.before} → {action.after}"
    )


class DryRun:
    """Says what it would do, once per change: the same wish on every tick is not news."""

    name = "dry-run"
    writes = False

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said: dict[Target, tuple[int, int]] = {}

    async def execute(self, action: Action) -> None:
        wish = (action.before, action.after)
        if self._said.get(action.target) == wish:
            return
        self._said[action.target] = wish
        self._say(f"dry run: would {describe(action)}")


class Recording:
    """Keeps the actions: for tests."""

    name = "recording"
    writes = True

    def __init__(self) -> None:
        self.actions: list[Action] = []

    async def execute(self, action: Action) -> None:
        self.actions.append(action)
