"""What one daemon sees of the world: signals, replicas, pods, pools; late, wrong or nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from autoscaler.model import Missing, Policy, Replicas, Target, Windows
from autoscaler.observe.cluster import ClusterReading, TargetReading
from autoscaler.observe.pools import PoolReadings
from autoscaler.observe.port import PodReading, Readings
from tests.faults.api import WALL, Wire
from tests.faults.servers import SCRAPE, WINDOWS
from tests.faults.world import World

Lie = Literal["gone", "nan", "partial", "stale"]

# A watch that has heard nothing for so long is not trusted (autoscaler.observe.watches).
STALE_AFTER = 60.0
# Samples older than three scrapes and 5 s are not (autoscaler.observe.port).
FRESH_FOR = 3 * SCRAPE + 5.0
NOT_MEASURED = Missing("not measured")


@dataclass
class Prometheus:
    """One for all daemons. `since`: true second at which it began to lie."""

    lie: Lie | None = None
    since: float = 0.0

    def trusted(self, now: float) -> bool:
        """Whether what it says now is the truth; what is stale is for a while."""
        return self.lie is None or (self.lie == "stale" and now - self.since <= FRESH_FOR)


@dataclass(frozen=True)
class View:
    """The world at true second `at`."""

    at: float
    target: TargetReading | None
    pools: PoolReadings


class Eyes:
    """A Source, a Cluster and a PoolReader. `ahead`: its machine's clock before the true one."""

    name = "fake"

    def __init__(self, world: World, prometheus: Prometheus, wire: Wire, policy: Policy) -> None:
        self._world, self._prometheus, self._wire = world, prometheus, wire
        self._policy = policy
        self.ahead = 0.0
        self.trusted = True  # what the last read said
        self._view: View | None = None

    @property
    def windows(self) -> Windows:
        return WINDOWS

    async def close(self) -> None:
        pass

    # --- signals -----------------------------------------------------------------------------

    async def read(self, queries: Sequence[str], now: float, deadline: float) -> Readings:
        prometheus, true = self._prometheus, self._world.now
        self.trusted = prometheus.trusted(true)
        failed = "Prometheus cannot be reached" if prometheus.lie == "gone" else None
        pods = {} if failed else self._signals(true)
        return Readings(
            at=now,
            windows=WINDOWS,
            source=self.name,
            pods=pods,
            failed=failed,
            scrape_interval=SCRAPE,
        )

    def _signals(self, true: float) -> dict[tuple[str, str], PodReading]:
        lie = self._prometheus.lie
        until = self._prometheus.since if lie == "stale" else true
        found = {}
        for number, pod in enumerate(self._world.pods):
            if pod.server is None or (lie == "partial" and number % 2 == 0):
                continue
            signals = pod.server.signals(until, WALL + self.ahead, nan=lie == "nan")
            if signals is not None:
                fresh_at = WALL + self.ahead + min(true, until)
                found["default", pod.name] = PodReading(
                    fresh_at, (signals,), NOT_MEASURED, NOT_MEASURED
                )
        return found

    # --- Kubernetes --------------------------------------------------------------------------

    async def read_cluster(
        self,
        targets: Sequence[Target],
        now: float,
        deadline: float,
        scaled: Collection[Target] = frozenset(),
    ) -> ClusterReading:
        view = self._look()
        if view is None:
            return ClusterReading(dict.fromkeys(targets, Missing("the watch is silent")))
        if view.target is None:
            return ClusterReading(dict.fromkeys(targets, Missing("no Deployment flower")))
        return ClusterReading(dict.fromkeys(targets, view.target))

    async def read_pools(
        self, policies: Sequence[Policy], now: float, deadline: float
    ) -> PoolReadings:
        view = self._look()
        if view is None:
            silent = Missing("the watch is silent")
            key = self._policy.key
            return PoolReadings(pools={key: silent}, fallbacks={key: silent})
        return view.pools

    def _look(self) -> View | None:
        """What the watches have, as long as they may be believed."""
        now = self._world.now
        if self._wire.reaches:
            if self._view is None or self._view.at != now:
                self._view = self._seen(now)
        elif self._view is not None and now - self._view.at > STALE_AFTER:
            return None
        return self._view

    def _seen(self, now: float) -> View:
        world, key = self._world, self._policy.key
        pods = tuple(pod.seen(WALL) for pod in world.pods)
        target = TargetReading(
            Replicas(
                world.replicas,
                sum(pod.ready and not pod.terminating for pod in pods),
                resource_version=str(world.version),
            ),
            pods,
            "app=flower",
            uid=f"uid-{world.uid}",
            hands=world.hands_seen(),
        )
        first, second = (pool.seen(now, world.busy) for pool in (world.first, world.second))
        nodes = {node.name: node for node in (*first.nodes, *second.nodes)}
        pools = PoolReadings(pools={key: first}, fallbacks={key: second}, nodes=nodes)
        return View(now, target if world.exists else None, pools)


class ClusterEyes:
    """Both ports have a `read`."""

    def __init__(self, eyes: Eyes) -> None:
        self.read = eyes.read_cluster


class PoolEyes:
    def __init__(self, eyes: Eyes) -> None:
        self.read = eyes.read_pools
