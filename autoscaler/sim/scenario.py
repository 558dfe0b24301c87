"""What is simulated: one fleet's servers, starts, nodes, promise, bounds and price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autoscaler.model import IN_NODES, Policy, Sla
from autoscaler.sim.curve import ServerCurve

# SLA of who promises nothing about the queue: far beyond a batching server with room to spare.
PATIENCE = 0.050


@dataclass(frozen=True, slots=True)
class StartTimes:
    """Seconds of each phase of a replica's way to Ready on a node that is there.

    `spread`: relative standard deviation of each. `failing`: share of the starts that end in a
    crash while loading; such a pod starts over `backoff` seconds later. Recorded on warm H200
    hosts: 14.6 to 15.4 s from process start to ready.
    """

    scheduling: float = 1.0
    pulling: float = 5.0
    loading: float = 15.0
    spread: float = 0.05
    failing: float = 0.0
    backoff: float = 10.0

    @property
    def total(self) -> float:
        return self.scheduling + self.pulling + self.loading


@dataclass(frozen=True, slots=True)
class NodePool:
    """GPU nodes beneath the replicas; without one there is always a GPU, paid while it is held.

    `autoscaled`: who owns it brings a node for a pod that has none and for the `spare` replicas'
    worth of room, and takes one away that was empty for `idle` seconds; else only a wish resizes
    it. `booting`: seconds from the request to a node that takes pods, paid from the request on.
    `spot_life`: mean seconds until a node is taken away, with `notice` seconds' warning; inf:
    never. `initial`: nodes at the start beyond those that the first replicas need.
    """

    gpus_per_node: int = 1
    max_nodes: int = 64
    booting: float = 180.0
    spread: float = 0.1
    idle: float = 600.0
    spare: int = 0
    autoscaled: bool = True
    spot_life: float = float("inf")
    notice: float = 120.0
    initial: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Seconds throughout. `step` divides `tick` and `scrape`.

    `server`: one replica. `scrape`: between two readings of the servers' counters, so that what a
    scaler sees is up to that old. `tick`: between two decisions. `drain`: a replica that is taken
    away holds its GPU that long, and serves out its queue. `detection`: a dead server is sent its
    share that long. `resolution`: of the history. `swing`: relative standard deviation of
    the rate about its line inside bins of more than a minute, which hide it, with a memory of
    `memory` seconds; None: what a trace of that rate usually has (`trace.usual_swing`).
    """

    server: ServerCurve
    sla: Sla
    min: int = 1
    max: int = 20
    starts: StartTimes = StartTimes()
    pool: NodePool | None = None
    scrape: float = 15.0
    tick: float = 15.0
    step: float = 5.0
    drain: float = 30.0
    detection: float = 2.0
    swing: float | None = None
    memory: float = 60.0
    resolution: float = 60.0
    gpus_per_replica: int = 1
    gpu_hour: float | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not 0 < self.step <= 15:
            raise ValueError(f"a step of {self.step:g} s: it is more than 0 and at most 15 s")
        for name, length in (
            ("tick", self.tick),
            ("scrape interval", self.scrape),
            ("resolution", self.resolution),
        ):
            steps = length / self.step
            if steps < 1 or abs(steps - round(steps)) > 1e-9:
                raise ValueError(f"the {name} ({length:g} s) is no multiple of {self.step:g} s")
        if not 0 <= self.min <= self.max:
            raise ValueError(f"min {self.min} and max {self.max}: min is at most max")

    @property
    def patience(self) -> float:
        """Seconds in the queue from which on a request is late: sla.queueTime.

        Of a promise on latency alone, what it leaves to the queue beside an execution at full
        batches: p99 100 ms and 19.5 ms of execution leave 80.5 ms.
        """
        if self.sla.queue_time is not None:
            return self.sla.queue_time
        if self.sla.latency:
            tightest = min(limit for _, limit in self.sla.latency)
            return max(tightest - self.server.full, 0.1 * tightest)
        return PATIENCE


def scenario_for(policy: Policy, server: ServerCurve, **changes: Any) -> Scenario:
    """The world that a policy speaks of: its promise, bounds, nodes and price."""
    given: dict[str, Any] = {
        "server": server,
        "sla": policy.sla,
        "min": policy.replicas.min,
        "max": policy.replicas.max,
    }
    if policy.cost is not None:
        given |= {"gpu_hour": policy.cost.gpu_hour, "currency": policy.cost.currency}
    nodes = policy.nodes
    if nodes is not None:
        given["gpus_per_replica"] = nodes.gpus_per_replica
        if nodes.driver is not None:
            given["pool"] = NodePool(
                gpus_per_node=nodes.gpus_per_node or nodes.gpus_per_replica,
                max_nodes=nodes.max_nodes or 64,
                spare=nodes.spare,
                autoscaled=not isinstance(nodes.driver, IN_NODES),
                initial=nodes.spare,
            )
    return Scenario(**(given | changes))
