"""Elections in virtual time: machines with clocks and networks of their own, one shared Lease."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from autoscaler.kube.client import KubeError
from autoscaler.kube.lease import Elector

Object = dict[str, Any]


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time jumps to the next timer whenever nothing else is left to do."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 1000.0

    def time(self) -> float:
        return self._virtual

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            due = self._scheduled[0].when()  # type: ignore[attr-defined]
            self._virtual = max(self._virtual, due)
        super()._run_once()  # type: ignore[misc]


def lived(story: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(story())


@dataclass(frozen=True)
class Fate:
    """What becomes of one request: seconds there and back; None: lost on that way."""

    there: float | None = 0.01
    back: float | None = 0.01


@dataclass(frozen=True)
class Machine:
    """`rate`: how fast its clocks run; `wall`: how wrong its wall clock is, in seconds."""

    rate: float = 1.0
    wall: float = 0.0

    def now(self) -> float:
        return self.monotonic() + 1_795_248_926.0 + self.wall

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() * self.rate

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.rate)


@dataclass
class Server:
    """One Lease, as an API server keeps it."""

    lease: Object | None = None
    version: int = 100

    def handle(self, method: str, body: Object | None) -> Object:
        if method == "POST" and self.lease is not None:
            raise KubeError("HTTP 409: it exists already", 409)
        if method in ("GET", "PUT") and self.lease is None:
            raise KubeError("HTTP 404: not found", 404)
        if method == "PUT":
            assert body is not None
            assert self.lease is not None
            sent, known = (o["metadata"]["resourceVersion"] for o in (body, self.lease))
            if sent != known:
                raise KubeError("HTTP 409: the object has been modified", 409)
        if body is not None:
            self.keep(body)
        return copy.deepcopy(self.lease or {})

    def keep(self, body: Object) -> None:
        self.version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.lease = {**copy.deepcopy(body), "metadata": metadata}

    def edit(self, **spec: object) -> None:
        """kubectl edit."""
        if self.lease is not None:
            self.keep({**self.lease, "spec": {**self.lease.get("spec", {}), **spec}})

    def delete(self) -> None:
        self.lease = None

    @property
    def holder(self) -> str:
        return str(((self.lease or {}).get("spec") or {}).get("holderIdentity") or "")


@dataclass
class Network:
    """A machine's way to the server. What was sent arrives even when its sender gave up."""

    server: Server
    fates: list[Fate] = field(default_factory=list)
    cut: bool = False
    heard: Callable[[], None] = lambda: None
    asked: int = 0

    async def request(
        self, method: str, path: str, *, body: Any = None, within: float, **_: Any
    ) -> Any:
        loop = asyncio.get_running_loop()
        fate = self.fates[self.asked % len(self.fates)] if self.fates else Fate()
        self.asked += 1
        answer: asyncio.Future[Any] = loop.create_future()
        sent = copy.deepcopy(body)

        def deliver(result: Any) -> None:
            if answer.done() or self.cut:
                return
            if isinstance(result, KubeError):
                answer.set_exception(result)
            else:
                answer.set_result(result)
            loop.call_soon(lambda: loop.call_soon(self.heard))

        def arrive() -> None:
            try:
                result: Any = self.server.handle(method, sent)
            except KubeError as error:
                result = error
            if fate.back is not None:
                loop.call_later(fate.back, deliver, result)

        if fate.there is not None and not self.cut:
            loop.call_later(fate.there, arrive)
        try:
            async with asyncio.timeout(within):
                return await answer
        except TimeoutError:
            raise KubeError(f"no answer within {within} s") from None


class Daemon:
    """One elector on one machine; can be killed, started again and asked to stop."""

    def __init__(self, name: str, server: Server, machine: Machine, network: Network) -> None:
        self.name, self.machine, self.network = name, machine, network
        self.elector = self._new()
        self.task: asyncio.Task[None] | None = None

    def _new(self) -> Elector:
        client: Any = self.network
        return Elector(client, "ns", "lease", self.name, self.machine, jitter=lambda: 0.5)

    @property
    def may_write(self) -> bool:
        return self.task is not None and self.elector.remaining() > 0

    def start(self) -> None:
        if self.task is None:
            self.elector = self._new()
            self.task = asyncio.ensure_future(self.elector.run())

    def kill(self) -> None:
        if self.task is not None:
            self.task.cancel()
            self.task = None

    async def stop(self) -> None:
        """SIGTERM."""
        self.kill_loop_only()
        await self.elector.release()
        self.task = None

    def kill_loop_only(self) -> None:
        if self.task is not None:
            self.task.cancel()
