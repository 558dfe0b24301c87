"""Node pools are resized by drivers: one for each way in which a pool may be asked for nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from autoscaler.act.executor import ActionError, describe
from autoscaler.act.nodepools import capacity_buffer, gke, placeholder_pods, scaled_pool
from autoscaler.act.nodepools.calls import ConflictError
from autoscaler.model import Action, CapacityBuffer, Driver, GkePool, PlaceholderPods, ScaledPool
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient
    from autoscaler.kube.gke import GkeClient

# A pool's status changes with each node, and each change makes a write of the version before a
# conflict: looked at again at once, so often, with every check made anew.
LOOKS = 3


class Resize(Protocol):
    async def __call__(
        self,
        client: KubeClient,
        action: Action,
        *,
        deadline: float,
        dry_run: bool = False,
        engine: GkeClient | None = None,
    ) -> tuple[str, ...]:
        """Carries out `action.pool`. `deadline`: seconds for all of its calls together. `engine`:
        the one that reads GKE's pools, which remembers what was asked for; None: one for this call.

        Returns sentences that the reader should know, mostly none. Raises ActionError; what came
        of a write that was cut off the next observation tells.
        """


async def resize(
    client: KubeClient,
    action: Action,
    *,
    deadline: float,
    dry_run: bool = False,
    engine: GkeClient | None = None,
) -> tuple[str, ...]:
    """See Resize; whatever the driver of the action's pool."""
    try:
        async with asyncio.timeout(deadline):
            for _ in range(LOOKS - 1):
                with suppress(ConflictError):
                    return await _resize(client, action, deadline, dry_run, engine)
            return await _resize(client, action, deadline, dry_run, engine)
    except TimeoutError:
        waited = format_duration(round(deadline, 1))
        raise ActionError(
            f"{describe(action)}: not done within {waited}, and whether it was written is not "
            "known; observed again next tick",
            # GKE's silence says nothing of the API server.
            unanswered=not (action.pool and isinstance(action.pool.driver, GkePool)),
        ) from None


async def _resize(
    client: KubeClient, action: Action, within: float, dry_run: bool, engine: GkeClient | None
) -> tuple[str, ...]:
    wish, target = action.pool, action.target
    if wish is None:
        raise ActionError(f"cannot {describe(action)}: the action names no pool")
    match wish.driver:
        case CapacityBuffer() as driver:
            return await capacity_buffer.resize(
                client, target, wish, driver, within=within, dry_run=dry_run
            )
        case PlaceholderPods() as driver:
            return await placeholder_pods.resize(
                client, target, wish, driver, within=within, dry_run=dry_run
            )
        case ScaledPool() as driver:
            return await scaled_pool.resize(
                client, target, wish, driver, within=within, dry_run=dry_run
            )
        case GkePool() as driver:
            from autoscaler.kube.gke import GkeClient

            api = engine or GkeClient()
            try:
                return await gke.resize(
                    client, wish, driver, within=within, dry_run=dry_run, gke=api
                )
            finally:
                if engine is None:
                    await api.close()


DRIVERS: Mapping[type[Driver], Resize] = dict.fromkeys(
    (CapacityBuffer, PlaceholderPods, ScaledPool, GkePool), resize
)
