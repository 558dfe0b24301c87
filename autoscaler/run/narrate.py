"""The log of decisions: a line when one changes, silence (debug) while it stays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autoscaler.model import Decision


class Narrator:
    """A decision has changed when its size, its binding stage or its holding has.

    Its words are not compared: they carry ages and rates, which differ on every tick.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._last: dict[str, tuple[object, ...]] = {}

    def tell(self, decisions: Iterable[Decision]) -> list[Decision]:
        """Log them; returns those that changed."""
        changed = []
        last, self._last = self._last, {}
        for decision in decisions:
            essence = essence_of(decision)
            self._last[decision.policy] = essence
            new = last.get(decision.policy) != essence
            if new:
                changed.append(decision)
            say = self._log.info if new else self._log.debug
            say(
                decision.sentence,
                policy=decision.policy,
                current=decision.current,
                desired=decision.desired,
                binding=decision.binding,
                held=decision.hold is not None,
            )
        return changed


def essence_of(decision: Decision) -> tuple[object, ...]:
    return decision.current, decision.desired, decision.binding, decision.hold is None
