"""Two daemons: one leads, the other shows what the first would do and writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.act.executor import Recording
from autoscaler.model import Action, Cooldown, Policy
from autoscaler.run.daemon import elected, until_stopped
from autoscaler.run.journal import FileJournal
from autoscaler.run.loop import Loop, Tick
from autoscaler.run.state import MemoryStates, Remembered, StateConflict, StateError
from autoscaler.wire import JournalLine, from_json
from tests.unit.run.world import SCALING, FakeCluster, FakeSource, JumpyClock

BUSY = (155.0, 155.0)
COOL = replace(SCALING, cooldown=Cooldown(scale_up=60.0, scale_down=60.0))


class Seat:
    """Leadership as a story hands it out."""

    def __init__(self, identity: str = "pod-0", *, leading: bool = True) -> None:
        self.identity = identity
        self.leading = leading
        self.term = int(leading)
        self.holder: str | None = identity if leading else "pod-9"
        self.problem: str | None = None
        self.on_confirm: Callable[[], None] = lambda: None
        self.said: list[str] = []

    def remaining(self) -> float:
        return 10.0 if self.leading else 0.0

    def win(self) -> None:
        self.leading, self.holder = True, self.identity
        self.term += 1

    def lose(self, to: str = "pod-9") -> None:
        self.leading, self.holder = False, to

    async def confirm(self) -> bool:
        self.said.append("confirm")
        self.on_confirm()
        return self.leading

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.said.append("no longer competes")

    async def release(self) -> None:
        self.said.append("released")


class Site:
    """One daemon on a cluster and a store that it shares with others."""

    def __init__(
        self,
        seat: Seat,
        cluster: FakeCluster,
        states: MemoryStates,
        clock: JumpyClock,
        *policies: Policy,
        journal: Path | None = None,
    ) -> None:
        self.seat, self.executor = seat, Recording()
        self.source = FakeSource(*BUSY)
        self.clock, self.cluster = clock, cluster
        self.policies = policies or (SCALING,)
        self.loop = Loop(
            lambda: self.policies,
            self.source,
            cluster=cluster,
            executor=self.executor,
            states=states,
            clock=clock,
            leadership=seat,
            **({"journal": FileJournal(journal)} if journal else {}),  # type: ignore[arg-type]
        )

    async def tick(self, after: float = 0.0) -> Tick:
        self.clock.pass_(after)
        count = self.cluster.replicas["flower"]
        self.source.rates = (155.0,) * count
        return await self.loop.tick()


class Pair:
    def __init__(self, *policies: Policy, states: MemoryStates | None = None) -> None:
        self.cluster, self.clock = FakeCluster(flower=2), JumpyClock()
        self.states = states or MemoryStates()
        self.first = self.site(Seat("pod-0"), *policies)
        self.second = self.site(Seat("pod-1", leading=False), *policies)

    def site(self, seat: Seat, *policies: Policy) -> Site:
        return Site(seat, self.cluster, self.states, self.clock, *policies)

    def fail_over(self) -> None:
        self.first.seat.lose("pod-1")
        self.second.seat.win()


def whys(tick: Tick) -> list[str]:
    return [str(fault) for fault in tick.problems]


async def test_a_standby_decides_and_shows_but_writes_nothing() -> None:
    pair = Pair()
    tick = await pair.second.tick()
    (decision,) = tick.decisions
    assert (decision.current, decision.desired) == (2, 4)
    assert not tick.led
    assert tick.problems == ()
    assert pair.second.executor.actions == []
    assert pair.states.kept == {}, "the state is the leader's to write"


async def test_a_standby_shows_what_the_leader_shows() -> None:
    """It reads again what the leader wrote, every 15 s: cooldowns bind it too."""
    pair = Pair(COOL)
    await pair.second.tick()
    await pair.first.tick()
    pair.cluster.replicas["flower"] = 4
    leads = await pair.first.tick(5)
    follows = await pair.second.tick(11)
    assert leads.decisions[0].binding == "cooldown"
    assert follows.decisions[0].binding == "cooldown"
    assert follows.decisions[0].desired == leads.decisions[0].desired == 4


async def test_a_failover_forgets_no_cooldown() -> None:
    pair = Pair(COOL)
    await pair.second.tick()
    await pair.first.tick()
    (action,) = pair.first.executor.actions
    assert (action.before, action.after) == (2, 4)
    pair.cluster.replicas["flower"] = 4  # carried out, and the leader dies before it sees that
    pair.fail_over()
    tick = await pair.second.tick(15)
    assert tick.led
    assert tick.decisions[0].binding == "cooldown"
    assert pair.second.executor.actions == []
    assert (await pair.second.tick(20)).decisions[0].binding == "cooldown"
    await pair.second.tick(30)
    assert [(one.before, one.after) for one in pair.second.executor.actions] == [(4, 8)]


async def test_ray_serve_delays_are_time_and_not_ticks_also_over_a_failover() -> None:
    """Its counters begin anew with each controller."""
    pair = Pair(COOL)
    await pair.first.tick()
    pair.cluster.replicas["flower"] = 4
    pair.fail_over()
    for _ in range(11):
        assert (await pair.second.tick(5)).decisions[0].desired == 4
    assert (await pair.second.tick(10)).decisions[0].desired == 8


async def test_a_new_leader_that_cannot_read_the_state_holds_everything_and_says_why() -> None:
    class Unreadable(MemoryStates):
        broken = False

        async def load(self) -> dict[str, Remembered]:
            if self.broken:
                raise StateError("ConfigMap a/b cannot be read as the state: it is not JSON")
            return await super().load()

    states = Unreadable()
    pair = Pair(COOL, states=states)
    await pair.second.tick()
    await pair.first.tick()
    states.broken = True
    pair.fail_over()
    tick = await pair.second.tick(15)
    (decision,) = tick.decisions
    assert (decision.desired, decision.binding) == (2, "daemon")
    assert "it is not JSON" in decision.sentence
    assert pair.second.executor.actions == []
    states.broken = False
    assert (await pair.second.tick(5)).decisions[0].binding != "daemon"


async def test_a_standby_that_cannot_read_again_goes_on_showing_what_it_knows() -> None:
    class Away(MemoryStates):
        away = False

        async def load(self) -> dict[str, Remembered]:
            if self.away:
                raise StateError("no answer")
            return await super().load()

    states = Away()
    pair = Pair(states=states)
    await pair.second.tick()
    states.away = True
    tick = await pair.second.tick(20)
    assert tick.decisions[0].desired == 4
    assert whys(tick) == ["no answer"]


async def test_a_state_that_breaks_our_code_is_contained() -> None:
    class Broken(MemoryStates):
        async def load(self) -> dict[str, Remembered]:
            raise KeyError("metadata")

    tick = await Pair(states=Broken()).first.tick()
    assert tick.decisions[0].binding == "daemon"
    assert whys(tick) == ["internal error: KeyError: 'metadata'"]


async def test_a_leader_of_the_past_is_refused_and_writes_nothing() -> None:
    class Contested(MemoryStates):
        foreign = False

        async def save(self, states: Mapping[str, Remembered]) -> None:
            if self.foreign:
                raise StateConflict("ConfigMap a/b was changed by somebody else")
            await super().save(states)

    states = Contested()
    pair = Pair(states=states)
    states.foreign = True
    tick = await pair.first.tick()
    assert pair.first.executor.actions == []
    assert whys(tick) == [
        "ConfigMap a/b was changed by somebody else",
        "default/flower: not written: the state is not saved",
    ]


async def test_a_lease_stolen_in_mid_tick_is_noticed_before_the_first_write() -> None:
    pair = Pair()
    pair.first.seat.on_confirm = pair.first.seat.lose
    tick = await pair.first.tick()
    assert pair.first.executor.actions == []
    assert whys(tick) == [
        "default/flower: not written: the lease is not ours any more, pod-9 leads"
    ]


async def test_a_lease_lost_and_won_again_in_mid_tick_is_another_term() -> None:
    """Another may have written the state meanwhile: this tick's memory is of the past."""
    pair = Pair()
    pair.first.seat.on_confirm = pair.first.seat.win
    tick = await pair.first.tick()
    assert pair.first.executor.actions == []
    assert "ran out in mid-tick" in whys(tick)[0]
    pair.first.seat.on_confirm = lambda: None
    await pair.first.tick(5)
    assert len(pair.first.executor.actions) == 1


