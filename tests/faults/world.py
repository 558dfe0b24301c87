"""What is really there: the load, the Deployment, its pods and nodes, and who changed what.

Time is true seconds since the start. Whoever looks or writes goes through `tests.faults.api` and
`tests.faults.eyes`; what those show may be late, wrong or nothing. This never is.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from autoscaler.model import Hands, Pod
from tests.faults.nodes import GPUS, NodePool
from tests.faults.servers import CAPACITY, SCRAPE, Server

Phase = Literal["pending", "pulling", "loading", "ready", "broken", "terminating"]

STEP = 2.5  # seconds
BIND, PULL, LOAD = 1.0, 20.0, 33.0
DRAIN = 5.0  # seconds that a terminating pod goes on serving
BACK_OFF = 20.0  # between two starts of a container that fails
CRASH_LOOP = "CrashLoopBackOff (container triton, 4 restarts, last ended by Error (exit 1))"
KILLED = "CrashLoopBackOff (container triton, 3 restarts, last ended by OOMKilled (exit 137))"
NO_NODE = "Unschedulable: 0/4 nodes are available: 4 Insufficient nvidia.com/gpu"


@dataclass(eq=False)
class TruePod:
    name: str
    created_at: float
    revision: int
    phase: Phase = "pending"
    ends: float = 0.0  # of the phase
    node: str | None = None
    scheduled_at: float | None = None
    started_at: float | None = None
    ready_at: float | None = None
    restarted: bool = False
    why: str = ""
    cost: int = 0
    server: Server | None = None

    @property
    def live(self) -> bool:
        return self.phase != "terminating"

    def seen(self, wall: float) -> Pod:
        """`wall`: Unix time at true second 0, by Kubernetes' clock."""

        def unix(at: float | None) -> float | None:
            return None if at is None else wall + at

        words = {"pending": NO_NODE, "broken": self.why, "pulling": "ContainerCreating"}
        return Pod(
            self.name,
            ready=self.phase == "ready",
            terminating=not self.live,
            created_at=unix(self.created_at),
            node=self.node,
            image="triton",
            gpus=1,
            scheduled_at=unix(self.scheduled_at),
            started_at=None if self.restarted else unix(self.started_at),
            ready_at=unix(self.ready_at) if self.phase == "ready" else None,
            waiting=None if self.phase == "ready" else words.get(self.phase, "running, not Ready"),
            deletion_cost=self.cost,
        )


