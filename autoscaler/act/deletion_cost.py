"""Which pods go first at a scale-in: the annotation that the ReplicaSet controller sorts by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from autoscaler.act.refusal import not_written
from autoscaler.model import Action

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient, KubeError

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
# Kubernetes asks not to write it often: one PATCH a pod. A hundred pods at 5 ms, eight at once,
# are 60 ms; what is over goes by the controller's own order, which is right but not the cheapest.
MOST_PODS = 100
AT_ONCE = 8


async def mark(
    client: KubeClient,
    action: Action,
    *,
    query: Mapping[str, str],
    left: Callable[[], float],
) -> None:
    """The lowest costs, MOST_PODS of them; a pod that is gone is no matter. `left`: seconds for the
    next request; raises where there are none. Raises ActionError.
    """
    from autoscaler.kube.client import KubeError

    limit = asyncio.Semaphore(AT_ONCE)
    namespace = action.target.namespace

    async def one(pod: str, cost: int) -> KubeError | None:
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
        # 0 is what a pod without it costs: the annotation is taken off again.
        value = str(cost) if cost else None
        async with limit:
            try:
                await client.request(
                    "PATCH",
                    path,
                    query=dict(query),
                    body={"metadata": {"annotations": {ANNOTATION: value}}},
                    content_type="application/merge-patch+json",
                    within=left(),
                )
            except KubeError as error:
                return None if error.status == 404 else error
        return None

    lowest = sorted(action.deletion_costs.items(), key=lambda item: (item[1], item[0]))[:MOST_PODS]
    found = await asyncio.gather(*(one(*pod) for pod in lowest), return_exceptions=True)
    errors = [error for error in found if isinstance(error, KubeError)]
    for outcome in found:
        if isinstance(outcome, BaseException) and outcome not in errors:
            raise outcome  # the lease is not ours any more
    if errors:
        where = f"{len(errors)} of {len(found)} pods of {namespace}/{action.target.name}"
        raise not_written(where, errors[0], "patch")
