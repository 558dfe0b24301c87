"""The loop: one tick is a table of contents. Live, dry run, replay and simulation run this one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autoscaler.act.actions import plan
from autoscaler.act.executor import ActionFailed, DryRun, Executor, describe
from autoscaler.clock import Clock
from autoscaler.model import Action, Decision, Metric, Observation, Policy, State
from autoscaler.run.faults import Fault, internal
from autoscaler.run.hold import hold
from autoscaler.run.journal import Journal, JournalFault, NoJournal
from autoscaler.run.jump import JumpWatch
from autoscaler.run.memory import Memory
from autoscaler.run.state import MemoryStates, StateError, States
from autoscaler.run.stopwatch import Stopwatch
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.observe.cluster import Cluster, ClusterReading
    from autoscaler.observe.port import Readings, Source

# Reading may take four fifths of the tick's budget; deciding and saving get the rest.
READ_SHARE = 0.8
# A source that overruns its own deadline is cut off this much later.
READ_GRACE = 0.5
ACT_TIMEOUT = 10.0


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
    source: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """One policy's way through the tick: the state decided with, and the one after."""

    policy: Policy
    observation: Observation
    state: State
    decision: Decision
    after: State | None  # None: the pipeline was not asked, the state stays


class Loop:
    """Reads, decides, acts; every interval on the given clock.

    `policies` is asked on every tick (it may reload). A tick never raises: what goes wrong is a
    fault in its `problems`, and where no decision could be made the policy holds.
    """

    def __init__(
        self,
        policies: Callable[[], Sequence[Policy]],
        source: Source,
        cluster: Cluster | None = None,
        executor: Executor | None = None,
        states: States | None = None,
        journal: Journal | None = None,
        clock: Clock | None = None,
        interval: float = 5.0,
        on_tick: Callable[[Tick], None] | None = None,
        budget: float | None = None,
    ) -> None:
        from autoscaler.clock import SystemClock

        self._policies = policies
        self._source = source
        self._cluster = cluster
        self._executor: Executor = executor or DryRun(lambda _: None)
        self._memory = Memory(states or MemoryStates())
        self._journal: Journal = journal or NoJournal()
        self._clock: Clock = clock or SystemClock()
        self._interval = interval
        self._on_tick = on_tick or (lambda _: None)
        self._budget = budget if budget is not None else max(interval, 2.0)
        self._jumps = JumpWatch(self._clock)
        self._faults: list[Fault] = []
        self.ticking = False

    async def tick(self) -> Tick:
        watch = Stopwatch(self._clock.monotonic)
        self._faults = []
        with watch.stage("reload"):
            policies = self._load()
        with watch.stage("read"):
            readings, cluster = await self._read(policies)
        with watch.stage("join"):
            observations = self._join(policies, readings, cluster)
        with watch.stage("decide"):
            decided = self._decide_all(policies, observations)
        with watch.stage("save"):
            saved = await self._save(decided)
        with watch.stage("act"):
            actions = await self._act(decided, saved)
        with watch.stage("journal"):
            self._write_journal(decided)
        return self._publish(decided, actions, policies, readings.source, watch)

    async def run(self, until: float | None = None, ticks: int | None = None) -> None:
        """Tick until that Unix time or for that many ticks; for ever without either.

        Ticks keep their beat: a late one is followed by the next on the beat, not by a burst.
        """
        due = self._clock.monotonic()
        done = 0
        while (ticks is None or done < ticks) and (until is None or self._clock.now() <= until):
            self.ticking = True
            try:
                await self.tick()
            finally:
                self.ticking = False
            done += 1
            behind = self._clock.monotonic() - due
            due += self._interval * (int(behind // self._interval) + 1)
            if ticks is None or done < ticks:
                await self._clock.sleep(max(0.0, due - self._clock.monotonic()))

    # --- the stages ------------------------------------------------------------------------

    def _load(self) -> tuple[Policy, ...]:
        """Policies and state; a clock that jumped moves the state with it."""
        self._notice_jump()
        if not self._memory.loaded:
            self._load_memory()
        return tuple(self._policies())

    async def _read(self, policies: Sequence[Policy]) -> tuple[Readings, ClusterReading | None]:
        """Signals and replicas at the same time, each within its share of the budget."""
        now = self._clock.now()
        deadline = self._budget * READ_SHARE
        queries = tuple(
            dict.fromkeys(
                objective.query
                for policy in policies
                for objective in policy.objectives
                if isinstance(objective, Metric)
            )
        )
        readings, cluster = await asyncio.gather(
            self._read_source(queries, now, deadline),
            self._read_cluster(policies, now, deadline),
        )
        self._faults += [Fault("source", problem, f"#{n}") for n, problem in enumerate(readings.problems)]
        if readings.failed is not None:
            self._fault(Fault("source", readings.failed, readings.source))
        return readings, cluster

    def _decide_all(
        self, policies: Sequence[Policy], observations: Mapping[str, Observation]
    ) -> tuple[Decided, ...]:
        now = self._clock.now()
        return tuple(self._decide(policy, observations[policy.key], now) for policy in policies)

    async def _save(self, decided: Sequence[Decided]) -> bool:
        """State is written before acting: a restart in between forgets no cooldown."""
        now = self._clock.now()
        for one in decided:
            if one.after is not None:
                self._memory.put(one.policy.key, one.after, now)
        if not self._memory.loaded:
            return False
        try:
            self._memory.save(now)
        except StateError as error:
            self._fault(Fault("state", str(error)))
            return False
        return True

    async def _act(self, decided: Sequence[Decided], saved: bool) -> tuple[Action, ...]:
        done = []
        for one in decided:
            for action in plan(one.policy, one.decision, one.observation):
                if not saved and self._executor.writes:
                    self._fault(Fault("act", "not written: the state is not saved", action.policy))
                elif await self._execute(action):
                    done.append(action)
        return tuple(done)

    def _write_journal(self, decided: Sequence[Decided]) -> None:
        try:
            for one in decided:
                self._journal.write(one.policy, one.observation, one.state, one.decision)
            self._journal.flush()
        except JournalFault as error:
            self._fault(Fault("journal", str(error)))

    def _publish(
        self,
        decided: Sequence[Decided],
        actions: tuple[Action, ...],
        policies: tuple[Policy, ...],
        source: str,
        watch: Stopwatch,
    ) -> Tick:
        duration = watch.total()
        if duration > self._budget:
            self._fault(
                Fault(
                    "budget",
                    f"a tick took {format_duration(duration)}, more than its "
                    f"{format_duration(self._budget)}: raise --interval or find what is slow "
                    f"({watch.slowest()})",
                )
            )
        tick = Tick(
            at=decided[0].decision.at if decided else self._clock.now(),
            decisions=tuple(one.decision for one in decided),
            observations={one.policy.key: one.observation for one in decided},
            duration=duration,
            problems=tuple(self._faults),
            policies=policies,
            actions=actions,
            stages=watch.stages,
            source=source,
        )
        self._on_tick(tick)
        return tick

    # --- their parts -----------------------------------------------------------------------

    def _fault(self, fault: Fault) -> None:
        self._faults.append(fault)

    def _notice_jump(self) -> None:
        jump = self._jumps.look()
        if not jump:
            return
        self._memory.jump(jump)
        way = "forward" if jump > 0 else "back"
        self._fault(
            Fault(
                "clock",
                f"the wall clock jumped {way} by {format_duration(abs(jump))}; cooldowns and "
                "windows go on by elapsed time",
            )
        )

    def _load_memory(self) -> None:
        now = self._clock.now()
        try:
            ahead = self._memory.load(now)
        except StateError as error:
            self._fault(Fault("state", str(error)))
            return
        if ahead:
            self._fault(
                Fault(
                    "clock",
                    f"the saved state is {format_duration(ahead)} ahead of the clock; its times "
                    "are taken back by that much",
                )
            )

    async def _read_source(self, queries: Sequence[str], now: float, deadline: float) -> Readings:
        from autoscaler.observe.port import Readings

        source = self._source
        try:
            async with asyncio.timeout(deadline + READ_GRACE):
                return await source.read(queries, now, deadline)
        except TimeoutError:
            failed = f"{source.name} did not answer within {format_duration(deadline)}"
        except Exception as error:  # noqa: BLE001 -- a fault in a source must not stop the loop
            failed = internal("source", error).text
        return Readings(
            at=now,
            windows=source.windows,
            source=source.name,
            pods={},
            metrics={},
            problems=(),
            failed=failed,
        )

    async def _read_cluster(
        self, policies: Sequence[Policy], now: float, deadline: float
    ) -> ClusterReading | None:
        if self._cluster is None:
            return None
        from autoscaler.model import Missing
        from autoscaler.observe.cluster import ClusterReading

        targets = tuple(dict.fromkeys(policy.target for policy in policies))
        try:
            async with asyncio.timeout(deadline + READ_GRACE):
                return await self._cluster.read(targets, now, deadline)
        except TimeoutError:
            reason = f"Kubernetes did not answer within {format_duration(deadline)}"
        except Exception as error:  # noqa: BLE001 -- a fault here must not stop the loop
            reason = internal("cluster", error).text
        self._fault(Fault("cluster", reason))
        return ClusterReading(targets={target: Missing(reason) for target in targets})

    def _join(
        self, policies: Sequence[Policy], readings: Readings, cluster: ClusterReading | None
    ) -> dict[str, Observation]:
        from autoscaler.model import Missing
        from autoscaler.observe.snapshot import join

        now = self._clock.now()
        try:
            return join(policies, readings, cluster, now)
        except Exception as error:  # noqa: BLE001 -- contained: every policy holds
            fault = internal("source", error, "join")
            self._fault(fault)
            return {
                policy.key: Observation(
                    policy=policy.key,
                    at=now,
                    replicas=Missing(fault.text),
                    windows=readings.windows,
                    source=readings.source,
                    notes=(fault.text,),
                )
                for policy in policies
            }

    def _decide(self, policy: Policy, observation: Observation, now: float) -> Decided:
        """One policy; what breaks in it holds this policy and no other."""
        from autoscaler.decide import decide  # type: ignore[attr-defined]

        state = self._memory.state(policy.key)
        if not self._memory.loaded:
            reason = next((f.text for f in self._faults if f.cause == "state"), "state not loaded")
            return Decided(policy, observation, state, hold(policy, observation, now, reason), None)
        try:
            decision, after = decide(policy, observation, state, now)
        except Exception as error:  # noqa: BLE001 -- contained, named, counted
            fault = internal("decide", error, policy.key)
            self._fault(fault)
            decision = hold(policy, observation, now, fault.text)
            return Decided(policy, observation, state, decision, None)
        return Decided(policy, observation, state, decision, after)

    async def _execute(self, action: Action) -> bool:
        try:
            async with asyncio.timeout(ACT_TIMEOUT):
                await self._executor.execute(action)
        except TimeoutError:
            text = f"could not {describe(action)}: no answer in {format_duration(ACT_TIMEOUT)}"
        except ActionFailed as error:
            text = f"could not {describe(action)}: {error}"
        except Exception as error:  # noqa: BLE001 -- contained, named, counted
            text = f"could not {describe(action)}: {internal('act', error).text}"
        else:
            return True
        self._fault(Fault("act", text, action.policy))
        return False
