"""The loop: one tick is a table of contents. Live, dry run, replay and simulation run this one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autoscaler.act.executor import DryRun, Executor
from autoscaler.clock import Clock, SystemClock
from autoscaler.decide.contest import sent
from autoscaler.model import Action, Decision, GpuBudget, Observation, Policy
from autoscaler.run.acting import Freeze, act, leads
from autoscaler.run.budgets import share
from autoscaler.run.deciding import Decided, decide_one, held
from autoscaler.run.faults import Cause, Fault, internal
from autoscaler.run.journal import Journal, JournalError, NoJournal
from autoscaler.run.jump import JumpWatch
from autoscaler.run.leadership import Alone, Leadership
from autoscaler.run.memory import Memory
from autoscaler.run.reading import join_all, read_cluster, read_pools, read_source
from autoscaler.run.state import MemoryStates, StateError, States
from autoscaler.run.stopwatch import Stopwatch
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.observe.cluster import Cluster, ClusterReading
    from autoscaler.observe.pools import PoolReader, PoolReadings
    from autoscaler.observe.port import Readings, Source

# Reading may take four fifths of the tick's budget; deciding and saving get the rest.
READ_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick came to. `at` is Unix time, `duration` and `stages` are seconds."""

    at: float
    decisions: tuple[Decision, ...]
    observations: Mapping[str, Observation]
    duration: float
    problems: tuple[Fault, ...] = ()
    policies: tuple[Policy, ...] = ()
    actions: tuple[Action, ...] = ()
    stages: Mapping[str, float] = field(default_factory=dict)
    failed: str | None = None  # why nothing at all could be read
    led: bool = True  # False for a standby: its decisions are for show


