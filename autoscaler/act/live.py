"""The executor that writes: each write under a deadline that ends before our lease does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from autoscaler.act.deletion_cost import mark
from autoscaler.act.executor import ActionError, describe
from autoscaler.act.refusal import not_looked
from autoscaler.act.scale import set_replicas
from autoscaler.clock import Clock, SystemClock
from autoscaler.model import Action, Target
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient
    from autoscaler.kube.gke import GkeClient

# Seconds for all requests of one action. The lease lasts 15 s and is given up 10 s after its last
# renewal began, so that a write that hangs is over before another daemon may write.
WRITE_WITHIN = 5.0
# After a request without an answer the others of the same tick fail at once: a thousand policies
# would else wait 5 s each for an API server that hangs.
SILENT_FOR = 2.0


class LiveExecutor:
    """Writes to the cluster; with `dry_run` the API server checks the write and forgets it.

    `remaining`: seconds for which we may still write, 0.0 once the lease is not ours any more.
    `say`: told once what a pool's driver wants a reader to know.
    """

    def __init__(
        self,
        client: KubeClient,
        remaining: Callable[[], float],
        *,
        dry_run: bool = False,
        clock: Clock | None = None,
        say: Callable[[str], None] = lambda _: None,
        engine: GkeClient | None = None,
    ) -> None:
        from autoscaler.kube.paths import FIELD_MANAGER, Paths

        self.name = "server-dry-run" if dry_run else "live"
        self.writes = not dry_run
        self._client = client
        self._paths = Paths(client)
        self._remaining = remaining
        self._dry_run = dry_run
        self._query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        self._clock = clock or SystemClock()
        self._silent_at = -math.inf
        self._say = say
        self._engine = engine
        self._said: set[str] = set()

    async def execute(self, action: Action) -> None:
        """Raises ActionError; nothing else for what Kubernetes does."""
        began = self._clock.monotonic()
        if began - self._silent_at < SILENT_FOR:
            raise ActionError(
                f"{self._client.host} did not answer a moment ago; tried again next tick"
            )

        def left() -> float:
            return self._left(began)

        try:
            async with asyncio.timeout(left()):
                await self._carry_out(action, left)
        except TimeoutError:
            self._silent_at = self._clock.monotonic()
            raise ActionError(
                f"{self._client.host} did not answer in time; whether it was written is not known; "
                "observed again next tick",
                unanswered=True,
            ) from None
        except ActionError as error:
            if error.unanswered:
                self._silent_at = self._clock.monotonic()
            raise

    def _left(self, began: float) -> float:
        """Seconds for the next request of an action that began then. Raises ActionError."""
        remaining = self._remaining()
        if remaining <= 0:
            raise ActionError("not written: the lease is not ours any more")
        left = min(WRITE_WITHIN - (self._clock.monotonic() - began), remaining)
        if left <= 0:
            limit = format_duration(WRITE_WITHIN)
            raise ActionError(
                f"{self._client.host} took longer than {limit}; nothing was written, observed "
                "again next tick",
                unanswered=True,
            )
        return left

    async def _carry_out(self, action: Action, left: Callable[[], float]) -> None:
        if action.kind == "scale":
            path = await self._path(action.target, left())
            await set_replicas(self._client, path, action, query=self._query, left=left)
        elif action.kind == "deletionCost":
            await mark(self._client, action, query=self._query, left=left)
        else:
            await self._resize(action, left)

    async def _path(self, target: Target, within: float) -> str:
        from autoscaler.kube.client import KubeError

        try:
            return await self._paths.target(target, within)
        except KubeError as error:
            where = f"{target.kind} {target.namespace}/{target.name}"
            raise not_looked(where, error) from error

    async def _resize(self, action: Action, left: Callable[[], float]) -> None:
        from autoscaler.act.nodepools import DRIVERS

        if action.pool is None:
            raise ActionError(f"cannot {describe(action)}: the action names no pool")
        driver = DRIVERS[type(action.pool.driver)]
        notes = await driver(
            self._client,
            action,
            deadline=left(),
            dry_run=self._dry_run,
            engine=self._engine,
        )
        for note in notes:
            if note not in self._said:
                self._said.add(note)
                self._say(note)
