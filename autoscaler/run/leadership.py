"""Who writes: the one daemon that leads. Without several of them, this one always does."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol


class Leadership(Protocol):
    """`autoscaler.kube.lease.Elector` is one; `Alone` the other."""

    @property
    def identity(self) -> str:
        """Our own name among those who compete; empty where nobody does."""

    @property
    def holder(self) -> str | None:
        """Who leads, as far as we know."""

    @property
    def problem(self) -> str | None:
        """Why we cannot compete now, in words."""

    @property
    def leading(self) -> bool: ...

    @property
    def term(self) -> int:
        """Rises each time that leadership is won: what was remembered before may be old."""

    def remaining(self) -> float:
        """Seconds for which we may still write; 0.0 where we do not lead."""

    async def confirm(self) -> bool:
        """Ask, right before writing, whether we still lead."""

    async def run(self) -> None:
        """Compete, until cancelled."""

    async def release(self) -> None:
        """Give leadership up for good; called after the last write."""


class Alone:
    """No others: leads always."""

    identity = ""
    holder: str | None = None
    problem: str | None = None
    leading = True
    term = 1

    def remaining(self) -> float:
        return math.inf

    async def confirm(self) -> bool:
        return True

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def release(self) -> None:
        pass
