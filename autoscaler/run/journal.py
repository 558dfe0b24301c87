"""The journal: one JSON line per decision with all that it was made from.

A full disk never stops the daemon: lines that cannot be written wait in memory, a bounded number
of them, and follow when there is room again; those that had to be dropped are counted.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Protocol

from autoscaler.model import Decision, Observation, Policy, State
from autoscaler.wire import JournalLine, to_json

# 5 policies at a 5 s tick for an hour are 3,600 lines; at about 3 kB each, 11 MB.
KEPT_LINES = 4000
KEPT_BYTES = 16 * 2**20


class JournalError(Exception):
    """Lines wait in memory; the text names the file, the reason and how many."""


class Journal(Protocol):
    lost: int

    def write(
        self,
        policy: Policy,
        observation: Observation,
        state: State,
        decision: Decision,
        *,
        standby: bool = False,
    ) -> None:
        """`state` is the one decided with; `standby`: another daemon leads, and this decision
        is for show. Never raises for what a disk does.
        """

    def flush(self) -> None:
        """Raises JournalError while lines wait in memory."""

    def reopen(self) -> None: ...

    def close(self) -> None: ...


class NoJournal:
    lost = 0

    def write(
        self,
        policy: Policy,
        observation: Observation,
        state: State,
        decision: Decision,
        *,
        standby: bool = False,
    ) -> None:
        pass

    def flush(self) -> None:
        pass

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


class FileJournal:
    """JSON Lines in a file, written line by line; at `max_bytes` it becomes `<path>.1`.

    A decision that says the same as the last one is written again only after `unchanged`
    seconds: 1,000 policies at a 5 s tick would otherwise fill 64 MiB in 40 s.
    """

    def __init__(self, path: Path, max_bytes: int = 64 * 2**20, unchanged: float = 0.0) -> None:
        self.path = path
        self.lost = 0
        self._max_bytes = max_bytes
        self._file: int | None = None
        self._size = 0
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._reason = ""
        self._unchanged = unchanged
        self._said: dict[str, tuple[object, float]] = {}

    def write(
        self,
        policy: Policy,
        observation: Observation,
        state: State,
        decision: Decision,
        *,
        standby: bool = False,
    ) -> None:
        if self._repeats(policy, decision, standby):
            return
        record = JournalLine(
            policy=policy, observation=observation, state=state, decision=decision, standby=standby
        )
        line = to_json(record) + b"\n"
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        self._drain()
        while len(self._waiting) > KEPT_LINES or self._waiting_bytes > KEPT_BYTES:
            self._waiting_bytes -= len(self._waiting.popleft())
            self.lost += 1

    def _repeats(self, policy: Policy, decision: Decision, standby: bool) -> bool:
        outcome = (policy.hash, decision.current, decision.desired, decision.binding, standby)
        before, at = self._said.get(policy.key, (None, 0.0))
        if outcome == before and 0.0 <= decision.at - at < self._unchanged:
            return True
        self._said[policy.key] = (outcome, decision.at)
        return False

    def flush(self) -> None:
        self._drain()
        if self._waiting:
            lost = f", {self.lost} lost" if self.lost else ""
            raise JournalError(
                f"journal {self.path} cannot be written: {self._reason}; "
                f"{_lines(len(self._waiting))} in memory{lost}: make room, or give another "
                "--journal"
            )

    def reopen(self) -> None:
        """After a log rotator moved the file away."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def close(self) -> None:
        self._drain()
        self.lost += len(self._waiting)
        self._waiting.clear()
        self.reopen()

    def _drain(self) -> None:
        try:
            while self._waiting:
                self._append(self._waiting[0])
                self._waiting_bytes -= len(self._waiting.popleft())
        except OSError as error:
            self._reason = error.strerror or str(error)

    def _append(self, line: bytes) -> None:
        file = self._open() if self._file is None else self._file
        if self._size and self._size + len(line) > self._max_bytes:
            file = self._rotate()
        written = 0
        try:
            while written < len(line):
                written += os.write(file, line[written:])
        except OSError:
            # Half a line would make the next one unreadable too: cut the file back to its end.
            self._cut(file)
            raise
        self._size += len(line)

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._file = file
        self._size = os.fstat(file).st_size
        if self._size and not _ends_a_line(file, self._size):
            os.write(file, b"\n")  # a run before this one was cut off in mid-line
            self._size += 1
        return file

    def _rotate(self) -> int:
        self.reopen()
        self.path.replace(self.path.with_name(self.path.name + ".1"))
        return self._open()

    def _cut(self, file: int) -> None:
        try:
            os.ftruncate(file, self._size)
        except OSError:
            self.reopen()  # a device or a pipe; the next open looks at how it ends


def _lines(count: int) -> str:
    return "1 line waits" if count == 1 else f"{count} lines wait"


def _ends_a_line(file: int, size: int) -> bool:
    try:
        return os.pread(file, 1, size - 1) == b"\n"
    except OSError:
        return True  # not a regular file
