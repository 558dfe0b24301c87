"""What survives a restart: the state of each policy, in one versioned JSON file.

Written atomically (a temporary file, fsync, rename) before any action, so that a restart
forgets no cooldown. A file that cannot be read is never taken for an empty one: the daemon holds
and says what to do about it. For several daemons: `autoscaler.run.state_configmap`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from autoscaler.model import WIRE, State
from autoscaler.wire import WireError, from_json, to_json

VERSION = 1


class StateError(Exception):
    """The state cannot be read or written; the text names the file, the reason and the remedy."""


class StateConflict(StateError):  # noqa: N818 -- named for what happened
    """Somebody else has written since we read: what we remember must be loaded anew."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """One policy's state, and when it was last decided with."""

    __pydantic_config__ = WIRE
    at: float
    state: State


@dataclass(frozen=True, slots=True)
class StateDocument:
    """The file."""

    __pydantic_config__ = WIRE
    policies: dict[str, Remembered]
    version: Literal[1] = 1


class States(Protocol):
    """Where the states of the policies are kept between ticks (and, some, between runs)."""

    pace: float
    """Seconds that mere history may wait for its save; what decisions hang on never waits."""

    async def load(self) -> dict[str, Remembered]:
        """Raises StateError when there is something and it cannot be read."""

    async def save(self, states: Mapping[str, Remembered]) -> None:
        """Raises StateError when it could not be written."""


class MemoryStates:
    """Forgotten when the process ends: for `--once`, replays and simulations."""

    def __init__(self) -> None:
        self.pace = 0.0
        self.kept: dict[str, Remembered] = {}

    async def load(self) -> dict[str, Remembered]:
        return dict(self.kept)

    async def save(self, states: Mapping[str, Remembered]) -> None:
        self.kept = dict(states)


class FileStates:
    """One JSON file; the directory must be writable, for the temporary file beside it.

    `read` and `write` block; fsync may take as long as the disk likes, so `load` and `save` leave
    that to a thread: the page and /livez answer meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self.pace = 0.0
        self.path = path

    async def load(self) -> dict[str, Remembered]:
        return await asyncio.to_thread(self.read)

    async def save(self, states: Mapping[str, Remembered]) -> None:
        await asyncio.to_thread(self.write, states)

    def read(self) -> dict[str, Remembered]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StateError(self._complaint(error.strerror or str(error))) from error
        self._check_version(content)
        try:
            return from_json(StateDocument, content).policies
        except WireError as error:
            raise StateError(self._complaint(str(error))) from error

    def write(self, states: Mapping[str, Remembered]) -> None:
        content = to_json(StateDocument(policies=dict(states))) + b"\n"
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
            self._sync_directory()
        except OSError as error:
            temporary.unlink(missing_ok=True)
            reason = error.strerror or str(error)
            raise StateError(
                f"state file {self.path} cannot be written: {reason}; until it can, no write to "
                "the cluster is made, because a restart would forget its cooldown"
            ) from error

    def _check_version(self, content: bytes) -> None:
        try:
            document = json.loads(content)
        except ValueError as error:
            raise StateError(self._complaint(f"it is not JSON ({error})")) from error
        version = document.get("version") if isinstance(document, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise StateError(
                f"state file {self.path} has version {version}, written by a newer "
                f"triton-autoscaler; this one reads version {VERSION}: run the newer one, or move "
                "the file away to start without memory of cooldowns"
            )

    def _complaint(self, reason: str) -> str:
        return (
            f"state file {self.path} cannot be read: {reason}; repair it, or move it away to start "
            f"without memory of cooldowns (mv {self.path} {self.path}.bad)"
        )

    def _sync_directory(self) -> None:
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