@dataclass
class World:
    """`step` moves it on by STEP seconds."""

    random: Random
    load: float = 0.0  # requests/s
    now: float = 0.0
    replicas: int = 2  # spec.replicas
    exists: bool = True
    uid: int = 1
    revision: int = 1  # of the pod template
    version: int = 1  # the Deployment's
    writer: str | None = None  # who wrote the replicas last, where that was not a daemon
    hands: Hands = field(default_factory=Hands)
    quota: int | None = None  # pods
    failing: str | None = None  # why every container that starts ends
    pods: list[TruePod] = field(default_factory=list)
    first: NodePool = field(default_factory=lambda: NodePool("first", 2))
    second: NodePool = field(default_factory=lambda: NodePool("second", 0))
    scraped_at: float = 0.0

    def __post_init__(self) -> None:
        for _ in range(self.first.size):
            self.first.add(0.0)
        for _ in range(self.replicas):
            pod = self._create()
            pod.phase, pod.node = "ready", self._free_node()
            pod.scheduled_at = pod.started_at = pod.ready_at = 0.0
            pod.server = Server()

    # --- what is true ------------------------------------------------------------------------

    @property
    def live(self) -> list[TruePod]:
        return [pod for pod in self.pods if pod.live]

    @property
    def ready(self) -> list[TruePod]:
        return [pod for pod in self.pods if pod.phase == "ready"]

    def busy(self, node: str) -> int:
        return sum(pod.node == node for pod in self.pods)

    def busy_nodes(self, pool: NodePool) -> int:
        return sum(self.busy(node.name) > 0 for node in pool.nodes)

    def leaving(self, node: str | None) -> str | None:
        for pool in (self.first, self.second):
            for one in pool.nodes:
                if one.name == node:
                    return f"its node {node}: {one.leaving}" if one.leaving else None
        return None

    def serving_at(self, replicas: int) -> int:
        """Pods that serve, or will in a while, once the controller has made it so many."""
        going = self._victims(replicas)
        stay = [pod for pod in self.live if pod not in going and pod.phase != "broken"]
        return sum(self.leaving(pod.node) is None for pod in stay)

    def hands_seen(self) -> Hands:
        refused = None
        if self.quota is not None and self.replicas > len(self.live):
            refused = "exceeded quota: gpus"
        rollout = None
        if old := sum(pod.revision < self.revision for pod in self.live):
            rollout = f"{len(self.live) - old} of {len(self.live)} pods are of the new version"
        return Hands(
            self.hands.others, self.writer, self.hands.paused, rollout=rollout, refused=refused
        )

    # --- what others do to it ----------------------------------------------------------------

    def scale(self, replicas: int, writer: str | None) -> None:
        """spec.replicas, by a daemon (None) or by anybody else."""
        self.replicas, self.writer = replicas, writer
        self.version += 1

    def delete(self) -> None:
        self.exists = False
        for pod in self.live:
            self._end(pod)

    def make_anew(self, replicas: int, writer: str) -> None:
        self.exists = True
        self.uid += 1
        self.scale(replicas, writer)

    def lose_node(self, name: str) -> None:
        """The machine is gone, and its pods with it."""
        for pool in (self.first, self.second):
            pool.nodes = [node for node in pool.nodes if node.name != name]
        self.pods = [pod for pod in self.pods if pod.node != name]

    def evict(self, node: str) -> None:
        for pod in self.live:
            if pod.node == node:
                self._end(pod)

    def kill(self, pod: TruePod, why: str) -> None:
        """Its container ended, and is started again after a while."""
        pod.phase, pod.why, pod.restarted, pod.server = "broken", why, True, None
        pod.ends = self.now + BACK_OFF

    # --- time --------------------------------------------------------------------------------

    def step(self) -> None:
        self._serve()
        self.now += STEP
        for pool in (self.first, self.second):
            for gone in pool.step(self.now, self.busy):
                self.lose_node(gone)
        for pod in list(self.pods):
            self._progress(pod)
        if self.exists:
            self._reconcile()
        if self.now - self.scraped_at >= SCRAPE:
            self.scraped_at = self.now
            for pod in self.pods:
                if pod.server is not None:
                    pod.server.scrape(self.now)

    def _serve(self) -> None:
        """Even shares for all that are Ready; who is going finishes what it has."""
        rate = max(0.0, self.load * (1 + self.random.uniform(-0.02, 0.02)))
        ready = len(self.ready)
        for pod in self.pods:
            if pod.server is not None:
                pod.server.step(rate / ready if pod.phase == "ready" else 0.0, STEP)

    def _progress(self, pod: TruePod) -> None:
        now = self.now
        if pod.phase == "pending":
            node = self._free_node() if now - pod.created_at >= BIND else None
            if node is not None:
                pod.phase, pod.node, pod.scheduled_at = "pulling", node, now
                pod.ends = now + PULL
        elif pod.phase == "terminating":
            if now >= pod.ends:
                self.pods.remove(pod)
        elif pod.phase == "ready" or now < pod.ends:
            return
        elif pod.phase == "pulling" or (pod.phase == "broken" and self.failing is None):
            pod.started_at = now
            pod.phase, pod.ends = "loading", now + LOAD
            if self.failing is not None:
                self.kill(pod, self.failing)
        elif pod.phase == "broken":
            pod.ends = now + BACK_OFF
        elif pod.phase == "loading":
            pod.phase, pod.ready_at, pod.server = "ready", now, Server()
            pod.server.scrape(now)

    def _reconcile(self) -> None:
        """ReplicaSets: with a pod more than asked for while the template is rolled out."""
        old = [pod for pod in self.live if pod.revision < self.revision]
        coming = [pod for pod in self.live if pod.revision == self.revision]
        surge = 1 if old else 0
        if surge and all(pod.phase == "ready" for pod in coming):
            if len(self.live) > self.replicas:
                self._end(old[0])
            else:
                self._create()
        lacking = self.replicas - len(self.live)
        if self.quota is not None:
            lacking = min(lacking, self.quota - len(self.live))
        for _ in range(lacking):
            self._create()
        for pod in self._victims(self.replicas + surge):
            self._end(pod)

    def _victims(self, replicas: int) -> list[TruePod]:
        """Not Ready ones first, then by cost, then where most are on one node, the newest."""
        live = self.live
        together = Counter(pod.node for pod in live)
        ranked = sorted(
            live,
            key=lambda pod: (
                pod.node is not None,
                pod.phase == "ready",
                pod.cost,
                -together[pod.node],
                -(pod.ready_at or math.inf),
            ),
        )
        return ranked[: max(0, len(live) - replicas)]

    def _create(self) -> TruePod:
        suffix = "".join(self.random.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))
        pod = TruePod(f"flower-7d9c5b{self.revision}-{suffix}", self.now, self.revision)
        self.pods.append(pod)
        return pod

    def _end(self, pod: TruePod) -> None:
        if pod.node is None:
            self.pods.remove(pod)
        else:
            pod.phase, pod.ends = "terminating", self.now + DRAIN

    def _free_node(self) -> str | None:
        for pool in (self.first, self.second):
            for node in pool.nodes:
                ready = node.ready_at <= self.now and node.leaving is None
                if ready and self.busy(node.name) < GPUS:
                    return node.name
        return None


def needed(load: float) -> int:
    """The fewest replicas that serve it: 3.1 replicas' worth need four."""
    return math.ceil(load / CAPACITY)
