"""The journal outlives full disks, crashes in mid-line and log rotators."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.decide import decide
from autoscaler.model import State
from autoscaler.run import journal as room
from autoscaler.run.journal import FileJournal, JournalError
from autoscaler.wire import JournalLine, from_json
from tests.unit.decide.fleets import POLICY, Story


def write(journal: FileJournal, count: int = 1, start: float = 0.0) -> None:
    for n in range(count):
        seen = Story(current=2, now=start + n).observation(100, 100)
        decision, _ = decide(POLICY, seen, State(), seen.at)
        journal.write(POLICY, seen, State(), decision)


def times(path: Path) -> list[float]:
    return [from_json(JournalLine, line).decision.at for line in path.read_bytes().splitlines()]


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: like a full disk, with EFBIG for ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_each_line_is_on_disk_when_it_was_written(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "j")
    write(journal, 3)
    assert times(tmp_path / "j") == [0, 1, 2]


def test_a_full_disk_keeps_lines_in_order_until_there_is_room_and_tears_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "j"
    journal = FileJournal(path)
    write(journal)
    with disk_of(path.stat().st_size + 100):  # room for a piece of the next line
        write(journal, 3, start=10)
        with pytest.raises(JournalError, match="3 lines wait in memory"):
            journal.flush()
        assert times(path) == [0]
    journal.flush()
    assert times(path) == [0, 10, 11, 12]
    assert journal.lost == 0


def test_dev_full_is_a_full_disk_too() -> None:
    journal = FileJournal(Path("/dev/full"))
    write(journal)
    with pytest.raises(JournalError, match="No space left on device"):
        journal.flush()


def test_memory_for_waiting_lines_is_bounded_and_the_lost_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "KEPT_LINES", 5)
    journal = FileJournal(Path("/dev/full"))
    write(journal, 8)
    assert journal.lost == 3
    with pytest.raises(JournalError, match="5 lines wait in memory, 3 lost"):
        journal.flush()


def test_a_full_journal_becomes_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write(FileJournal(path))
    line = path.stat().st_size
    journal = FileJournal(path, max_bytes=3 * line + line // 2)
    write(journal, 4, start=10)
    kept = times(tmp_path / "j.1") + times(path)
    assert kept == [0, 10, 11, 12, 13]
    assert len(times(path)) == 2


def test_half_a_line_of_a_killed_run_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"policy": {"na')
    write(FileJournal(path))
    torn, whole = path.read_bytes().splitlines()
    assert torn == b'{"policy": {"na'
    assert from_json(JournalLine, whole).decision.policy == "default/flower"


def test_a_log_rotator_moves_the_file_and_signals(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = FileJournal(path)
    write(journal)
    path.rename(tmp_path / "moved")
    journal.reopen()
    write(journal, start=5)
    assert (times(tmp_path / "moved"), times(path)) == ([0], [5])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    journal = FileJournal(tmp_path / "j")
    write(journal)
    with pytest.raises(JournalError, match=r"j cannot be written: Permission denied"):
        journal.flush()


def test_a_journal_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = FileJournal(tmp_path / "file" / "j")
    write(journal)
    with pytest.raises(JournalError, match="cannot be written"):
        journal.flush()


def test_unchanged_decisions_are_journaled_once_a_minute_and_changes_at_once(
    tmp_path: Path,
) -> None:
    journal = FileJournal(tmp_path / "j", unchanged=60.0)
    seen = Story(current=2).observation(100, 100)
    decision, _ = decide(POLICY, seen, State(), seen.at)
    for at in range(0, 180, 5):
        said = replace(decision, at=float(at), desired=3 if at < 150 else 4)
        journal.write(POLICY, seen, State(), said)
    assert times(tmp_path / "j") == [0, 60, 120, 150]
