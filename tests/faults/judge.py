"""The referee, by the world's truth: unsafe scale-ins, lost cooldowns, wishes nobody serves."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from autoscaler.model import Policy
from tests.faults.daemons import TICK, Daemon
from tests.faults.nodes import BOOT, NodePool
from tests.faults.servers import CAPACITY, SCRAPE, WINDOWS
from tests.faults.world import BIND, LOAD, PULL, World, needed

# Decision → Ready where a node has to come first.
COLD_START = TICK / 2 + BIND + BOOT + PULL + LOAD
# A decision rests on a scrape and a look that may be so old.
KNOWN_AFTER = SCRAPE + TICK
# A change is dated when it is decided. Its way to the API server is a few seconds of that.
ON_ITS_WAY = 5.0


@dataclass(frozen=True)
class Change:
    """The replicas, by a daemon. `at` is true seconds."""

    at: float
    who: str
    before: int
    after: int


@dataclass
class Verdict:
    """What one run came to. Sentences; `longest_wait`: from the end of the fault to a served
    wish, in seconds.
    """

    unsafe: list[str] = field(default_factory=list)
    deadlocks: list[str] = field(default_factory=list)
    lost_cooldowns: list[str] = field(default_factory=list)
    two_writers: list[str] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)  # at which a fault was struck
    changes: list[Change] = field(default_factory=list)
    longest_wait: float = 0.0
    simulated: float = 0.0

    @property
    def bad(self) -> list[str]:
        return [*self.unsafe, *self.deadlocks, *self.lost_cooldowns, *self.two_writers]


@dataclass
class Wait:
    """For one wish of the truth: since when it could have been served and was not."""

    allowed: float
    since: float | None = None
    known: float = -math.inf  # since when it can be told how much it takes
    told: bool = False

    def look(self, now: float, *, served: bool, excused: bool) -> float:
        """Seconds waited."""
        if served or excused:
            self.since, self.told = None, False
            return 0.0
        self.since = now if self.since is None else self.since
        return now - self.since

    @property
    def overdue(self) -> float:
        """True second after which it is a deadlock."""
        return math.inf if self.since is None else max(self.since, self.known) + self.allowed


class Judge:
    """Told of every write, and asked to look every few seconds."""

    def __init__(
        self, world: World, policy: Callable[[], Policy], daemons: Sequence[Daemon]
    ) -> None:
        self.verdict = Verdict()
        self._fault: str | None = None  # under way: nobody is expected to serve the wish
        self._world, self._policy, self._daemons = world, policy, daemons
        self._loads: list[tuple[float, float]] = [(-math.inf, world.load)]
        rules = policy()
        assert rules.behavior is not None
        window = rules.behavior.scale_down.stabilization_window
        # 7 → 2 by at most two replicas a step are three steps, each with its cooldown.
        pace = WINDOWS.slow + window + 3 * rules.cooldown.scale_down
        self._up = Wait(2 * COLD_START)
        self._down = Wait(2 * COLD_START + pace)
        self._ready, self._full = len(world.ready), False

    def begins(self, moment: str) -> None:
        self.verdict.moments.append(moment)
        self._fault = moment

    def ends(self) -> None:
        self._fault = None

    def load_is(self, load: float) -> None:
        self._loads.append((self._world.now, load))
        self._up.since = self._down.since = None

    # --- writes ------------------------------------------------------------------------------

    def on_scale(self, who: str, before: int, after: int) -> None:
        if before == after:
            return
        change = Change(asyncio.get_running_loop().time(), who, before, after)
        self._cooldown(change)
        self._one_writer(who)
        corrected = before > self._policy().replicas.max == after
        if after < before and not corrected:
            self._safe(change)
        self.verdict.changes.append(change)

    def on_pool(self, pool: NodePool, after: int) -> None:
        busy = self._world.busy_nodes(pool)
        if after < pool.size and after < busy:
            self._say(self.verdict.unsafe, f"pool {pool.size} → {after} with {busy} busy nodes")

    def _cooldown(self, change: Change) -> None:
        if not self.verdict.changes:
            return
        last = self.verdict.changes[-1]
        rules = self._policy().cooldown
        least = rules.scale_up if change.after > change.before else rules.scale_down
        passed = change.at - last.at
        if passed < least - ON_ITS_WAY:
            self._say(
                self.verdict.lost_cooldowns,
                f"{change.who}: {change.before} → {change.after} only {passed:.0f} s after "
                f"{last.who}'s {last.before} → {last.after}, the cooldown is {least:.0f} s",
            )

    def _one_writer(self, who: str) -> None:
        others = [one.name for one in self._daemons if one.name != who and one.may_write]
        if others:
            self._say(self.verdict.two_writers, f"{who} wrote while {others} might")

    def _safe(self, change: Change) -> None:
        words = f"{change.who}: {change.before} → {change.after}"
        daemon = next(one for one in self._daemons if one.name == change.who)
        if not daemon.eyes.trusted:
            self._say(self.verdict.unsafe, f"{words} on signals that cannot be trusted")
        least = needed(self._known_load())
        before = self._world.serving_at(change.before)
        after = self._world.serving_at(change.after)
        if after < min(least, before):
            self._say(
                self.verdict.unsafe,
                f"{words} leaves {after} that serve or will, the load needs {least}",
            )

    def _known_load(self) -> float:
        """The lowest that may honestly be believed in: a rate over the fast window, of the last
        scrape and tick. 140 requests/s that became 620 thirty seconds ago are 260 over the 40 s
        that ended 20 s ago.
        """
        now = self._world.now
        ends = (now - back for back in range(int(KNOWN_AFTER) + 1))
        return min(self._mean_load(end - WINDOWS.fast, end) for end in ends)

    def _mean_load(self, begin: float, end: float) -> float:
        starts = [at for at, _ in self._loads]
        total = 0.0
        for (since, load), until in zip(self._loads, [*starts[1:], math.inf], strict=True):
            total += load * max(0.0, min(until, end) - max(since, begin))
        return total / (end - begin)

    # --- wishes ------------------------------------------------------------------------------

    def look(self) -> None:
        world, now = self._world, self._world.now
        load = self._loads[-1][1]
        self._notice_full()
        few = len(world.ready) < needed(load)
        many = world.replicas > self.wish(load)
        for wait, what, unserved in (
            (self._up, f"{len(world.ready)} serve, {needed(load)} are needed", few),
            (self._down, f"{world.replicas} replicas, {self.wish(load)} would do", many),
        ):
            waited = wait.look(now, served=not unserved, excused=self._fault is not None)
            if wait is self._up:
                self.verdict.longest_wait = max(self.verdict.longest_wait, waited)
            if now > wait.overdue and not wait.told:
                wait.told = True
                self._say(self.verdict.deadlocks, f"for {waited:.0f} s {what}{self._why()}")

    def _notice_full(self) -> None:
        """What full queues turn away is in no counter (measured on Triton): 540 requests/s on two
        replicas look like 200. It takes those that join to tell how many more are needed.
        """
        ready = len(self._world.ready)
        if self._full and ready > self._ready:
            self._up.known = self._world.now
        self._ready = ready
        self._full = any(pod.server.full for pod in self._world.ready if pod.server is not None)

    def wish(self, load: float) -> int:
        """What a policy with this headroom should come to, not counting on who is on a node that
        is about to be lost: where two are needed and one more is on a cordoned node, three.
        """
        rules, world = self._policy(), self._world
        each = CAPACITY * (1 - rules.headroom)
        going = sum(world.leaving(pod.node) is not None for pod in world.live)
        return min(max(math.ceil(load / each) + going, rules.replicas.min), rules.replicas.max)

    @property
    def served(self) -> bool:
        load = self._loads[-1][1]
        return self.enough and self._world.replicas <= self.wish(load)

    @property
    def enough(self) -> bool:
        """What is asked for is there, and carries the load."""
        ready = len(self._world.ready)
        return ready >= max(needed(self._loads[-1][1]), self._world.replicas)

    def _why(self) -> str:
        said = [
            f"; {one.name}: {one.ticks[-1].decisions[0].sentence}"
            + "".join(f" [{fault}]" for fault in one.ticks[-1].problems)
            for one in self._daemons
            if one.ticks and one.runs
        ]
        return "".join(said)

    def _say(self, where: list[str], text: str) -> None:
        where.append(f"at {self._world.now:.0f} s {text}")