async def test_a_lease_lost_between_two_writes_stops_the_second() -> None:
    class Losing(Recording):
        def __init__(self, seat: Seat) -> None:
            super().__init__()
            self.seat = seat

        async def execute(self, action: Action) -> None:
            await super().execute(action)
            self.seat.lose()

    pair = Pair(SCALING, replace(SCALING, name="second"))
    executor = Losing(pair.first.seat)
    pair.first.loop._executor = executor
    tick = await pair.first.tick()
    assert len(executor.actions) == 1
    assert [str(fault) for fault in tick.problems] == [
        "default/second: not written: the lease is not ours any more, pod-9 leads"
    ]


async def test_the_lease_is_asked_about_only_where_something_is_to_be_written() -> None:
    pair = Pair(replace(SCALING, mode="observe"))
    await pair.first.tick()
    assert pair.first.seat.said == []


async def test_what_keeps_us_from_competing_is_a_fault() -> None:
    pair = Pair()
    pair.second.seat.problem = "Lease a/b: HTTP 403: forbidden"
    tick = await pair.second.tick()
    assert [(fault.cause, fault.text) for fault in tick.problems] == [
        ("lease", "Lease a/b: HTTP 403: forbidden")
    ]


async def test_a_standbys_journal_says_so(tmp_path: Path) -> None:
    pair = Pair()
    path = tmp_path / "journal"
    seat = Seat("pod-2", leading=False)
    site = Site(seat, pair.cluster, pair.states, pair.clock, journal=path)
    await site.tick()
    seat.win()
    await site.tick(5)
    lines = [from_json(JournalLine, line) for line in path.read_bytes().splitlines()]
    assert [line.standby for line in lines] == [True, False]


