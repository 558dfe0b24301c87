"""The evidence: policies, Prometheus and the cluster, all read at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoscaler.model import Missing
from autoscaler.observe.query_api import Access
from autoscaler.policy import PolicySet, load
from autoscaler.run.doctor.ask_kubernetes import ask_kubernetes
from autoscaler.run.doctor.ask_prometheus import ask_prometheus
from autoscaler.run.doctor.evidence import (
    ClusterEvidence,
    Evidence,
    PrometheusEvidence,
    Unread,
)

DEADLINE = 20.0


@dataclass(frozen=True, slots=True)
class Where:
    """What to look at. `service_account` is `namespace:name`: whose rights, ours where None."""

    policies: Sequence[Path]
    namespace: str | None = None  # only policies of this namespace
    prometheus: Access | None = None
    kubernetes: bool = True
    kubeconfig: Path | None = None
    context: str | None = None
    service_account: str | None = None


async def gather(where: Where, now: float, deadline: float = DEADLINE) -> Evidence:
    """Everything within about `deadline` seconds. Never raises for what is not there."""
    found = load(where.policies) if where.policies else PolicySet((), (), "", 0, 0)
    policies = tuple(
        p for p in found.policies if where.namespace is None or p.namespace == where.namespace
    )

    async def prometheus() -> PrometheusEvidence | Unread:
        if where.prometheus is None:
            return Unread("no --prometheus was given")
        return await ask_prometheus(where.prometheus, policies, now, deadline)

    async def cluster() -> ClusterEvidence | Unread:
        from autoscaler.kube.client import KubeClient, KubeError

        if not where.kubernetes:
            return Unread("--no-kubernetes was given")
        try:
            client = await KubeClient.connect(where.kubeconfig, where.context)
        except KubeError as error:
            return Unread(str(error))
        async with contextlib.AsyncExitStack() as leaving:
            leaving.push_async_callback(client.close)
            return await ask_kubernetes(client, policies, where.service_account, now, deadline)

    seen, kube = await asyncio.gather(prometheus(), cluster())
    return Evidence(policies, found, _measured(where, found, seen), seen, kube)


def _measured(where: Where, found: PolicySet, seen: PrometheusEvidence | Unread) -> PolicySet:
    """The same policies again, their queries held against the interval that was measured."""
    if isinstance(seen, Unread) or isinstance(seen.scrape_interval, Missing) or not found.files:
        return found
    return load(where.policies, scrape_interval=seen.scrape_interval)
