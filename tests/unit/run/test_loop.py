"""A tick never raises; what goes wrong is named, counted, and holds only what it touches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.act.executor import ActionError, Recording
from autoscaler.clock import WalkingClock
from autoscaler.model import (
    Action,
    Cooldown,
    Decision,
    Hands,
    Metric,
    Observation,
    Policy,
    State,
    WhenContested,
)
from autoscaler.run import deciding
from autoscaler.run.journal import FileJournal
from autoscaler.run.loop import Loop, Tick
from autoscaler.run.state import FileStates, MemoryStates, Remembered, StateError
from autoscaler.wire import JournalLine, from_json
from tests.unit.run.world import (
    SCALING,
    START,
    FakeCluster,
    FakeSource,
    JumpyClock,
    named,
)


class Watched:
    """A loop over one flower, with everything at hand."""

    def __init__(self, *policies: Policy, clock: JumpyClock | None = None, **parts: object) -> None:
        self.policies = list(policies) or [SCALING]
        self.source = FakeSource(155.0, 155.0)
        self.cluster = FakeCluster(flower=2)
        self.executor = Recording()
        self.clock = clock or JumpyClock()
        self.ticks: list[Tick] = []
        given = {
            "cluster": self.cluster,
            "executor": self.executor,
            "clock": self.clock,
            "on_tick": self.ticks.append,
        }
        self.loop = Loop(lambda: self.policies, self.source, **{**given, **parts})  # type: ignore[arg-type]

    async def after(self, seconds: float) -> Tick:
        self.clock.pass_(seconds)
        return await self.loop.tick()


def causes(tick: Tick) -> list[str]:
    return [fault.cause for fault in tick.problems]


async def test_load_becomes_a_write_with_its_reason() -> None:
    watched = Watched()
    tick = await watched.loop.tick()
    (decision,) = tick.decisions
    assert (decision.current, decision.desired) == (2, 4)
    (action,) = watched.executor.actions
    assert (action.before, action.after, action.resource_version) == (2, 4, "7")
    assert action.reason == decision.sentence
    assert tick.actions == (action,)
    assert tick.problems == ()


async def test_who_undoes_our_write_within_a_tick_twice_is_found_out() -> None:
    """An operator that owns the replicas sets 4 back to 2 before we look again."""
    watched = Watched(replace(SCALING, when_contested=WhenContested("refuse")))
    watched.cluster.hands = Hands(writer="fleet-operator, Update of scale")
    await watched.loop.tick()
    for _ in range(4):
        tick = await watched.after(5.0)
    assert tick.decisions[0].binding == "hands"
    assert tick.actions == ()


async def test_every_stage_is_timed() -> None:
    tick = await Watched().loop.tick()
    assert list(tick.stages) == [
        "recall",
        "reload",
        "read",
        "join",
        "share",
        "decide",
        "save",
        "act",
        "journal",
    ]


async def test_distinct_queries_are_asked_once_for_all_policies() -> None:
    ask = Metric("metric-1", "sum(x)", average_value=1.0)
    twins = [named(name, objectives=(ask,)) for name in ("flower", "iris")]
    watched = Watched(*twins)
    await watched.loop.tick()
    assert watched.source.reads == [(START, ("sum(x)",))]


# --- one policy's trouble is its own ------------------------------------------------------------


async def test_aibrix_617_one_broken_policy_does_not_stall_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = deciding.decide

    def decide(
        policy: Policy, seen: Observation, state: State, now: float
    ) -> tuple[Decision, State]:
        if policy.name == "broken":
            raise ZeroDivisionError("division by zero")
        return real(policy, seen, state, now)

    monkeypatch.setattr(deciding, "decide", decide)
    watched = Watched(named("broken", mode="scale"), SCALING)
    watched.cluster.replicas["broken"] = 3
    tick = await watched.loop.tick()
    broken, good = tick.decisions
    assert (broken.desired, broken.binding) == (3, "daemon")
    assert broken.hold == "internal error: ZeroDivisionError: division by zero"
    assert good.desired == 4
    assert [action.policy for action in tick.actions] == ["default/flower"]
    assert [(f.cause, f.where) for f in tick.problems] == [("decide", "default/broken")]


# --- the world misbehaves -----------------------------------------------------------------------


async def test_a_source_that_is_down_holds_and_says_why() -> None:
    watched = Watched()
    watched.source.failed = "http://prometheus:9090 refused the connection"
    tick = await watched.loop.tick()
    (decision,) = tick.decisions
    assert decision.desired == decision.current == 2
    assert decision.hold
    assert tick.failed == "http://prometheus:9090 refused the connection"
    assert watched.executor.actions == []
    assert causes(tick) == ["source"]


async def test_a_source_that_never_answers_is_cut_off() -> None:
    watched = Watched(budget=0.1)
    watched.source.does = lambda: asyncio.sleep(3600)
    tick = await watched.loop.tick()
    assert tick.failed == "fake did not answer within 80ms"
    assert tick.decisions[0].desired == 2


async def test_a_source_with_a_bug_is_contained() -> None:
    watched = Watched()

    def broken() -> None:
        raise KeyError("pod")

    watched.source.does = broken
    tick = await watched.loop.tick()
    assert tick.failed == "internal error: KeyError: 'pod'"
    assert tick.decisions[0].desired == 2


async def test_a_cluster_that_never_answers_decides_nothing() -> None:
    watched = Watched(budget=0.1)
    watched.cluster.does = lambda: asyncio.sleep(3600)
    (decision,) = (await watched.loop.tick()).decisions
    assert decision.desired is None
    assert decision.hold is not None
    assert "Kubernetes did not answer within 80ms" in decision.hold


async def test_reload_that_breaks_keeps_the_last_policies() -> None:
    watched = Watched()
    await watched.loop.tick()
    watched.policies = None  # type: ignore[assignment]
    tick = await watched.loop.tick()
    assert [decision.policy for decision in tick.decisions] == ["default/flower"]
    assert causes(tick) == ["policies"]


async def test_a_write_that_fails_is_named_and_tried_again() -> None:
    class Refusing(Recording):
        async def execute(self, action: Action) -> None:
            await super().execute(action)
            raise ActionError("409: somebody else changed it; it is observed again")

    executor = Refusing()
    watched = Watched(executor=executor)
    tick = await watched.loop.tick()
    assert str(tick.problems[0]) == (
        "default/flower: could not scale Deployment default/flower 2 → 4: "
        "409: somebody else changed it; it is observed again"
    )
    assert tick.actions == ()
    await watched.after(5)
    assert len(executor.actions) == 2


# --- state --------------------------------------------------------------------------------------


class Unsaved(MemoryStates):
    async def save(self, states: Mapping[str, Remembered]) -> None:
        raise StateError("state file s cannot be written: disk full")


async def test_nothing_is_written_that_a_restart_would_forget() -> None:
    watched = Watched(states=Unsaved())
    tick = await watched.loop.tick()
    assert tick.decisions[0].desired == 4
    assert watched.executor.actions == []
    assert causes(tick) == ["state", "act"]


async def test_a_broken_state_file_holds_every_policy_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("{")
    watched = Watched(states=FileStates(path))
    tick = await watched.loop.tick()
    (decision,) = tick.decisions
    assert (decision.desired, decision.binding) == (2, "daemon")
    assert "state.json cannot be read" in decision.sentence
    assert path.read_text() == "{"
    path.unlink()
    assert (await watched.after(5)).decisions[0].desired == 4
    assert set(json.loads(path.read_text())["policies"]) == {"default/flower"}


async def test_a_restart_forgets_no_cooldown(tmp_path: Path) -> None:
    policy = replace(SCALING, cooldown=Cooldown(scale_up=60.0, scale_down=60.0))
    states = FileStates(tmp_path / "state.json")
    before = Watched(policy, states=states)
    await before.loop.tick()
    before.cluster.replicas["flower"] = 4
    before.source.rates = (155.0,) * 4
    assert (await before.after(5)).decisions[0].desired == 4

    after = Watched(policy, states=states, clock=before.clock)
    after.cluster.replicas["flower"] = 4
    after.source.rates = (155.0,) * 4
    (decision,) = (await after.after(5)).decisions
    assert (decision.desired, decision.binding) == (4, "cooldown")
    (later,) = (await after.after(60)).decisions
    assert later.desired == 8


# --- clocks -------------------------------------------------------------------------------------


async def test_a_clock_set_forward_ends_no_cooldown() -> None:
    policy = replace(SCALING, cooldown=Cooldown(scale_up=60.0, scale_down=60.0))
    watched = Watched(policy)
    await watched.loop.tick()
    watched.cluster.replicas["flower"] = 4
    watched.source.rates = (155.0,) * 4
    await watched.after(5)
    watched.clock.wall += 3600.0
    tick = await watched.after(5)
    assert tick.decisions[0].binding == "cooldown"
    assert str(tick.problems[0]).startswith("the wall clock jumped forward by 1h")
    assert (await watched.after(5)).problems == ()


async def test_a_clock_set_back_adds_nothing_to_a_cooldown() -> None:
    policy = replace(SCALING, cooldown=Cooldown(scale_up=60.0, scale_down=60.0))
    watched = Watched(policy)
    await watched.loop.tick()
    watched.cluster.replicas["flower"] = 4
    watched.source.rates = (155.0,) * 4
    await watched.after(5)
    watched.clock.wall -= 3600.0
    tick = await watched.after(5)
    assert tick.decisions[0].binding == "cooldown"
    assert str(tick.problems[0]).startswith("the wall clock jumped back by 1h")
    assert (await watched.after(60)).decisions[0].desired == 8


async def test_a_backwards_jump_neither_repeats_ticks_nor_waits_for_the_old_time() -> None:
    watched = Watched()
    jumped = False

    def jump() -> None:
        nonlocal jumped
        if len(watched.source.reads) == 3 and not jumped:
            jumped = True
            watched.clock.wall -= 3600.0

    watched.source.does = jump
    await watched.loop.run(ticks=6)
    assert len(watched.ticks) == 6
    assert watched.clock.ticks == 50.0 + 5 * 5.0


async def test_late_ticks_keep_the_beat_without_a_burst() -> None:
    watched = Watched()

    def slow() -> None:
        if len(watched.source.reads) == 2:
            watched.clock.pass_(12.0)

    watched.source.does = slow
    await watched.loop.run(ticks=4)
    assert [at - START for at, _ in watched.source.reads] == [0, 5, 20, 25]
    (slow_tick,) = [tick for tick in watched.ticks if tick.problems]
    assert str(slow_tick.problems[0]).startswith(
        "a tick took 12s, more than its 5s (read took 12s)"
    )


async def test_recorded_time_is_walked_without_waiting() -> None:
    clock = WalkingClock(START)
    source = FakeSource(155.0, 155.0)
    ticks: list[Tick] = []
    loop = Loop(lambda: [SCALING], source, clock=clock, interval=15.0, on_tick=ticks.append)
    await loop.run(until=START + 60.0)
    assert [tick.at - START for tick in ticks] == [0, 15, 30, 45, 60]


# --- journal ------------------------------------------------------------------------------------


async def test_a_journal_line_makes_the_same_decision_again(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "journal")
    watched = Watched(journal=journal)
    for rates in [(155.0, 155.0), (30.0, 30.0), (300.0,), (80.0, 80.0)]:
        watched.source.rates = rates
        await watched.after(15)
    lines = (tmp_path / "journal").read_bytes().splitlines()
    assert len(lines) == 4
    for line in lines:
        kept = from_json(JournalLine, line)
        again, _ = deciding.decide(kept.policy, kept.observation, kept.state, kept.decision.at)
        assert again == kept.decision


async def test_a_full_disk_does_not_stop_deciding() -> None:
    watched = Watched(journal=FileJournal(Path("/dev/full")))
    tick = await watched.loop.tick()
    assert len(watched.executor.actions) == 1
    assert causes(tick) == ["journal"]
    assert "No space left on device; 1 line waits in memory" in str(tick.problems[0])
