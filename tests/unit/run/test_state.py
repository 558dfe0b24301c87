"""State survives, and what cannot be read is never taken for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from autoscaler.model import Order, Recommendation, ScaleEvent, State
from autoscaler.model import state as states
from autoscaler.run.jump import is_time, newest, shift
from autoscaler.run.memory import FORGOTTEN_AFTER, Memory
from autoscaler.run.state import FileStates, MemoryStates, Remembered, StateConflict, StateError

STATE = State(
    recommendations=(Recommendation(100.0, 3),),
    scale_ups=(ScaleEvent(90.0, 1),),
    scaled_at=90.0,
    order=Order(100.0, 3, 4, 60.0),
    calm_since=95.0,
)


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    file = FileStates(tmp_path / "state.json")
    file.write({"default/flower": Remembered(100.0, STATE)})
    assert file.read() == {"default/flower": Remembered(100.0, STATE)}
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_no_file_is_no_memory_yet(tmp_path: Path) -> None:
    assert FileStates(tmp_path / "state.json").read() == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"version":1}', b'{"version":1,"policies":{"a":{}}}', b"\xff"],
)
def test_a_broken_file_is_an_error_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"state\.json cannot be read: .*mv .*state\.json"):
        FileStates(path).read()


def test_a_newer_version_is_told_from_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"version": 2, "what": "ever"}')
    with pytest.raises(StateError, match="version 2, written by a newer"):
        FileStates(path).read()


def test_a_save_that_fails_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    file = FileStates(path)
    file.write({"default/flower": Remembered(100.0, STATE)})
    before = path.read_bytes()
    path.with_name(path.name).chmod(0o444)
    broken = FileStates(tmp_path / "nowhere" / "state.json")
    with pytest.raises(StateError, match="cannot be written: No such file"):
        broken.write({})
    assert path.read_bytes() == before


async def test_a_policy_that_comes_back_within_a_day_keeps_its_cooldown() -> None:
    memory = Memory(MemoryStates())
    await memory.load(100.0)
    memory.put("default/flower", STATE, 100.0)
    await memory.save(100.0 + FORGOTTEN_AFTER - 1)
    assert memory.state("default/flower") == STATE
    await memory.save(100.0 + FORGOTTEN_AFTER)
    assert memory.state("default/flower") == State()


async def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    memory = Memory(FileStates(path))
    await memory.load(100.0)
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
    no_times = {"kept", "broken", "longest_period", "scheduling", "pulling", "loading"}
    kinds = [kind for kind in vars(states).values() if is_dataclass(kind)]
    assert State in kinds
    for kind in kinds:
        for field in fields(kind):
            if "float" in str(field.type):
                assert is_time(field.name) or field.name in no_times, field.name


async def test_a_state_from_the_future_is_taken_back_to_now() -> None:
    """The clock was set back between two runs: a cooldown of 5 minutes must not become hours."""
    kept = MemoryStates()
    await kept.save({"default/flower": Remembered(100.0, STATE)})
    memory = Memory(kept)
    assert await memory.load(40.0) == 60.0
    assert memory.state("default/flower").scaled_at == 30.0


async def test_a_clock_set_back_does_not_keep_history_from_being_saved(tmp_path: Path) -> None:
    states = MemoryStates()
    memory = Memory(states)
    await memory.load(5000.0)
    memory.put("default/flower", State(recommendations=(Recommendation(5000.0, 3),)), 5000.0)
    await memory.save(5000.0)
    memory.put("default/flower", State(recommendations=(Recommendation(1400.0, 3),)), 1400.0)
    await memory.save(1400.0)
    assert states.kept["default/flower"].at == 1400.0


class Slow(MemoryStates):
    """Mere history waits for a quarter of a minute, as in a ConfigMap."""

    def __init__(self) -> None:
        super().__init__()
        self.pace = 15.0
        self.saves = 0

    async def save(self, states: Mapping[str, Remembered]) -> None:
        self.saves += 1
        await super().save(states)


def wished(now: float, *sizes: int, **more: object) -> State:
    """One wish a tick of 5 s, the last one now."""
    wishes = tuple(
        Recommendation(now - 5.0 * age, size) for age, size in enumerate(reversed(sizes))
    )
    return State(recommendations=tuple(reversed(wishes)), **more)  # type: ignore[arg-type]


async def test_a_fleet_that_wishes_for_no_change_is_saved_four_times_a_minute() -> None:
    states = Slow()
    memory = Memory(states)
    await memory.load(1000.0)
    for tick in range(13):
        now = 1000.0 + 5.0 * tick
        memory.put("default/flower", wished(now, *[3] * (tick + 1)), now)
        await memory.save(now)
    assert states.saves == 5, "at once, and after each 15 s"


@pytest.mark.parametrize(
    "news",
    [
        wished(1005.0, 3, 3, scaled_at=1005.0),
        wished(1005.0, 3, 3, order=Order(1005.0, 3, 4, 60.0)),
        wished(1005.0, 3, 4),
        wished(1005.0, 3, 3, replicas=4),
    ],
)
async def test_what_a_decision_hangs_on_is_saved_at_once(news: State) -> None:
    states = Slow()
    memory = Memory(states)
    await memory.load(1000.0)
    memory.put("default/flower", wished(1000.0, 3), 1000.0)
    await memory.save(1000.0)
    memory.put("default/flower", news, 1005.0)
    await memory.save(1005.0)
    assert states.saves == 2


async def test_a_failover_shortens_no_stabilization_window() -> None:
    """The last wish was repeated until the leader died, up to 15 s after its last save."""
    states = Slow()
    memory = Memory(states)
    await memory.load(1000.0)
    memory.put("default/flower", wished(1000.0, 4, 3), 1000.0)
    await memory.save(1000.0)
    memory.put("default/flower", wished(1010.0, 4, 3, 3, 3), 1010.0)
    await memory.save(1010.0)
    assert states.saves == 1

    after = Memory(states)
    await after.load(1030.0)
    wishes = after.state("default/flower").recommendations
    assert max(entry.at for entry in wishes if entry.replicas == 3) == 1015.0
    assert max(entry.at for entry in wishes if entry.replicas == 4) == 995.0


async def test_a_new_term_loads_what_the_leader_before_has_written() -> None:
    states = MemoryStates()
    memory = Memory(states)
    assert memory.due(None, 0.0)
    await memory.load(100.0, 0.0)
    assert not memory.due(None, 14.0)
    assert memory.due(None, 15.0), "a standby shows what the leader does"
    await states.save({"default/flower": Remembered(110.0, STATE)})
    assert memory.due(1, 14.0)
    assert not memory.loaded, "and decides nothing before"
    await memory.load(120.0, 14.0)
    assert memory.state("default/flower") == STATE
    assert not memory.due(1, 100.0)
    assert not memory.due(None, 20.0)
    assert memory.due(2, 20.0)


async def test_a_state_that_is_deleted_while_we_run_is_not_forgotten() -> None:
    states = MemoryStates()
    await states.save({"default/flower": Remembered(100.0, STATE)})
    memory = Memory(states)
    await memory.load(110.0)
    states.kept = {}
    assert memory.due(1, 0.0)
    await memory.load(120.0)
    assert memory.state("default/flower") == STATE
    await memory.save(120.0)
    assert states.kept == {"default/flower": Remembered(100.0, STATE)}


async def test_a_conflict_means_that_the_state_is_loaded_again() -> None:
    class Contested(MemoryStates):
        async def save(self, states: Mapping[str, Remembered]) -> None:
            raise StateConflict("somebody else")

    memory = Memory(Contested())
    memory.due(1, 0.0)
    await memory.load(100.0)
    memory.put("default/flower", STATE, 100.0)
    with pytest.raises(StateConflict):
        await memory.save(100.0)
    assert memory.due(1, 0.0)
