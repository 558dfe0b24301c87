"""The composition root: which parts there are and how they are put together."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from autoscaler import __version__
from autoscaler.act.actions import withheld
from autoscaler.act.events import EventRecorder
from autoscaler.clock import Clock, SystemClock, WalkingClock
from autoscaler.kube.gke import GkeClient
from autoscaler.model import Decision, Policy, Target
from autoscaler.observe.cluster import KubernetesCluster, TargetReading
from autoscaler.observe.pools import KubernetesPools
from autoscaler.observe.scalers import frozen
from autoscaler.observe.watched import WatchedCluster
from autoscaler.policy import PolicySet, load
from autoscaler.run.acting import Freeze
from autoscaler.run.budgets import for_namespace
from autoscaler.run.faults import Cause, Fault, FaultLog, internal
from autoscaler.run.fingerprint import fingerprint
from autoscaler.run.journal import FileJournal, Journal, NoJournal
from autoscaler.run.loop import Loop, Tick
from autoscaler.run.metrics import MetricsServing, MetricsSettings
from autoscaler.run.narrate import Narrator
from autoscaler.run.reload import Reloader
from autoscaler.run.writing import WriteSettings, writing
from autoscaler.serve.board import Board
from autoscaler.serve.telemetry import Telemetry

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient
    from autoscaler.observe.port import Source


class SetupError(Exception):
    """A part cannot be put together; the text says which, why and what to give instead."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says. Seconds, bytes, Unix time."""

    policies: tuple[Path, ...]
    namespace: str | None = None  # only policies of this namespace
    prometheus: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    scrape: Mapping[tuple[str, str], str] = field(default_factory=dict)
    scrape_interval: float | None = None  # None: measured from the data
    kubernetes: bool = True
    kubeconfig: Path | None = None
    context: str | None = None
    interval: float = 5.0
    budget: float | None = None
    journal: Path | None = None
    journal_max: int = 64 * 2**20
    journal_unchanged: float = 60.0
    writes: WriteSettings = field(default_factory=WriteSettings)  # unless given: a dry run
    watches: bool = False  # a daemon: pods and targets from a watch rather than a list a tick
    replay_from: float | None = None
    metrics: MetricsSettings | None = None


