"""A simulated fleet under load: clients, Triton servers, and the Kubernetes beneath them.

Time moves in steps of 0.1 s and only when somebody advances it; the same seed and the same calls
give the same world, to the last digit of every page. Clients spread their requests evenly over
the endpoints, which for a moment include a server that has just died.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autoscaler.sim.draws import poisson, seeded
from autoscaler.sim.fleet import Fleet, Hosting
from autoscaler.sim.server import ServerProfile, TritonServer

STEPS_PER_SECOND = 10

H200 = ServerProfile()
EIGHT_GPUS = Hosting()


@dataclass(slots=True)
class Totals:
    """Of the whole fleet since the start, as the clients and an omniscient observer count."""

    sent: int = 0
    answered: int = 0
    refused: int = 0  # at a full queue
    lost: int = 0  # sent to a dead server or to none, or inside one that died
    late: float = 0.0  # answered after queueing longer than `patience`
    queued: float = 0.0  # seconds
    gpu_seconds: float = 0.0

    @property
    def kept(self) -> float:
        """Share of the finished requests that were answered within `patience`; 1 if none were."""
        finished = self.answered + self.refused + self.lost
        return (self.answered - self.late) / finished if finished else 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """One second of the fleet, for plots. `queue_time` is None where nothing was answered."""

    at: float
    offered: float  # requests/s
    capacity: float  # requests/s that the ready replicas can answer
    wanted: int
    ready: int
    held: int  # GPUs
    queue_time: float | None  # seconds, mean of the requests answered in this second
    pending: int
    refused: int
    lost: int


class World:
    """`workload` maps seconds since the start to requests/s; `crashes` are seconds likewise, at
    which the longest-serving replica is killed. `patience`: who queues longer (s) is late. With
    `lead_in` the fleet has served that many seconds when the counting starts at `start`.
    """

    def __init__(
        self,
        workload: Callable[[float], float],
        *,
        start: float = 1_795_248_000.0,
        seed: int = 1,
        replicas: int = 1,
        lead_in: float = 0.0,
        crashes: Sequence[float] = (),
        patience: float = 0.05,
        name: str = "bert-large",
        namespace: str = "default",
        model: str = "bert_large",
        profile: ServerProfile = H200,
        hosting: Hosting = EIGHT_GPUS,
    ) -> None:
        self.start, self.namespace, self.name, self.model = start, namespace, name, model
        self.profile = profile
        self.totals = Totals()
        self.points: list[Point] = []  # one a second, from the first second on
        self.latest: Point | None = None  # the newest, of the lead-in too
        self._workload = workload
        self._crashes = sorted(crashes)
        self._seed, self._patience = seed, patience
        self._steps = -round(lead_in * STEPS_PER_SECOND)
        self._zero = Totals()  # what the lead-in came to
        self._random = seeded(f"world {seed}")
        self._unrouted = 0  # sent to no living server
        self._killed = 0  # died inside a server
        self.fleet = Fleet(name, hosting, seeded(f"fleet {seed}"), self._new_server)
        self.fleet.start(replicas, self.now)

    @property
    def now(self) -> float:
        return self.start + self._steps / STEPS_PER_SECOND

    def scale(self, replicas: int) -> None:
        """Set spec.replicas; pods follow with the next step."""
        self.fleet.desired = replicas

    def advance(self, until: float) -> None:
        """Move time to `until`, in whole steps; never back."""
        target = round((until - self.start) * STEPS_PER_SECOND)
        while self._steps < target:
            self._step()

    def _step(self) -> None:
        now = self.now
        self._crash(now)
        self.fleet.step(now)
        rate = self._workload(now - self.start)
        self._route(rate)
        self._steps += 1
        for pod in self.fleet.present():
            if pod.server:
                pod.server.advance(self.now)
            if pod.gpu is not None:
                self.totals.gpu_seconds += 1 / STEPS_PER_SECOND
        if self._steps % STEPS_PER_SECOND == 0:
            self._note(rate)
        if self._steps == 0:
            self._zero, self.totals = self.totals, Totals()

    def _crash(self, now: float) -> None:
        while self._crashes and self.start + self._crashes[0] <= now:
            self._crashes.pop(0)
            ready = [pod for pod in self.fleet.pods if pod.phase == "ready"]
            if ready:
                self._killed += self.fleet.kill(ready[0], now)

    def _route(self, rate: float) -> None:
        """Even shares to all endpoints; what goes to a dead one, or to none, is lost."""
        pods = self.fleet.present()
        endpoints = [pod for pod in pods if pod.phase in ("ready", "dead")]
        share = rate / len(endpoints) if endpoints else 0.0
        lost = 0.0 if endpoints else rate
        for pod in pods:
            if pod.phase == "dead":
                lost += share
            elif pod.server:
                pod.server.rate = share if pod.phase == "ready" else 0.0
        self._unrouted += poisson(self._random, lost / STEPS_PER_SECOND)

    def _new_server(self, pod: str, now: float) -> TritonServer:
        random = seeded(f"server {self._seed} {pod}")
        return TritonServer(random, now, self.profile, self._patience)

    def _note(self, rate: float) -> None:
        pods = self.fleet.present()
        serving = [pod.server for pod in pods if pod.server]
        for server in serving:
            server.sample_gpu(self.now)
        before, now = self.totals, self._count(serving)
        answered = now.answered - before.answered
        ready = sum(pod.phase == "ready" for pod in pods)
        self.totals = now
        self.latest = Point(
            at=self.now,
            offered=rate,
            capacity=ready * self.profile.capacity,
            wanted=self.fleet.desired,
            ready=ready,
            held=sum(pod.gpu is not None for pod in pods),
            queue_time=(now.queued - before.queued) / answered if answered else None,
            pending=sum(server.pending for server in serving),
            refused=now.refused - before.refused,
            lost=now.lost - before.lost,
        )
        if self._steps > 0:
            self.points.append(self.latest)

    def _count(self, serving: Sequence[TritonServer]) -> Totals:
        zero, unrouted = self._zero, self._unrouted
        totals = Totals(
            sent=unrouted - zero.sent,
            answered=-zero.answered,
            refused=-zero.refused,
            lost=unrouted + self._killed - zero.lost,
            late=-zero.late,
            queued=-zero.queued,
            gpu_seconds=self.totals.gpu_seconds,
        )
        for server in (*self.fleet.retired, *serving):
            totals.sent += server.tally.sent
            totals.refused += server.tally.refused
            totals.late += server.tally.late
            totals.answered += server.counters.success
            totals.queued += server.counters.queue
        return totals
