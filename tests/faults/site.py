"""Everything together: one world, one API server, one Prometheus, one or two daemons."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import Any

from autoscaler.model import (
    Behavior,
    Bounds,
    ColdStart,
    Cooldown,
    Nodes,
    ScalingPolicy,
    ScalingRules,
    State,
    WhenContested,
)
from autoscaler.run.state import Remembered
from autoscaler.run.state_parts import PartDocument, decoded, encoded
from tests.faults.api import LEASE, WALL, Api
from tests.faults.daemons import STATE, STATE_PATH, Daemon, Rules
from tests.faults.eyes import Prometheus
from tests.faults.judge import Judge
from tests.faults.servers import CAPACITY
from tests.faults.world import STEP, World
from tests.unit.decide.fleets import POLICY as FLOWER
from tests.unit.kube.elections import VirtualLoop

YIELDS = 90.0
POLICY = replace(
    FLOWER,
    mode="scale",
    replicas=Bounds(2, 10),
    cooldown=Cooldown(scale_up=20.0, scale_down=60.0),
    behavior=Behavior(
        scale_up=ScalingRules(0.0, (ScalingPolicy("Percent", 200, 15.0),)),
        scale_down=ScalingRules(30.0, (ScalingPolicy("Pods", 2, 15.0),)),
    ),
    when_contested=WhenContested("yield", YIELDS),
)
QUIET = 140.0  # requests/s: two replicas
# Measured before: 85 s with a node to wait for.
MEASURED = tuple(ColdStart(WALL - 100.0 * n, 32.0, 20.0, 33.0) for n in (3, 2, 1))


class AtOnce(ThreadPoolExecutor):
    """asyncio.to_thread without a thread: in virtual time a thread would take no time, or all."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 -- handed on
            done.set_exception(error)
        return done


class SiteLoop(VirtualLoop):
    """From second 0."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0
        self.set_default_executor(AtOnce(1))


class Site:
    """The first daemon leads at first."""

    def __init__(self, seed: str, daemons: int) -> None:
        self.surge = QUIET
        self.world = World(Random(f"world {seed}"), load=QUIET)
        self.api = Api(self.world, Random(f"api {seed}"))
        self.prometheus = Prometheus()
        nodes = Nodes(
            self.world.first.driver, gpus_per_node=2, spare=1, fallback=self.world.second.driver
        )
        self.rules = Rules(replace(POLICY, nodes=nodes))
        self.daemons = [
            Daemon(f"d{n}", self.api, self.prometheus, self.rules, Random(f"daemon {n} {seed}"))
            for n in range(daemons)
        ]
        self.judge = Judge(self.world, lambda: self.rules.policy, self.daemons)
        self.api.on_scale, self.api.on_pool = self.judge.on_scale, self.judge.on_pool
        self.well_at = 0.0  # when the last of the faults that go on beside will have ended
        self._remember(State(cold_starts=MEASURED))

    @property
    def now(self) -> float:
        return self.world.now

    @property
    def leader(self) -> Daemon:
        """Who leads, else who last did, else any that runs."""
        spec = self.api.objects.get(LEASE, {}).get("spec") or {}
        name = (spec.get("holderIdentity") or "").partition("_")[0]
        running = [one for one in self.daemons if one.runs]
        return next((one for one in running if one.name == name), running[0])

    def surge_of(self, replicas: int) -> None:
        """A load for so many: 380 requests/s are 4.75 times what one takes with headroom."""
        self.surge = CAPACITY * (1 - self.rules.policy.headroom) * replicas - 20.0
        self.load_is(self.surge)

    def load_is(self, load: float) -> None:
        self.world.load = load
        self.judge.load_is(load)

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def later(self, seconds: float, does: Callable[..., object], *args: object) -> None:
        """What ends after the fault no longer matters: the next one waits for it."""
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, does, *args)
        self.well_at = max(self.well_at, loop.time() + seconds)

    async def looked(self) -> None:
        """Until somebody looks at the size in order to write it; the write is not sent yet."""
        seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def look() -> None:
            if not seen.done():
                seen.set_result(None)

        self.api.on_look = look
        await seen

    async def turns(self) -> None:
        """The world's own course, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(0.0, self.world.now + STEP - loop.time()))
            self.world.step()
            self.judge.look()
            for daemon in self.daemons:
                daemon.check()

    def start(self) -> None:
        for number, daemon in enumerate(self.daemons):
            # The leader's first 12 s are silent: the Lease was not there.
            daemon.start(after=1.0 + 4.0 * number)

    async def end(self) -> None:
        for daemon in self.daemons:
            await daemon.kill()

    def remembered(self) -> State:
        """What the ConfigMap holds of the policy, as its reasons tell it."""
        document = decoded(self.api.objects[STATE_PATH])
        assert document is not None
        return document.policies[self.rules.policy.key].state

    def _remember(self, state: State) -> None:
        document = PartDocument({self.rules.policy.key: Remembered(WALL, state)})
        metadata = {"name": STATE, "namespace": "ours"}
        self.api.put(STATE_PATH, {"metadata": metadata, **encoded(document)})