class App:
    """The daemon put together; `close` gives everything back."""

    def __init__(
        self,
        settings: Settings,
        policies: PolicySet,
        source: Source,
        client: KubeClient | None,
        log: Any,
        on_tick: Callable[[Tick, list[Decision]], None],
    ) -> None:
        replay = settings.replay_from
        self.clock: Clock = SystemClock() if replay is None else WalkingClock(replay)
        self.source = source
        self._client = client
        self._gke = GkeClient()  # asks nobody before a policy names a pool there
        decided = writing(
            settings.writes,
            policies.policies,
            client,
            self.clock,
            log,
            replay=replay is not None,
            engine=self._gke,
        )
        self.executor = decided.executor
        self.leadership = decided.leadership
        self._unwritten = decided.unwritten
        self.journal: Journal = (
            FileJournal(settings.journal, settings.journal_max, settings.journal_unchanged)
            if settings.journal
            else NoJournal()
        )
        self.board = Board(
            version=__version__,
            interval=settings.interval,
            dry_run=not self.executor.writes,
            beat=self.clock.monotonic(),
            standing=self.leadership,
        )
        self.telemetry = Telemetry(self.board, self.clock.now)
        self.telemetry.causes(get_args(Cause))
        own = settings.writes.lease.namespace
        self._cluster = _cluster(client, self.clock, own, watches=settings.watches)
        self._pools = KubernetesPools(client, self.clock, self._gke) if client else None
        self._events = (
            EventRecorder(client, self.clock, uid_of=self._uid)
            if client and self.executor.writes
            else None
        )
        self.metrics = (
            MetricsServing(
                settings.metrics,
                lambda: _kubernetes(settings, log.warning),  # connections belong to one loop
                self.clock,
                self.board,
                log,
            )
            if settings.metrics and client
            else None
        )
        self.loop = Loop(
            self._policies,
            source,
            cluster=self._cluster,
            pools=self._pools,
            budgets=lambda: for_namespace(
                self._reloader.budgets, self._reloader.policies, settings.namespace
            ),
            executor=self.executor,
            states=decided.states,
            journal=self.journal,
            clock=self.clock,
            interval=settings.interval,
            on_tick=self._publish,
            budget=settings.budget,
            leadership=self.leadership,
            freeze=_freeze(client, own),
        )
        self._scrapes = settings.prometheus is None
        self._interval = settings.interval
        self._namespace = settings.namespace
        self._reloader = Reloader(
            lambda: load_policies(settings),
            lambda found: fingerprint(settings.policies, found.profiles),
            self.clock.now,
            policies,
        )
        self._force = False
        self._log = log
        self._faults = FaultLog(log)
        self._narrator = Narrator(log)
        self._on_tick = on_tick
        self._said: tuple[str, ...] = ()

    def force_reload(self) -> None:
        """SIGHUP: read the policies at the next tick whatever their hash, reopen the journal."""
        self._force = True
        self.journal.reopen()

    async def close(self) -> None:
        self.journal.close()
        if self.journal.lost:
            self._log.error("decisions were not journaled", lost=self.journal.lost)
        if self.metrics is not None:
            await self.metrics.close()
        if self._events is not None:
            await self._events.close()
        if isinstance(self._cluster, WatchedCluster):
            await self._cluster.close()
        if self._pools is not None:
            await self._pools.close()
        await self._gke.close()
        await self.source.close()
        if self._client is not None:
            await self._client.close()

    async def warm_up(self) -> None:
        """Look at the pages over the fast window, for rates; Prometheus has looked before."""
        if self._scrapes:
            for _ in range(math.ceil(self.source.windows.fast / self._interval)):
                await self.source.read((), self.clock.now(), self._interval)
                await self.clock.sleep(self._interval)

    def _policies(self) -> Sequence[Policy]:
        forced, self._force = self._force, False
        before = self._reloader.status
        status = self._reloader.check(force=forced)
        if forced or (status.hash != before.hash):
            self._log.info("policies read", good=status.good, hash=status.hash[:12])
        policies = [
            policy
            for policy in self._reloader.policies
            if self._namespace is None or policy.namespace == self._namespace
        ]
        said = withheld(policies, serving=self.metrics is not None, unwritten=self._unwritten)
        if said != self._said:
            self._said = said
            for sentence in said:
                self._log.warning(sentence)
        return policies

    def _publish(self, tick: Tick) -> None:
        faults = [*tick.problems, *self._reload_faults()]
        try:
            if self.metrics is not None and isinstance(self._cluster, WatchedCluster):
                self.metrics.publish(tick, self._cluster.last)
                faults += [Fault("access", problem) for problem in self.metrics.problems]
            faults += self._record(tick)
            self._show(tick, faults)
            self._count(tick, faults)
        except Exception as error:  # noqa: BLE001 -- what shows the loop must not stop it
            faults.append(internal("tick", error, "publish"))
        self._faults.update(faults, tick.at)
        self._on_tick(tick, self._narrator.tell(tick.decisions))

    def _record(self, tick: Tick) -> list[Fault]:
        """Events on the targets; a standby writes none."""
        if self._events is None or not (tick.led or tick.actions):
            return []
        failed: dict[str, str] = {}
        for fault in tick.problems:
            if fault.cause == "act":
                failed.setdefault(fault.where, fault.text)
        self._events.tell(tick.decisions, tick.actions, failed)
        problem = self._events.problem
        return [] if problem is None else [Fault("act", problem, "events")]

    def _uid(self, target: Target) -> str:
        known = self._cluster.last.targets if isinstance(self._cluster, WatchedCluster) else {}
        reading = known.get(target)
        return reading.uid if isinstance(reading, TargetReading) else ""

    def _show(self, tick: Tick, faults: Sequence[Fault]) -> None:
        board, status = self.board, self._reloader.status
        board.beat = self.clock.monotonic()
        board.ticks += 1
        board.tick_at = tick.at
        board.tick_duration = tick.duration
        board.decisions = tick.decisions
        board.observed_at = {key: seen.at for key, seen in tick.observations.items()}
        known = any(decision.current is not None for decision in tick.decisions)
        board.observed_once = board.observed_once or (tick.failed is None and known)
        board.blind = tick.failed or next((d.hold for d in tick.decisions if not known), None)
        board.faults = tuple(str(fault) for fault in faults if fault.cause != "policies")
        board.journal_lost = self.journal.lost
        board.policies = len(tick.policies)
        board.policies_hash = status.hash
        board.reload_good = status.good
        board.reload_at = status.changed_at
        board.reload_errors = status.errors
        board.state_error = next((str(fault) for fault in faults if fault.cause == "state"), None)

    def _count(self, tick: Tick, faults: Sequence[Fault]) -> None:
        self.telemetry.observe(
            tick.duration,
            tick.stages,
            (fault.cause for fault in faults),
            (action.kind for action in tick.actions),
            self.executor.name,
        )

    def _reload_faults(self) -> list[Fault]:
        status = self._reloader.status
        if status.good:
            return []
        shown = "; ".join(status.errors[:5])
        more = f"; and {len(status.errors) - 5} more" if len(status.errors) > 5 else ""
        text = f"the policies were edited and are not right, the last good set stays: {shown}{more}"
        return [Fault("policies", text, status.tried_hash[:12])]


