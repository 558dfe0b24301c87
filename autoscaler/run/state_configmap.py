"""The states in ConfigMaps, for several daemons: what one has written the next one decides with.

`NAME` holds part 0, `NAME-1`, … the others (`autoscaler.run.state_parts`), each written with the
resourceVersion it was read with: a leader of the past, whose write comes late, is refused. What
cannot be read is never taken for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autoscaler.clock import Clock, SystemClock
from autoscaler.kube.client import KubeClient, KubeError
from autoscaler.run.jump import shift
from autoscaler.run.state import VERSION, Remembered, StateConflict, StateError
from autoscaler.run.state_parts import (
    NewerPart,
    Part,
    PartDocument,
    Placement,
    UnreadablePart,
    decoded,
    encoded,
    place,
)
from autoscaler.units import format_duration

# Seconds that reading or writing all parts may take.
WITHIN = 5.0
# Seconds between two saves of mere history: 240 an hour for a fleet that wishes for no change.
PACE = 15.0
# 1,000 policies with full histories, every forecast too, need 13. A role can name them all.
MOST_PARTS = 16
# The API server tells its time in whole seconds: a difference below is none.
SKEW_TOLERANCE = 2.0
WRITTEN = "triton-autoscaler/written"  # annotation: one without it was never written by us
LABELS = {"app.kubernetes.io/name": "triton-autoscaler", "app.kubernetes.io/component": "state"}
FORBIDDEN, NOT_FOUND, CONFLICT = 403, 404, 409


class ConfigMapStates:
    """The states in `namespace`, as ConfigMaps `name`, `name-1`, …, `name-7`."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        *,
        clock: Clock | None = None,
        pace: float = PACE,
        within: float = WITHIN,
    ) -> None:
        self.pace = pace
        self._client = client
        self._namespace, self._name = namespace, name
        self._folder = f"/api/v1/namespaces/{namespace}/configmaps"
        self._clock: Clock = clock or SystemClock()
        self._within = within
        self._server: float | None = None  # the API server's Unix time at our monotonic 0
        self._parts: list[Part] = [Part()]

    async def load(self) -> dict[str, Remembered]:
        """Raises StateError, in words, for whatever is there and cannot be read."""
        try:
            async with asyncio.timeout(self._within):
                self._parts = await self._read_all()
        except TimeoutError:
            raise StateError(self._slow("read")) from None
        found: dict[str, Remembered] = {}
        for part in self._parts:
            for key, entry in part.policies.items():
                if key not in found or entry.at >= found[key].at:
                    found[key] = entry
        return found

    async def save(self, states: Mapping[str, Remembered]) -> None:
        """Writes the parts that changed. Raises StateError; StateConflict where others wrote."""
        placed = await asyncio.to_thread(place, self._parts, states)
        if len(placed.policies) > MOST_PARTS:
            raise StateError(
                f"the states of {len(states)} policies need {len(placed.policies)} ConfigMaps "
                f"{self._where()}, more than {MOST_PARTS}: run two installations, each with a "
                "part of the policies"
            )
        try:
            async with asyncio.timeout(self._within):
                await self._write_all(placed)
        except TimeoutError:
            raise StateError(self._slow("written")) from None

    # --- reading -----------------------------------------------------------------------------

    async def _read_all(self) -> list[Part]:
        first = await self._read(0)
        if not first.exists:
            if not (await self._read(1)).exists:
                return [first]
            raise StateError(
                f"ConfigMap {self._where()} is missing, but {self._where(1)} is there, so this is "
                f"no first start: {self._remedy(MOST_PARTS)}"
            )
        more = await asyncio.gather(*(self._read(number) for number in range(1, first.parts)))
        parts = [first, *more]
        for number, part in enumerate(parts):
            if not part.exists:
                raise StateError(
                    f"ConfigMap {self._where(number)} is missing, the {first.parts} parts of the "
                    f"state are not complete: {self._remedy(first.parts)}"
                )
        return parts

    async def _read(self, number: int) -> Part:
        try:
            found = await self._ask("GET", self._path(number))
        except KubeError as error:
            if error.status == NOT_FOUND:
                return Part()
            raise StateError(self._complaint(number, "read", error)) from error
        metadata = found["metadata"]
        try:
            document = await asyncio.to_thread(decoded, found)
        except NewerPart as error:
            raise StateError(
                f"ConfigMap {self._where(number)} has {error}, written by a newer "
                f"triton-autoscaler; this one reads version {VERSION}: run the newer one, or "
                f"{self._remedy(MOST_PARTS)}"
            ) from error
        except UnreadablePart as error:
            raise StateError(self._corrupt(number, str(error))) from error
        if document is None:
            if WRITTEN in (metadata.get("annotations") or {}):
                raise StateError(self._corrupt(number, "its content is gone"))
            return Part(metadata=metadata)
        skew = self._ahead() - document.ahead
        if abs(skew) <= SKEW_TOLERANCE:
            skew = 0.0
        return Part(_in_our_time(document.policies, skew), document.parts, metadata)

    # --- writing -----------------------------------------------------------------------------

    async def _write_all(self, placed: Placement) -> None:
        count = len(placed.policies)
        self._parts += [Part() for _ in range(count - len(self._parts))]
        for number in placed.order:
            part, policies = self._parts[number], placed.policies[number]
            parts = count if number == 0 else 1
            if part.policies != policies or part.parts != parts or not part.exists:
                await self._write(number, policies, parts)

    async def _write(self, number: int, policies: dict[str, Remembered], parts: int) -> None:
        known = self._parts[number].metadata
        if known is None and number:
            known = await self._left_over(number)
        document = PartDocument(policies, parts, ahead=round(self._ahead(), 1))
        content = await asyncio.to_thread(encoded, document)
        try:
            written = await self._put(number, known, content)
        except KubeError as error:
            if error.status == CONFLICT:
                raise StateConflict(
                    f"ConfigMap {self._where(number)} was changed by somebody else since it was "
                    "read; it is read again before anything is written"
                ) from error
            raise StateError(self._complaint(number, "written", error)) from error
        self._parts[number] = Part(policies, parts, written["metadata"])

    async def _put(
        self, number: int, known: dict[str, Any] | None, content: dict[str, dict[str, str]]
    ) -> Any:
        """With the labels that others gave it; made anew where it was deleted: we know it all."""
        if known is not None:
            try:
                body = self._object(number, known) | content
                return await self._ask("PUT", self._path(number), body)
            except KubeError as error:
                if error.status != NOT_FOUND:
                    raise
        return await self._ask("POST", self._folder, self._object(number, None) | content)

    async def _left_over(self, number: int) -> dict[str, Any] | None:
        """A new part may be there: from a save that was broken off before part 0 named it."""
        try:
            metadata: dict[str, Any] = (await self._ask("GET", self._path(number)))["metadata"]
        except KubeError as error:
            if error.status == NOT_FOUND:
                return None
            raise StateError(self._complaint(number, "read", error)) from error
        return metadata

    def _object(self, number: int, known: dict[str, Any] | None) -> dict[str, Any]:
        new: dict[str, Any] = {
            "name": self._title(number),
            "namespace": self._namespace,
            "labels": LABELS,
        }
        metadata = new if known is None else {**known}
        metadata.pop("managedFields", None)
        metadata["annotations"] = (metadata.get("annotations") or {}) | {WRITTEN: f"v{VERSION}"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}

    # --- the API and its complaints ----------------------------------------------------------

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            answer = await self._client.request(method, path, body=body, within=self._within)
        except KubeError as error:
            if error.status:  # a refusal tells the time, too
                self._compare_clocks()
            raise
        self._compare_clocks()
        return answer

    def _compare_clocks(self) -> None:
        if self._client.date is not None:
            self._server = self._client.date - self._clock.monotonic()

    def _ahead(self) -> float:
        """Our wall clock before the API server's, in seconds, as of now.

        Not as of its last answer: the times in the state move with our clock when it is set, and
        the very next save would tell them by the clock of before.
        """
        if self._server is None:
            return 0.0
        return self._clock.now() - self._clock.monotonic() - self._server

    def _title(self, number: int) -> str:
        return f"{self._name}-{number}" if number else self._name

    def _where(self, number: int = 0) -> str:
        return f"{self._namespace}/{self._title(number)}"

    def _path(self, number: int) -> str:
        return f"{self._folder}/{self._title(number)}"

    def _slow(self, done: str) -> str:
        within = format_duration(self._within)
        return f"ConfigMap {self._where()} could not be {done} within {within}; tried again"

    def _complaint(self, number: int, done: str, error: KubeError) -> str:
        remedy = ""
        if error.status == FORBIDDEN:
            remedy = f": allow get, create and update of configmaps in {self._namespace}"
        return f"ConfigMap {self._where(number)} cannot be {done}: {error}{remedy}"

    def _corrupt(self, number: int, reason: str) -> str:
        return (
            f"ConfigMap {self._where(number)} cannot be read as the state: {reason}; repair it, "
            f"or {self._remedy(MOST_PARTS)}"
        )

    def _remedy(self, parts: int) -> str:
        names = " ".join(self._title(number) for number in range(parts))
        return (
            "start without memory of cooldowns: "
            f"kubectl -n {self._namespace} delete configmap --ignore-not-found {names}"
        )


def _in_our_time(policies: dict[str, Remembered], skew: float) -> dict[str, Remembered]:
    """Times by the writer's clock as our clock would have told them."""
    if not skew:
        return policies
    return {
        key: replace(entry, at=entry.at + skew, state=shift(entry.state, skew))
        for key, entry in policies.items()
    }