class Loop:
    """Reads, decides, acts; every `interval` seconds of the given clock.

    `policies` is asked on every tick (it may reload). `budget` is the seconds that a tick may
    take, the interval unless given. A tick never raises for what goes wrong in it: that is a
    fault in its `problems`, and where no decision could be made the policy holds.

    Without `leadership` a standby: it observes, decides, shows and journals, and writes neither
    state nor anything else.
    """

    def __init__(
        self,
        policies: Callable[[], Sequence[Policy]],
        source: Source,
        *,
        cluster: Cluster | None = None,
        executor: Executor | None = None,
        states: States | None = None,
        journal: Journal | None = None,
        clock: Clock | None = None,
        interval: float = 5.0,
        on_tick: Callable[[Tick], None] | None = None,
        budget: float | None = None,
        leadership: Leadership | None = None,
        pools: PoolReader | None = None,
        budgets: Callable[[], Sequence[GpuBudget]] = tuple,
        freeze: Freeze | None = None,
    ) -> None:
        self._freeze = freeze
        self._leadership: Leadership = leadership or Alone()
        self._term: int | None = None  # of our leadership in this tick; None: a standby
        self._reload = policies
        self._budgets = budgets
        self._source = source
        self._cluster = cluster
        self._pools = pools
        self._executor: Executor = executor or DryRun(lambda _: None)
        self._memory = Memory(states or MemoryStates())
        self._journal: Journal = journal or NoJournal()
        self._clock: Clock = clock or SystemClock()
        self._interval = interval
        self._on_tick = on_tick or (lambda _: None)
        self._budget = budget if budget is not None else max(interval, 2.0)
        self._jumps = JumpWatch(self._clock)
        self._policies: tuple[Policy, ...] = ()
        self._faults: list[Fault] = []
        self.ticking = False  # whether a tick is under way: a stop waits for its end

    async def tick(self) -> Tick:
        watch = Stopwatch(self._clock.monotonic)
        self._begin()
        with watch.stage("recall"):
            await self._recall()
        with watch.stage("reload"):
            self._load_policies()
        with watch.stage("read"):
            readings, cluster, pools = await self._read()
        with watch.stage("join"):
            observations = self._join(readings, cluster, pools)
        with watch.stage("share"):
            observations = self._share(observations)
        with watch.stage("decide"):
            decided = self._decide(observations)
        with watch.stage("save"):
            saved = await self._save(decided)
        with watch.stage("act"):
            actions = await self._act(decided, saved)
        with watch.stage("journal"):
            self._write_journal(decided)
        return self._publish(decided, actions, readings.failed, watch)

    async def run(self, until: float | None = None, ticks: int | None = None) -> None:
        """Tick until that Unix time, or that many times; for ever without either.

        Ticks keep their beat: after a late one the next comes on the beat, not in a burst.
        """
        due = self._clock.monotonic()
        done = 0
        while until is None or self._clock.now() <= until:
            self.ticking = True
            try:
                await self.tick()
            finally:
                self.ticking = False
            done += 1
            if done == ticks:
                return
            late = max(0.0, self._clock.monotonic() - due)
            due += self._interval * (1 + late // self._interval)
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))

    # --- the stages, in order ----------------------------------------------------------------

    def _begin(self) -> None:
        """The clock: what the times in the state mean today."""
        self._faults = []
        jump = self._jumps.look()
        if jump:
            self._memory.jump(jump)
            self._fault(
                "clock",
                f"the wall clock jumped {'forward' if jump > 0 else 'back'} by "
                f"{format_duration(abs(jump))}; cooldowns and windows go on by elapsed time",
            )

    async def _recall(self) -> None:
        """Who leads, and what is remembered: anew at each change of leader."""
        leadership, monotonic = self._leadership, self._clock.monotonic()
        self._term = leadership.term if leadership.leading else None
        if leadership.problem is not None:
            self._fault("lease", leadership.problem)
        if not self._memory.due(self._term, monotonic):
            return
        try:
            ahead = await self._memory.load(self._clock.now(), monotonic)
        except StateError as error:
            self._fault("state", str(error))
            return
        except Exception as error:  # noqa: BLE001 -- contained: every policy holds
            self._faults.append(internal("state", error))
            return
        if ahead:
            self._fault(
                "clock",
                f"the saved state is {format_duration(ahead)} ahead of the clock; its times are "
                "taken back by that much",
            )

    def _load_policies(self) -> None:
        try:
            self._policies = tuple(self._reload())
        except Exception as error:  # noqa: BLE001 -- contained: the last good set stays
            self._faults.append(internal("policies", error))

    async def _read(self) -> tuple[Readings, ClusterReading | None, PoolReadings | None]:
        """Signals, replicas and pools at the same time, within their share of the budget."""
        now = self._clock.now()
        deadline = self._budget * READ_SHARE
        (readings, faults), (cluster, more), (pools, also) = await asyncio.gather(
            read_source(self._source, self._policies, now, deadline),
            read_cluster(self._cluster, self._policies, now, deadline),
            read_pools(self._pools, self._policies, now, deadline),
        )
        self._faults += [*faults, *more, *also]
        return readings, cluster, pools

    def _join(
        self, readings: Readings, cluster: ClusterReading | None, pools: PoolReadings | None
    ) -> Mapping[str, Observation]:
        now = self._clock.now()
        observations, faults = join_all(self._policies, readings, cluster, now, pools)
        self._faults += faults
        return observations

    def _share(self, observations: Mapping[str, Observation]) -> Mapping[str, Observation]:
        """What GPU budgets leave to each policy; a budget that breaks lets nobody grow."""
        now, state = self._clock.now(), self._memory.state
        shared, faults = share(self._budgets(), self._policies, observations, state, now)
        self._faults += faults
        return shared

    def _decide(self, observations: Mapping[str, Observation]) -> tuple[Decided, ...]:
        now = self._clock.now()
        unreadable = None
        if not self._memory.loaded:
            unreadable = next(fault.text for fault in self._faults if fault.cause == "state")
        decided = []
        for policy in self._policies:
            observation, state = observations[policy.key], self._memory.state(policy.key)
            if unreadable is not None:  # never decide as if there were no cooldown to mind
                decided.append(held(policy, observation, state, now, unreadable))
                continue
            one, faults = decide_one(policy, observation, state, now)
            self._faults += faults
            decided.append(one)
        return tuple(decided)

    async def _save(self, decided: Sequence[Decided]) -> bool:
        """State is written before acting: a restart in between forgets no cooldown."""
        if not self._memory.loaded:
            return False
        now = self._clock.now()
        for one in decided:
            if one.after is not None:
                self._memory.put(one.policy.key, one.after, now)
        if not leads(self._leadership, self._term):
            return False
        try:
            await self._memory.save(now)
        except StateError as error:
            self._fault("state", str(error))
        except Exception as error:  # noqa: BLE001 -- contained: what is not saved is not acted on
            self._faults.append(internal("state", error))
        else:
            return True
        return False

    async def _act(self, decided: Sequence[Decided], saved: bool) -> tuple[Action, ...]:
        done, faults = await act(
            decided,
            self._executor,
            self._leadership,
            self._term,
            saved=saved,
            freeze=self._freeze,
            monotonic=self._clock.monotonic,
        )
        self._faults += faults
        scaled = [action for action in done if action.kind == "scale" and self._executor.writes]
        for action in scaled:
            state = sent(self._memory.state(action.policy))
            self._memory.put(action.policy, state, self._clock.now())
        return done

    def _write_journal(self, decided: Sequence[Decided]) -> None:
        try:
            for one in decided:
                self._journal.write(
                    one.policy,
                    one.observation,
                    one.state,
                    one.decision,
                    standby=self._term is None,
                )
            self._journal.flush()
        except JournalError as error:
            self._fault("journal", str(error))

    def _publish(
        self,
        decided: Sequence[Decided],
        actions: tuple[Action, ...],
        failed: str | None,
        watch: Stopwatch,
    ) -> Tick:
        duration = watch.total()
        if duration > self._budget:
            self._fault(
                "budget",
                f"a tick took {format_duration(duration)}, more than its "
                f"{format_duration(self._budget)} ({watch.slowest()}): raise --interval",
            )
        tick = Tick(
            at=decided[0].decision.at if decided else self._clock.now(),
            decisions=tuple(one.decision for one in decided),
            observations={one.policy.key: one.observation for one in decided},
            duration=duration,
            problems=tuple(self._faults),
            policies=self._policies,
            actions=actions,
            stages=watch.stages,
            failed=failed,
            led=self._term is not None,
        )
        self._on_tick(tick)
        return tick

    # --- their parts -------------------------------------------------------------------------

    def _fault(self, cause: Cause, text: str, where: str = "") -> None:
        self._faults.append(Fault(cause, text, where))
