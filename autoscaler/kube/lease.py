"""Leader election by a Lease: who of several daemons may write, and for how long yet.

The rules are client-go's (15 s lease, 10 s to renew, a try every 2 s), without its faults:

- Our own time to write counts from *before* the renewal was sent: `remaining()` reaches 0 at
  sent + 10 s, whatever the API server does. Another may begin no earlier than 13 s after it *saw*
  that renewal, which is later still. Between the two lie 3 s for a request that is on its way.
- Whether another's lease has run out is measured on our own monotonic clock: 15 s from the look
  that still showed the record before, and no less than 13 s from the one that showed the new one
  (looks are 2 s apart, so a leader that dies is followed within 15 s). The times written in the
  Lease are for people, and clocks may differ by hours.
- A lease that is missing, or was emptied or handed over by hand, says nothing about who may still
  write. It is taken at once, so that a former leader hears of it, but we write only 12 s later: a
  renewal that succeeded before lasts 10 s. Only a release is believed.
"""

from __future__ import annotations

import asyncio
import copy
import math
import random
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from autoscaler.clock import Clock
from autoscaler.kube.client import KubeClient, KubeError
from autoscaler.units import format_duration

FOLDER = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
FORBIDDEN, NOT_FOUND, CONFLICT = 403, 404, 409
# As client-go marks a release: nobody holds a lease of one second. Ours was not acquired, either:
# a holder deleted by hand leaves that time behind.
RELEASED_SECONDS = 1
# A holder may have asked for a longer lease than ours; a typing error of years must end, though.
LONGEST_FACTOR = 10
# Renewals without an answer that may have been carried out all the same.
TRIED = 16


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says. Its times are text: they are compared, never computed with."""

    holder: str = ""
    seconds: int = 0
    renewed: str | None = None
    acquired: str | None = None
    transitions: int = 0

    @property
    def released(self) -> bool:
        return not (self.holder or self.acquired) and self.seconds == RELEASED_SECONDS


class Elector:
    """Competes for one Lease while `run` runs. Never raises for what the API server does.

    `lease`, `renew_deadline` and `retry` are seconds. `identity` gets a suffix of its own: two
    processes of one name must not take each other's renewals for their own.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock,
        *,
        lease: float = 15.0,
        renew_deadline: float = 10.0,
        retry: float = 2.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if not lease > renew_deadline > 2 * retry > 0:
            raise ValueError(
                f"lease {lease} > renew_deadline {renew_deadline} > 2 × retry {retry} > 0 must hold"
            )
        self.identity = f"{identity}_{secrets.token_hex(4)}"
        self.term = 0
        self.problem: str | None = None
        self._client = client
        self._folder = FOLDER.format(namespace=namespace)
        self._namespace, self._name = namespace, name
        self._clock = clock
        self._seconds, self._deadline, self._retry = lease, renew_deadline, retry
        self._jitter = jitter
        # Two tries fit into the time to renew: 2 s pause + 4 s + 4 s = 10 s.
        self._within = (renew_deadline - retry) / 2
        self._turn = asyncio.Lock()
        self._object: dict[str, Any] | None = None  # the Lease as the server last showed it
        self._record = Record()
        self._rival_until = -math.inf  # monotonic; until then somebody else's lease lasts
        self._looked: float | None = None  # monotonic; when our last look at it was sent
        self._doubtful = False  # nobody holds it, but somebody may believe to
        self._silent_until = -math.inf  # monotonic; until then we hold it, but do not write
        self._sent: tuple[float, float] | None = None  # monotonic, wall: of our last renewal
        self._tried: deque[str] = deque(maxlen=TRIED)  # the times that we wrote, or tried to
        self._resigned = False

    @property
    def leading(self) -> bool:
        return self.remaining() > 0

    @property
    def holder(self) -> str | None:
        return self._record.holder or None

    def remaining(self) -> float:
        """Seconds for which we may still write; 0.0 where we do not lead."""
        return 0.0 if self._clock.monotonic() < self._silent_until else self._kept()

    def _kept(self) -> float:
        """Seconds for which the lease is ours.

        By the clock on which more time has passed since the renewal was sent: while a machine is
        suspended, its monotonic clock stands still and its wall clock does not.
        """
        if self._sent is None:
            return 0.0
        monotonic, wall = self._sent
        passed = max(self._clock.monotonic() - monotonic, self._clock.now() - wall)
        return max(0.0, self._deadline - passed)

    async def run(self) -> None:
        """Compete until cancelled or released."""
        while not self._resigned:
            began = self._clock.monotonic()
            await self._round()
            await self._clock.sleep(self._pause(began))

    async def confirm(self) -> bool:
        """Renew now, before a write: whether the lease still is ours. Takes seconds at most."""
        if self.leading:
            await self._round()
        return self.leading

    async def release(self) -> None:
        """Give the lease up, so that the next one need not wait for its end; for good.

        To be called when the last write is done. Where the API server is away, the lease runs out
        by itself.
        """
        self._resigned = True
        async with self._turn:
            ours, self._sent = self._sent is not None, None
            if not ours:
                return
            try:
                if not await self._write(self._released()):
                    await self._look()  # somebody touched the Lease, perhaps only its labels
                    if self._record.holder == self.identity:
                        await self._write(self._released())
            except KubeError as error:
                self.problem = self._complaint(error)

    def _released(self) -> Record:
        now = _micro_time(self._clock.now())
        return Record("", RELEASED_SECONDS, now, None, self._record.transitions)

    # --- one round ---------------------------------------------------------------------------

    async def _round(self) -> None:
        async with self._turn:
            if self._resigned:
                return
            try:
                await self._compete()
            except KubeError as error:
                self.problem = self._complaint(error)
            except Exception as error:  # noqa: BLE001 -- contained: our lease then runs out
                self.problem = self._complaint(KubeError(f"a strange answer: {error!r}"))
            else:
                self.problem = None

    async def _compete(self) -> None:
        """Renew what is ours; otherwise look, and take what is free."""
        if self._kept() and await self._renew():
            return
        await self._look()
        if self._clock.monotonic() >= self._rival_until:
            await self._renew()

    async def _renew(self) -> bool:
        """Take the lease, or keep it; False where it was changed since we looked."""
        sent = self._clock.monotonic(), self._clock.now()
        known = self._record
        ours = known.holder == self.identity
        now = _micro_time(sent[1])
        wanted = Record(
            holder=self.identity,
            seconds=math.ceil(self._seconds),
            renewed=now,
            acquired=known.acquired if ours and known.acquired else now,
            transitions=known.transitions + (0 if ours else 1),
        )
        self._tried.append(now)
        missing = self._object is None
        if not await self._write(wanted):
            return False
        if not self._kept():
            self.term += 1
            if self._doubtful or missing:
                self._silent_until = self._clock.monotonic() + self._deadline + self._retry
            elif not ours:
                self._silent_until = -math.inf
        self._sent, self._rival_until, self._doubtful = sent, -math.inf, False
        return True

    async def _look(self) -> None:
        sent = self._clock.monotonic()
        try:
            found = await self._ask("GET", f"{self._folder}/{self._name}")
        except KubeError as error:
            self._looked = None
            if error.status != NOT_FOUND:
                raise
            self._object, self._rival_until = None, -math.inf
            self._doubtful = not self._kept()
            return
        self._notice(found)
        self._looked = sent

    def _notice(self, found: dict[str, Any]) -> None:
        """What a Lease that was shown to us means; others' time counts from now."""
        self._object = found
        record = _record(found)
        if record == self._record and (record.holder or record.released):
            return
        self._record = record
        if record.holder == self.identity and (self._kept() or record.renewed in self._tried):
            return  # our own words, perhaps of a renewal that was never answered
        self._sent, self._rival_until, self._doubtful = None, -math.inf, not record.released
        if record.holder not in ("", self.identity):
            lasts = max(self._seconds, min(record.seconds, LONGEST_FACTOR * self._seconds))
            now = self._clock.monotonic()
            before = now if self._looked is None else self._looked
            self._rival_until = max(before + lasts, now + lasts - self._retry)
            self._doubtful = False

    # --- the API -----------------------------------------------------------------------------

    async def _write(self, record: Record) -> bool:
        """False on a conflict: somebody wrote, made or deleted the Lease since we saw it."""
        body = copy.copy(self._object) or {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"namespace": self._namespace, "name": self._name},
        }
        body["spec"] = (body.get("spec") or {}) | _spec(record)
        method, path = "PUT", f"{self._folder}/{self._name}"
        if self._object is None:
            method, path = "POST", self._folder
        try:
            self._object = await self._ask(method, path, body)
        except KubeError as error:
            if error.status == CONFLICT or (error.status == NOT_FOUND and method == "PUT"):
                return False
            raise
        self._record = _record(self._object)
        return True

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            # The client keeps its limit by itself, but not while it gets a new token.
            async with asyncio.timeout(self._within + 1.0):
                return await self._client.request(method, path, body=body, within=self._within)
        except TimeoutError:
            within = format_duration(self._within)
            raise KubeError(f"no answer within {within}") from None

    def _pause(self, began: float) -> float:
        """Until the next beat, earlier ones for some so that standbys do not march in step; and
        where another's lease ends before that, until then."""
        now = self._clock.monotonic()
        due = began + self._retry * (1 - self._jitter() / 4)
        if now < self._rival_until < due:
            due = self._rival_until
        return max(due - now, self._retry / 40)

    def _complaint(self, error: KubeError) -> str:
        remedy = ""
        if error.status == FORBIDDEN:
            remedy = (
                "; allow get, create and update of leases.coordination.k8s.io in namespace "
                f"{self._namespace}"
            )
        return f"Lease {self._namespace}/{self._name}: {error}{remedy}"


def _record(lease: dict[str, Any]) -> Record:
    spec = lease.get("spec") or {}
    return Record(
        holder=spec.get("holderIdentity") or "",
        seconds=int(spec.get("leaseDurationSeconds") or 0),
        renewed=spec.get("renewTime"),
        acquired=spec.get("acquireTime"),
        transitions=int(spec.get("leaseTransitions") or 0),
    )


def _spec(record: Record) -> dict[str, Any]:
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.seconds,
        "renewTime": record.renewed,
        "acquireTime": record.acquired,
        "leaseTransitions": record.transitions,
    }


def _micro_time(now: float) -> str:
    """UTC with all six digits, as the API wants them: also where they are 000000."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