async def assemble(
    settings: Settings,
    policies: PolicySet,
    log: Any,
    say: Callable[[str], None],
    on_tick: Callable[[Tick, list[Decision]], None],
) -> App:
    """Everything from the settings. Makes no request yet; raises SetupError."""
    client = await _kubernetes(settings, say)
    if settings.metrics and client is None:
        raise SetupError(
            "--metrics-api needs Kubernetes: it asks the API server who may read; give --kubeconfig"
        )
    return App(settings, policies, _source(settings), client, log, on_tick)


def _cluster(
    client: KubeClient | None, clock: Clock, own: str | None, *, watches: bool
) -> WatchedCluster | KubernetesCluster | None:
    """A daemon watches; a single look asks."""
    if client is None:
        return None
    return WatchedCluster(client, clock, own) if watches else KubernetesCluster(client, own)


def _freeze(client: KubeClient | None, own: str | None) -> Freeze | None:
    if client is None:
        return None
    return partial(frozen, client, own or client.namespace)


def load_policies(settings: Settings) -> PolicySet:
    return load(settings.policies, scrape_interval=settings.scrape_interval or 15.0)


def _source(settings: Settings) -> Source:
    if settings.prometheus is None:
        from autoscaler.observe.scrape import ScrapeSource

        return ScrapeSource(lambda: settings.scrape, interval=settings.interval)
    from autoscaler.observe.prometheus import PrometheusSource
    from autoscaler.observe.query_api import Access

    return PrometheusSource(
        Access(settings.prometheus, token_file=settings.token_file, ca_file=settings.ca_file),
        scrape_interval=settings.scrape_interval,
        at=settings.replay_from is not None,
    )


async def _kubernetes(settings: Settings, say: Callable[[str], None]) -> KubeClient | None:
    """A client where there is a configuration; none, and said so, on a laptop without one."""
    if not settings.kubernetes:
        return None
    from autoscaler.kube.client import IN_CLUSTER, KubeClient, KubeError

    try:
        return await KubeClient.connect(settings.kubeconfig, settings.context)
    except KubeError as error:
        if settings.kubeconfig or settings.context or IN_CLUSTER in os.environ:
            raise SetupError(f"{error}; give another, or --no-kubernetes") from error
        say("No Kubernetes configuration found: replicas are counted by the pods in the series.")
        return None
