"""State survives, and what cannot be read is never taken for nothing."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from autoscaler.model import Bracket, Order, Recommendation, ScaleEvent, State
from autoscaler.run.jump import is_time, newest, shift
from autoscaler.run.memory import FORGOTTEN_AFTER, Memory
from autoscaler.run.state import FileStates, MemoryStates, Remembered, StateError

STATE = State(
    recommendations=(Recommendation(100.0, 3),),
    scale_ups=(ScaleEvent(90.0, 1),),
    scaled_at=90.0,
    order=Order(100.0, 3, 4, 60.0),
    calm_since=95.0,
)


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    file = FileStates(tmp_path / "state.json")
    file.save({"default/flower": Remembered(100.0, STATE)})
    assert file.load() == {"default/flower": Remembered(100.0, STATE)}
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_no_file_is_no_memory_yet(tmp_path: Path) -> None:
    assert FileStates(tmp_path / "state.json").load() == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"version":1}', b'{"version":1,"policies":{"a":{}}}', b"\xff"],
)
def test_a_broken_file_is_an_error_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"state\.json cannot be read: .*mv .*state\.json"):
        FileStates(path).load()


def test_a_newer_version_is_told_from_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"version": 2, "what": "ever"}')
    with pytest.raises(StateError, match="version 2, written by a newer"):
        FileStates(path).load()


def test_a_save_that_fails_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    file = FileStates(path)
    file.save({"default/flower": Remembered(100.0, STATE)})
    before = path.read_bytes()
    path.with_name(path.name).chmod(0o444)
    broken = FileStates(tmp_path / "nowhere" / "state.json")
    with pytest.raises(StateError, match="cannot be written: No such file"):
        broken.save({})
    assert path.read_bytes() == before


async def test_a_policy_that_comes_back_within_a_day_keeps_its_cooldown() -> None:
    memory = Memory(MemoryStates())
    memory.load(100.0)
    memory.put("default/flower", STATE, 100.0)
    await memory.save(100.0 + FORGOTTEN_AFTER - 1)
    assert memory.state("default/flower") == STATE
    await memory.save(100.0 + FORGOTTEN_AFTER)
    assert memory.state("default/flower") == State()


async def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    memory = Memory(FileStates(path))
    memory.load(100.0)
    memory.put("default/flower", STATE, 100.0)
    await memory.save(100.0)
    path.unlink()
    memory.put("default/flower", STATE, 105.0)
    await memory.save(105.0)
    assert not path.exists()


def test_every_time_in_a_state_moves_with_the_clock() -> None:
    moved = shift(STATE, 3600.0)
    assert newest(moved) == 3700.0
    assert moved.scaled_at == 3690.0
    assert moved.order is not None
    assert moved.order.at == 3700.0
    assert shift(moved, -3600.0) == STATE


def test_no_time_in_a_state_goes_by_another_name() -> None:
    """A float that is added to the state is a time by its name, or no time: say so here."""
    no_times = {"kept", "broken", "longest_period"}
    for kind in (State, Recommendation, ScaleEvent, Order, Bracket):
        for field in fields(kind):
            if "float" in str(field.type):
                assert is_time(field.name) or field.name in no_times, field.name


def test_a_state_from_the_future_is_taken_back_to_now() -> None:
    """The clock was set back between two runs: a cooldown of 5 minutes must not become hours."""
    kept = MemoryStates()
    kept.save({"default/flower": Remembered(100.0, STATE)})
    memory = Memory(kept)
    assert memory.load(40.0) == 60.0
    assert memory.state("default/flower").scaled_at == 30.0
