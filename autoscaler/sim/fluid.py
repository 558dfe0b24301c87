"""A fleet in whole steps of seconds: days of it in a second, for comparing and for backtests.

Where the demo's world (`sim.world`) runs each execution, this one runs flows: requests arrive at a
rate, each server answers up to its capacity and the rest waits. Its servers are those of the
request-level world, by their curve (`sim.curve`); what a scaler sees is as old and as averaged as
what Prometheus would tell it (`sim.sight`).
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from autoscaler.observe.windows import windows_for
from autoscaler.sim.draws import seeded
from autoscaler.sim.history import History, Totals
from autoscaler.sim.scenario import Scenario
from autoscaler.sim.serving import Group, Responses
from autoscaler.sim.supply import SimPod, Supply
from autoscaler.sim.trace import Trace, usual_swing

if TYPE_CHECKING:
    from autoscaler.model import Observation, Policy, PoolWish

HIDDEN = 60.0  # longer bins hide how the rate swings inside them


class FluidWorld:
    """`trace`: who comes when; times are its Unix times. `replicas`: serving at its start; None:
    as many as its first minutes call for with a quarter to spare.

    The same scenario, trace, seed and calls give the same world, whatever the scaler: the traffic
    has random numbers of its own.
    """

    def __init__(
        self, scenario: Scenario, trace: Trace, seed: int = 1, replicas: int | None = None
    ) -> None:
        self.scenario, self.trace, self.seed = scenario, trace, seed
        self.start = trace.start
        self.responses = Responses(scenario.server, scenario.patience)
        self.windows = windows_for(scenario.scrape)
        self.totals = Totals()
        self.history = History(trace.start, scenario.resolution)
        self.groups: list[Group] = []
        first = initial(scenario, trace) if replicas is None else replicas
        self.supply = Supply(scenario, seed, trace.start, first)
        self._random = seeded(f"traffic {seed}")
        self.scale_ups = self.scale_downs = 0
        self._steps = 0
        self._swing = self._random.gauss(0, 1)
        self._keep = math.exp(-scenario.step / scenario.memory)
        swing = usual_swing(trace.mean) if scenario.swing is None else scenario.swing
        self._scatter = swing if trace.bin > HIDDEN else 0.0
        self._steps_per_scrape = round(scenario.scrape / scenario.step)
        self._finished = False
        self._steps_per_row = round(scenario.resolution / scenario.step)
        self._regroup(self.now)
        self._scrape()

    @property
    def now(self) -> float:
        return self.start + self._steps * self.scenario.step

    @property
    def desired(self) -> int:
        return self.supply.desired

    @property
    def ready(self) -> int:
        return sum(group.count for group in self.groups)

    @property
    def pods(self) -> list[SimPod]:
        """What the API server lists, terminating ones too."""
        return self.supply.pods

    def latency(self, quantile: float) -> float | None:
        """Seconds in the server (queue and execution) of who arrived in the last step.

        `quantile`: one of `curve.QUANTILES`; of the slowest group of servers. None without any.
        """
        curve = self.scenario.server
        return max(
            (
                curve.latency(group.rate, quantile) + group.backlog / curve.capacity
                for group in self.groups
            ),
            default=None,
        )

    def scale(self, replicas: int) -> None:
        """Set spec.replicas; pods follow with the next step."""
        change = replicas - self.supply.desired
        self.scale_ups += change > 0
        self.scale_downs += change < 0
        self.supply.scale(replicas)

    def resize(self, wish: PoolWish) -> None:
        """Ask the node pool for its next size, in the wish's unit."""
        if wish.unit == "nodes":
            self.supply.resize(nodes=wish.after)
        else:
            self.supply.resize(spare=wish.after)

    def observe(self, policy: Policy | None, now: float) -> Observation:
        """What a scaler is told at `now`, which is no earlier than the world's own time."""
        from autoscaler.sim.sight import observe

        return observe(self, policy, now)

    def advance(self, until: float) -> None:
        """Move time to `until`, in whole steps; never back."""
        target = round((until - self.start) / self.scenario.step)
        while self._steps < target:
            self._step()

    def kill(self, pod: SimPod) -> None:
        """Its server dies now: what it holds is lost, and what it is sent until that is noticed."""
        if pod.group is not None:
            self.totals.lost += pod.group.pending
        self.supply.kill(pod, self.now)
        self._regroup(self.now)

    def _step(self) -> None:
        now, seconds, totals, supply = self.now, self.scenario.step, self.totals, self.supply
        if supply.step(now):
            self._regroup(now)
        sent, endpoints = self._arrivals(now), self.ready + supply.dead
        share = sent / endpoints if endpoints else 0.0
        totals.sent += sent
        totals.lost += share * supply.dead if endpoints else sent
        for group in self.groups:
            count = group.count
            served = group.step(self.responses, share / seconds, seconds, now)
            totals.answered += count * served.completed
            totals.queued += count * served.queueing
            totals.late += count * served.late
            totals.refused += count * served.refused
        totals.gpu_seconds += supply.gpus * seconds
        self._steps += 1
        if self._steps % self._steps_per_row == 0:
            self._note()
        if self._steps % self._steps_per_scrape == 0:
            self._scrape()

    def finish(self) -> None:
        """A last row of history, where time stopped inside one."""
        if self._steps % self._steps_per_row and not self._finished:
            self._finished = True
            self._note()

    def _note(self) -> None:
        pending = sum(group.count * group.pending for group in self.groups)
        self.history.add(self.totals, self.supply.desired, self.ready, pending)

    def _arrivals(self, now: float) -> float:
        """Requests of this step: Poisson about the trace's rate, which swings inside long bins."""
        mean = self.trace.requests(now, now + self.scenario.step)
        if self._scatter:
            mean *= math.exp(self._scatter * self._swing - self._scatter**2 / 2)
            innovation = math.sqrt(1 - self._keep**2)
            self._swing = self._keep * self._swing + innovation * self._random.gauss(0, 1)
        if mean <= 0:
            return 0.0
        return max(0.0, self._random.gauss(mean, math.sqrt(mean)))

    def _regroup(self, now: float) -> None:
        """New servers make a group of their own; who stops serving leaves his."""
        supply = self.supply
        if supply.joined:
            group = Group(len(supply.joined), now, deque(), even_since=now)
            for pod in supply.joined:
                pod.group = group
            self.groups.append(group)
        for pod in supply.killed:
            if pod.group is not None:
                self.totals.lost += pod.group.pending
        for pod in (*supply.left, *supply.killed):
            if pod.group is not None:
                pod.group.count -= 1
                pod.group = None
        self.groups = [group for group in self.groups if group.count]
        supply.joined, supply.left, supply.killed = [], [], []

    def _scrape(self) -> None:
        now, slow = self.now, self.windows.slow
        for group in self.groups:
            group.read(now, now - slow - self.scenario.scrape)
        settled = [g for g in self.groups if g.even_since <= now - slow - 2 * self.scenario.scrape]
        if len(settled) > 1:
            self._merge(settled)

    def _merge(self, groups: list[Group]) -> None:
        """Their readings differ by a constant, so that their rates are the same."""
        stays = groups[0]
        for group in groups[1:]:
            stays.count += group.count
            self.groups.remove(group)
        for pod in self.supply.pods:
            if pod.group in groups:
                pod.group = stays


def initial(scenario: Scenario, trace: Trace) -> int:
    """For the highest rate of the first five minutes with a quarter to spare."""
    rates = [trace.rate(trace.start + at) for at in range(0, 300, 15)]
    need = math.ceil(max(rates) / (0.75 * scenario.server.capacity))
    return max(scenario.min, min(scenario.max, need))
