"""The loop's memory of its policies: loaded once, saved when changed, moved with the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from autoscaler.model import State
from autoscaler.run.jump import TOLERANCE, newest, shift
from autoscaler.run.state import Remembered, States

# A policy that is taken out and put back within a day keeps its cooldown.
FORGOTTEN_AFTER = 24 * 3600.0


class Memory:
    """States by policy key. `load` until it succeeds; nothing may be decided before."""

    def __init__(self, states: States) -> None:
        self._states = states
        self._kept: dict[str, Remembered] = {}
        self._saved: Mapping[str, State] | None = None
        self.loaded = False

    def load(self, now: float) -> float:
        """Read what was kept; returns by how many seconds it lay in the future (0.0: it did not).

        Times ahead of the clock mean that the clock was set back between two runs: they are
        moved so that the newest of them is now.
        """
        kept = self._states.load()
        times = [at for entry in kept.values() if (at := newest(entry.state)) is not None]
        ahead = max(times, default=now) - now
        if ahead <= TOLERANCE:
            ahead = 0.0
        self._kept = kept
        self.jump(-ahead)
        self.loaded = True
        return ahead

    def state(self, key: str) -> State:
        entry = self._kept.get(key)
        return entry.state if entry else State()

    def put(self, key: str, state: State, now: float) -> None:
        self._kept[key] = Remembered(now, state)

    def jump(self, seconds: float) -> None:
        """The wall clock jumped: elapsed times stay true."""
        if seconds:
            self._kept = {
                key: replace(entry, at=entry.at + seconds, state=shift(entry.state, seconds))
                for key, entry in self._kept.items()
            }

    async def save(self, now: float) -> None:
        """Write when something changed; raises StateError when that did not work."""
        self._kept = {
            key: entry for key, entry in self._kept.items() if now - entry.at < FORGOTTEN_AFTER
        }
        states = {key: entry.state for key, entry in self._kept.items()}
        if states == self._saved:
            return
        # fsync may take as long as the disk likes; the page and /livez answer meanwhile.
        await asyncio.to_thread(self._states.save, self._kept)
        self._saved = states