# --- the end of a daemon ---------------------------------------------------------------------


async def test_the_lease_is_released_when_the_last_tick_is_over() -> None:
    seat, stop = Seat(), asyncio.Event()
    ticking = True
    told: list[str] = []

    async def run() -> None:
        nonlocal ticking
        await asyncio.sleep(0.05)
        ticking = False
        told.extend(["the tick ended", *seat.said])
        await asyncio.sleep(3600)

    async def ask_to_stop() -> None:
        await asyncio.sleep(0.01)
        stop.set()

    asking = asyncio.ensure_future(ask_to_stop())
    async with elected(seat) as electing:
        await until_stopped(run, stop, lambda: ticking, beside=electing)
    await asking
    assert told == ["the tick ended"]
    assert seat.said == ["no longer competes", "released"]


async def test_the_lease_is_released_also_when_the_loop_breaks() -> None:
    seat = Seat()

    async def broken() -> None:
        raise RuntimeError("loop")

    with pytest.raises(RuntimeError, match="loop"):
        async with elected(seat) as electing:
            await until_stopped(broken, asyncio.Event(), lambda: False, beside=electing)
    assert seat.said[-1] == "released"


async def test_a_daemon_that_no_longer_competes_does_not_go_on_as_if() -> None:
    class Broken(Seat):
        async def run(self) -> None:
            raise ValueError("an elector with a bug")

    with pytest.raises(ValueError, match="an elector with a bug"):
        async with elected(Broken()) as electing:
            await until_stopped(
                asyncio.Event().wait,  # type: ignore[arg-type]
                asyncio.Event(),
                lambda: False,
                beside=electing,
            )
