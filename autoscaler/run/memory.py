"""The loop's memory of its policies: loaded for each term, saved when changed, moved with the
clock."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import State
from autoscaler.run.history import completed, condensed, must_save
from autoscaler.run.jump import TOLERANCE, newest, shift
from autoscaler.run.state import Remembered, StateConflict, States

# A policy that is taken out and put back within a day keeps its cooldown.
FORGOTTEN_AFTER = 24 * 3600.0
# Seconds after which a standby looks again at what the leader has written.
REREAD = 15.0


class Memory:
    """States by policy key. Nothing may be decided while it is not `loaded`."""

    def __init__(self, states: States) -> None:
        self._states = states
        self._kept: dict[str, Remembered] = {}
        self._saved: dict[str, Remembered] = {}  # as written, condensed
        self._term: int | None = None
        self._looked = 0.0
        self.loaded = False

    def due(self, term: int | None, monotonic: float) -> bool:
        """Whether to load now. `term` is that of our own leadership, None for a standby.

        A new leader must: what it knows may be 15 s old, and the one before it has written since.
        """
        if term is not None and term != self._term:
            self._term, self.loaded = term, False
        return not self.loaded or (term is None and monotonic - self._looked >= REREAD)

    async def load(self, now: float, monotonic: float = 0.0) -> float:
        """Read what was kept; returns by how many seconds it lay in the future (0.0: it did not).

        Times ahead of the clock mean that the clock was set back between two runs, or that another
        machine's is ahead: they are moved so that the newest of them is now. Raises StateError.
        """
        self._looked = monotonic
        kept = await self._states.load()
        if not kept and self._kept:
            # Deleted while we ran: a first start remembers nothing, but we do.
            self._saved, self.loaded = {}, True
            return 0.0
        times = [at for entry in kept.values() if (at := newest(entry.state)) is not None]
        ahead = max(times, default=now) - now
        if ahead <= TOLERANCE:
            ahead = 0.0
        pace = self._states.pace
        self._saved = kept
        self._kept = {key: completed(entry, pace, now + ahead) for key, entry in kept.items()}
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
        """Write what has to be; raises StateError when that did not work."""
        self._kept = {
            key: entry for key, entry in self._kept.items() if now - entry.at < FORGOTTEN_AFTER
        }
        wanted = {key: self._worth_keeping(key, entry) for key, entry in self._kept.items()}
        if wanted == self._saved:
            return
        try:
            await self._states.save(wanted)
        except StateConflict:
            self.loaded = False
            raise
        self._saved = wanted

    def _worth_keeping(self, key: str, entry: Remembered) -> Remembered:
        """The entry, condensed; or what is saved of it already, where that still will do."""
        saved = self._saved.get(key)
        short = replace(entry, state=condensed(entry.state))
        if saved is not None and not must_save(short, saved, self._states.pace):
            return saved
        return short
