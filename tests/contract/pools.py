"""Wishes for node pools, and targets that need GPUs, for the drivers' tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoscaler.act.nodepools import DRIVERS
from autoscaler.model import IN_NODES, Action, Driver, PoolWish, Target
from tests.contract.writing import connected

LIMITS_ONLY: Mapping[str, Any] = {"limits": {"nvidia.com/gpu": 1}}


def wish(
    namespace: str, driver: Driver, before: int, after: int, *, target: Target | None = None
) -> Action:
    whom = target or Target(namespace, "flower")
    in_nodes = isinstance(driver, IN_NODES)
    pool = PoolWish(driver, "nodes" if in_nodes else "spare replicas", before, after, "because")
    return Action("pool", whom, before, after, "because", f"{namespace}/flower", pool=pool)


async def resize(
    kubeconfig: Path, action: Action, *, dry_run: bool = False, deadline: float = 10.0
) -> tuple[str, ...]:
    assert action.pool is not None
    async with connected(kubeconfig) as client:
        driver = DRIVERS[type(action.pool.driver)]
        return await driver(client, action, deadline=deadline, dry_run=dry_run)


def gpu_deployment(
    namespace: str,
    replicas: int,
    *,
    name: str = "flower",
    resources: Mapping[str, Any] = LIMITS_ONLY,
    **pod: Any,
) -> str:
    labels = {"app": name}
    triton = {"name": "triton", "image": "triton:24.10", "resources": dict(resources)}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [triton], **pod}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    kind = {"apiVersion": "apps/v1", "kind": "Deployment"}
    return json.dumps({**kind, "metadata": {"namespace": namespace, "name": name}, "spec": spec})


def priority_class(name: str, value: int, **more: Any) -> str:
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    return json.dumps({**kind, "metadata": {"name": name}, "value": value, **more})
