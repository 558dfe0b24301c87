"""Pods and nodes beneath a simulated fleet: from what is wanted to what is there.

A pod is scheduled onto a node with room, pulls, loads (or crashes and starts over), serves, drains.
Nodes come because their owner sees a pod without one, or because somebody asked; they boot, and a
spot one is taken away again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from autoscaler.sim.draws import seeded
from autoscaler.sim.scenario import NodePool, Scenario
from autoscaler.sim.serving import Group

Phase = Literal["scheduling", "pulling", "loading", "backoff", "ready", "dead", "draining"]

SERVING = ("ready", "dead")  # as far as Kubernetes knows


@dataclass(slots=True, eq=False)
class SimNode:
    name: str
    room: int  # replicas that it takes
    up_at: float
    dies_at: float = math.inf
    leaving: bool = False
    empty_since: float | None = None


@dataclass(slots=True, eq=False)
class SimPod:
    name: str
    created_at: float
    phase_ends: float
    phase: Phase = "scheduling"
    node: SimNode | None = None
    homeless: bool = False  # has waited for a node
    scheduled_at: float | None = None
    started_at: float | None = None
    ready_at: float | None = None
    group: Group | None = None  # while it serves


class Supply:
    """`step(now)` moves every pod and node to the phase that `now` calls for."""

    def __init__(self, scenario: Scenario, seed: int, now: float, replicas: int) -> None:
        self.scenario = scenario
        self.desired = replicas
        self.pods: list[SimPod] = []  # those that the API server lists, oldest first
        self.nodes: list[SimNode] = []
        self.joined: list[SimPod] = []  # became ready in the last step
        self.left: list[SimPod] = []  # stopped serving in the last step, told to
        self.killed: list[SimPod] = []  # died with their node in the last step
        self.size = 0  # nodes that are asked for, where only a wish resizes the pool
        self.spare = scenario.pool.spare if scenario.pool else 0
        self._random = seeded(f"supply {seed}")
        self._named = 0
        self.dead = 0  # endpoints that nobody has noticed to be dead
        self.gpus = 0  # GPUs that are paid for now
        self._due = now  # nothing happens before
        self._costs: Mapping[str, int] = {}
        self._begin(now, replicas)

    def prefer(self, costs: Mapping[str, int]) -> None:
        """Pods with a lower deletion cost go first, when fewer are wanted."""
        self._costs = costs

    def scale(self, replicas: int) -> None:
        """Set spec.replicas."""
        if replicas != self.desired:
            self.desired, self._due = replicas, -math.inf

    def resize(self, nodes: int | None = None, spare: int | None = None) -> None:
        """What is asked of the pool: its size in nodes, or its spare replicas' worth of room."""
        self.size = self.size if nodes is None else nodes
        self.spare = self.spare if spare is None else spare
        self._due = -math.inf

    def kill(self, pod: SimPod, now: float) -> None:
        """Its container dies; the kubelet notices and starts it again."""
        pod.phase, pod.phase_ends = "dead", now + self.scenario.detection
        self.left.append(pod)
        self.dead += 1
        self._due = -math.inf

    def step(self, now: float) -> bool:
        """Whether anything changed."""
        if now < self._due:
            return False
        self.joined, self.left, self.killed = [], [], []
        self._lose_nodes(now)
        self._progress_all(now)
        self._reconcile(now)
        self._progress_all(now)
        self._size_pool(now)
        self._due = self._next(now)
        self.gpus = self._paid()
        return True

    def _paid(self) -> int:
        pool = self.scenario.pool
        if pool is not None:
            return pool.gpus_per_node * len(self.nodes)
        holding = sum(pod.scheduled_at is not None for pod in self.pods)
        return holding * self.scenario.gpus_per_replica

    def _begin(self, now: float, replicas: int) -> None:
        """A fleet that has been serving for a while."""
        pool = self.scenario.pool
        if pool is not None:
            each = self._each(pool)
            self.size = min(pool.max_nodes, math.ceil(replicas / each) + pool.initial)
            for _ in range(self.size):
                self._add_node(pool, now, booting=0.0)
        for _ in range(replicas):
            pod = self._create(now)
            if self._place(pod, now, now):
                pod.started_at = pod.scheduled_at
                self._serve(pod, now)

    def _each(self, pool: NodePool) -> int:
        return max(1, pool.gpus_per_node // self.scenario.gpus_per_replica)

    def _spread(self, seconds: float, spread: float) -> float:
        return seconds * max(0.5, self._random.gauss(1.0, spread)) if spread else seconds

    def _create(self, now: float) -> SimPod:
        self._named += 1
        pod = SimPod(f"replica-{self._named}", now, now + self.scenario.starts.scheduling)
        self.pods.append(pod)
        return pod

    def _progress_all(self, now: float) -> None:
        """Through every phase that is over by now. A phase begins when the one before ended, and
        not at the step that notices: three phases would be late by three steps.
        """
        for pod in list(self.pods):
            before = None
            while now >= pod.phase_ends and pod.phase != before:
                before = pod.phase
                self._progress(pod, pod.phase_ends, now)

    def _progress(self, pod: SimPod, at: float, now: float) -> None:
        """`at`: when its phase ended, up to a step before now."""
        starts = self.scenario.starts
        match pod.phase:
            case "scheduling":
                if self._place(pod, at, now):
                    pod.phase = "pulling"
                    pulling = self._spread(starts.pulling, starts.spread)
                    pod.phase_ends = (pod.scheduled_at or now) + pulling
            case "pulling":
                pod.started_at = at
                self._load(pod, at)
            case "loading":
                if starts.failing and self._random.random() < starts.failing:
                    pod.phase, pod.phase_ends = "backoff", at + starts.backoff
                else:
                    self._serve(pod, at)
            case "backoff":
                self._load(pod, at)
            case "draining":
                self.pods.remove(pod)
                pod.phase_ends = math.inf
            case "dead":
                self.dead -= 1
                pod.ready_at, pod.started_at = None, at
                self._load(pod, at)
            case "ready":
                pass

    def _load(self, pod: SimPod, at: float) -> None:
        starts = self.scenario.starts
        pod.phase = "loading"
        pod.phase_ends = at + self._spread(starts.loading, starts.spread)

    def _serve(self, pod: SimPod, at: float) -> None:
        pod.phase, pod.ready_at, pod.phase_ends = "ready", at, math.inf
        self.joined.append(pod)

    def _place(self, pod: SimPod, at: float, now: float) -> bool:
        """Onto the fullest node with room, so that the others can go."""
        if self.scenario.pool is None:
            pod.scheduled_at = at
            return True
        free = [
            (room, node.name, node)
            for node in self.nodes
            if node.up_at <= now and not node.leaving and (room := self._free(node)) > 0
        ]
        if not free:
            pod.homeless, pod.phase_ends = True, now  # the next change of the nodes is tried
            return False
        pod.node, pod.scheduled_at = min(free)[2], now if pod.homeless else at
        return True

    def _free(self, node: SimNode) -> int:
        return node.room - sum(pod.node is node for pod in self.pods)

    def _reconcile(self, now: float) -> None:
        """What the ReplicaSet controller does: create what lacks, end who is first in line."""
        live = [pod for pod in self.pods if pod.phase != "draining"]
        for _ in range(self.desired - len(live)):
            self._create(now)
        surplus = len(live) - self.desired
        if surplus <= 0:
            return
        live.reverse()  # the newest first; who is not ready before who is; then by cost
        live.sort(key=lambda pod: (pod.phase in SERVING, self._costs.get(pod.name, 0)))
        for pod in live[:surplus]:
            if pod.phase in SERVING:
                self.dead -= pod.phase == "dead"
                pod.phase, pod.phase_ends = "draining", now + self.scenario.drain
                self.left.append(pod)
            else:
                self.pods.remove(pod)

    def _next(self, now: float) -> float:
        """When something happens by itself. Pods without a node wait for one."""
        due = [pod.phase_ends for pod in self.pods if pod.phase_ends > now]
        pool = self.scenario.pool
        if pool is None:
            return min(due, default=math.inf)
        for node in self.nodes:
            due += [node.up_at, node.dies_at - pool.notice, node.dies_at]
            if node.empty_since is not None:
                due.append(node.empty_since + pool.idle)
        return min((at for at in due if at > now), default=math.inf)

    # --- nodes -------------------------------------------------------------------------------

    def _add_node(self, pool: NodePool, now: float, booting: float) -> None:
        self._named += 1
        up_at = now + self._spread(booting, pool.spread)
        node = SimNode(f"node-{self._named}", self._each(pool), up_at)
        if pool.spot_life < math.inf:
            node.dies_at = up_at + self._random.expovariate(1 / pool.spot_life)
        self.nodes.append(node)

    def _lose_nodes(self, now: float) -> None:
        """Spot: notice first, then the node is gone with all that runs on it."""
        pool = self.scenario.pool
        if pool is None or pool.spot_life == math.inf:
            return
        for node in list(self.nodes):
            node.leaving = now >= node.dies_at - pool.notice
            if now >= node.dies_at:
                self.nodes.remove(node)
                lost = [pod for pod in self.pods if pod.node is node]
                self.killed += [pod for pod in lost if pod.phase == "ready"]
                self.dead -= sum(pod.phase == "dead" for pod in lost)
                self.pods = [pod for pod in self.pods if pod.node is not node]

    def _size_pool(self, now: float) -> None:
        pool = self.scenario.pool
        if pool is None:
            return
        homeless = sum(pod.scheduled_at is None for pod in self.pods)
        kept = [node for node in self.nodes if not node.leaving]
        free = sum(self._free(node) for node in kept) - homeless
        each = self._each(pool)
        short = math.ceil((self.spare - free) / each) if pool.autoscaled else self.size - len(kept)
        for _ in range(min(short, pool.max_nodes - len(self.nodes))):
            self._add_node(pool, now, pool.booting)
        for node in list(kept):
            self._consider(node, pool, free, now)
            if node not in self.nodes:
                free -= each

    def _consider(self, node: SimNode, pool: NodePool, free: int, now: float) -> None:
        """An empty node goes once it has been empty for long enough, or is one too many."""
        if node.up_at > now or self._free(node) < node.room:
            node.empty_since = None
            return
        node.empty_since = now if node.empty_since is None else node.empty_since
        if pool.autoscaled:
            spared = free - node.room >= self.spare
            goes = spared and now - node.empty_since >= pool.idle
        else:
            goes = len(self.nodes) > self.size
        if goes:
            self.nodes.remove(node)
