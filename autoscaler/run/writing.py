"""Whether this process may write to the cluster, as who, and where its state is kept."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from autoscaler.act.executor import DryRun, Executor, Refused
from autoscaler.clock import Clock
from autoscaler.model import Policy
from autoscaler.run.leadership import Alone, Leadership
from autoscaler.run.state import FileStates, MemoryStates, States

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient
    from autoscaler.kube.gke import GkeClient
    from autoscaler.kube.lease import Elector

LEASE = "triton-autoscaler"
STATE = "triton-autoscaler-state"

BY_WISH = "--dry-run writes nothing"
CHECKED_ONLY = "--server-dry-run has the API server check the writes and forget them"
RECORDED = "recorded time is over: nothing can be written"
NO_KUBERNETES = "there is no Kubernetes to write to"
NO_STATE = "No --state: a restart forgets cooldowns and stabilization windows."
FILE_STATE = (
    "--state is a file of this machine: a failover forgets cooldowns. Give --state configmap."
)
NOT_ELECTED = (
    "nothing is written: two daemons must not write to one cluster. Give --leader-elect to take "
    "part in the election, or --no-leader-elect where you know that no other daemon writes"
)
LATE = (
    "nothing is written: no policy was in mode scale when this daemon started, so it takes no part "
    "in the election. Restart it (kubectl rollout restart -n triton-autoscaler "
    "deploy/triton-autoscaler), with manifests/components/high-availability"
)


@dataclass(frozen=True, slots=True)
class Place:
    """NAMESPACE/NAME of an object of ours; without a namespace: the one that we run in."""

    name: str
    namespace: str | None = None


StatePlace: TypeAlias = Path | Place | None


@dataclass(frozen=True, slots=True)
class WriteSettings:
    """What the command line says of writing. As it stands here, nothing is written."""

    dry_run: bool = True
    server_dry_run: bool = False  # the API server checks each write and forgets it
    elect: bool | None = None  # None: nobody said
    lease: Place = Place(LEASE)
    state: StatePlace = None  # None: a ConfigMap for one that is elected, else in memory
    daemon: bool = False
    in_cluster: bool = False


@dataclass(frozen=True, slots=True)
class Writing:
    """`unwritten`: why nothing is written, in words; None where it is."""

    executor: Executor
    leadership: Leadership
    states: States
    unwritten: str | None


def writing(
    settings: WriteSettings,
    policies: Sequence[Policy],
    client: KubeClient | None,
    clock: Clock,
    log: Any,
    *,
    replay: bool = False,
    engine: GkeClient | None = None,
) -> Writing:
    """Put together; asks nobody yet. `policies` are those of the start."""
    elector = None
    if client is not None and not replay and _elects(settings, policies):
        elector = _elector(settings, client, clock)
    leadership: Leadership = elector or Alone()
    executor: Executor
    unwritten: str | None
    if client is None or replay or settings.dry_run:
        executor = DryRun(log.info)
        unwritten = RECORDED if replay else BY_WISH if settings.dry_run else NO_KUBERNETES
    elif settings.server_dry_run or elector is not None or settings.elect is False:
        from autoscaler.act.live import LiveExecutor

        checked = settings.server_dry_run
        executor = LiveExecutor(
            client,
            leadership.remaining,
            dry_run=checked,
            clock=clock,
            say=log.info,
            engine=engine,
        )
        unwritten = CHECKED_ONLY if checked else None
    else:
        why = unwritten = LATE if settings.daemon and settings.in_cluster else NOT_ELECTED
        executor = Refused(why)
    states = MemoryStates() if replay else _states(settings, client, elector, clock)
    if settings.daemon and isinstance(states, MemoryStates):
        log.warning(NO_STATE)
    if elector is not None and isinstance(states, FileStates):
        log.warning(FILE_STATE)
    return Writing(executor, leadership, states, unwritten)


def _elects(settings: WriteSettings, policies: Sequence[Policy]) -> bool:
    """A dry run never: it would keep the lease from the daemon that means it."""
    if settings.dry_run or settings.server_dry_run or not settings.daemon:
        return False
    if settings.elect is not None:
        return settings.elect
    return settings.in_cluster and any(policy.mode == "scale" for policy in policies)


def _elector(settings: WriteSettings, client: KubeClient, clock: Clock) -> Elector:
    from autoscaler.kube.lease import Elector

    identity = os.environ.get("HOSTNAME") or socket.gethostname()
    lease = settings.lease
    return Elector(client, lease.namespace or client.namespace, lease.name, identity, clock)


def _states(
    settings: WriteSettings, client: KubeClient | None, elector: Elector | None, clock: Clock
) -> States:
    place = settings.state
    if place is None and elector is not None:
        place = Place(STATE, settings.lease.namespace)  # a failover forgets no cooldown
    if isinstance(place, Path):
        return FileStates(place)
    if place is None or client is None:
        return MemoryStates()
    from autoscaler.run.state_configmap import ConfigMapStates

    namespace = place.namespace or client.namespace
    return ConfigMapStates(client, namespace, place.name, clock=clock)
