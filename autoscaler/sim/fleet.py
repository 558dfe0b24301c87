"""The part of Kubernetes that a fleet of Triton servers meets: pods that start, serve, drain, die.

A replica is scheduled onto a free GPU, pulls its image, loads its model, serves, and drains or is
killed. Nodes hold images: the first pull onto a GPU's node is slow, the next one quick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from autoscaler.sim.server import TritonServer

Phase = Literal["scheduling", "pulling", "loading", "ready", "draining", "dead", "gone"]
EventKind = Literal["created", "ready", "crashed", "draining", "gone"]

# Kubernetes' own alphabet of random suffixes: no vowels, so no words.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds of each phase. Recorded: 14.6 to 15.4 s from process start to ready, warm host."""

    schedule: float = 1.0
    pull: float = 4.0  # onto a node that holds the image
    pull_cold: float = 40.0  # onto one that does not
    load: float = 15.0
    load_spread: float = 0.3


@dataclass(frozen=True, slots=True)
class Hosting:
    """The cluster beneath the fleet."""

    gpus: int = 8
    warm_gpus: int = 4  # whose nodes hold the image at the start
    detection: float = 2.0  # from a crash to the pod's removal
    drain: float = 5.0  # a terminating pod lives at least this long, and serves out its queue
    cold_start: ColdStart = ColdStart()


@dataclass(slots=True, eq=False)
class Replica:
    name: str
    created_at: float
    phase: Phase = "scheduling"
    phase_ends: float = 0.0
    gpu: int | None = None
    scheduled_at: float | None = None
    started_at: float | None = None
    ready_at: float | None = None
    gone_at: float | None = None
    server: TritonServer | None = None

    @property
    def live(self) -> bool:
        """Counts towards spec.replicas: a dead one too, until somebody notices."""
        return self.phase not in ("draining", "gone")


@dataclass(frozen=True, slots=True)
class Event:
    at: float
    kind: EventKind
    replica: str


class Fleet:
    """All pods of one Deployment. `step` moves every pod to the phase that `now` calls for."""

    def __init__(
        self,
        name: str,
        hosting: Hosting,
        random: Random,
        new_server: Callable[[str, float], TritonServer],
    ) -> None:
        self.name = name
        self.desired = 0  # spec.replicas
        self.pods: list[Replica] = []  # all that ever were, in order of creation
        self.events: list[Event] = []
        self.retired: list[TritonServer] = []  # of pods that are gone: their counts still count
        self._hosting = hosting
        self._random = random
        self._new_server = new_server
        self._images = [gpu < hosting.warm_gpus for gpu in range(hosting.gpus)]

    def start(self, replicas: int, now: float) -> None:
        """A fleet that has been serving for a while."""
        self.desired = replicas
        for _ in range(replicas):
            replica = self._create(now)
            self._place(replica)
            self._serve(replica, now)

    def present(self) -> list[Replica]:
        """The pods that the API server lists."""
        return [pod for pod in self.pods if pod.phase != "gone"]

    def find(self, name: str) -> Replica | None:
        return next((pod for pod in self.pods if pod.name == name and pod.phase != "gone"), None)

    def step(self, now: float) -> None:
        for pod in self.present():
            if now >= pod.phase_ends:
                self._progress(pod, now)
        self._reconcile(now)

    def kill(self, pod: Replica, now: float) -> int:
        """SIGKILL: its page is gone, nobody has noticed yet. Answers how many requests died."""
        lost = 0
        if pod.server:
            lost = pod.server.in_flight
            self.retired.append(pod.server)
        pod.server, pod.phase = None, "dead"
        pod.phase_ends = now + self._hosting.detection
        self._note("crashed", pod, now)
        return lost

    def _reconcile(self, now: float) -> None:
        """What the ReplicaSet controller does: create what lacks, end the newest of too many."""
        live = [pod for pod in self.pods if pod.live]
        for _ in range(self.desired - len(live)):
            self._create(now)
        surplus = len(live) - self.desired
        # Not yet ready ones first, then the newest: as the ReplicaSet ranks them.
        live.reverse()
        for pod in sorted(live, key=lambda p: p.phase == "ready")[: max(0, surplus)]:
            if pod.phase == "ready":
                pod.phase, pod.phase_ends = "draining", now + self._hosting.drain
                self._note("draining", pod, now)
            else:
                self._end(pod, now)

    def _progress(self, pod: Replica, now: float) -> None:
        cold = self._hosting.cold_start
        match pod.phase:
            case "scheduling":
                self._place(pod)
                if pod.gpu is not None:
                    pod.phase, pod.scheduled_at = "pulling", now
                    pod.phase_ends = now + (cold.pull if self._images[pod.gpu] else cold.pull_cold)
            case "pulling":
                if pod.gpu is not None:
                    self._images[pod.gpu] = True
                pod.phase, pod.started_at = "loading", now
                load = cold.load + cold.load_spread * self._random.gauss(0, 1)
                pod.phase_ends = now + max(0.0, load)
            case "loading":
                self._serve(pod, now)
            case "dead":
                self._end(pod, now)
            case "draining":
                if pod.server is None or not pod.server.in_flight:
                    self._end(pod, now)
            case "ready" | "gone":
                pass

    def _create(self, now: float) -> Replica:
        suffix = "".join(self._random.choice(_ALPHABET) for _ in range(5))
        pod = Replica(f"{self.name}-6c5d9f8b7-{suffix}", now)
        pod.phase_ends = now + self._hosting.cold_start.schedule
        self.pods.append(pod)
        self._note("created", pod, now)
        return pod

    def _place(self, pod: Replica) -> None:
        """A free GPU, best one whose node holds the image; none where none is free."""
        taken = {other.gpu for other in self.present()}
        free = [gpu for gpu in range(self._hosting.gpus) if gpu not in taken]
        if free:
            pod.gpu = min(free, key=lambda gpu: (not self._images[gpu], gpu))

    def _serve(self, pod: Replica, now: float) -> None:
        pod.server = self._new_server(pod.name, now)
        pod.phase, pod.ready_at = "ready", now
        self._note("ready", pod, now)

    def _end(self, pod: Replica, now: float) -> None:
        if pod.server:
            self.retired.append(pod.server)
        pod.server, pod.phase, pod.gone_at = None, "gone", now
        self._note("gone", pod, now)

    def _note(self, kind: EventKind, pod: Replica, now: float) -> None:
        self.events.append(Event(now, kind, pod.name))
