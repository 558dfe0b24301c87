"""Whatever clocks, networks and people do: never two daemons that may write at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.kube.elections import Daemon, Fate, Machine, Network, Server, lived

EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

delays = st.one_of(
    st.just(0.01), st.floats(0.0, 1.0), st.floats(1.0, 14.0), st.none()
)  # None: lost on the way
fates = st.lists(st.builds(Fate, delays, delays), min_size=1, max_size=12)
# Clocks that run 10 % apart are worse than any that NTP leaves alone: 10 s / 0.9 < 15 s / 1.1.
machines = st.builds(Machine, st.floats(0.91, 1.09), st.floats(-1e6, 1e6))
seconds = st.floats(0.0, 90.0)
who = st.integers(0, 2)

Happening = tuple[float, str, int]
FAULTS = ("cut", "heal", "kill", "start", "stop")
EDITS = ("delete", "empty", "hand over", "give to bob", "touch", "wrong duration")


def happenings(*kinds: str) -> st.SearchStrategy[list[Happening]]:
    return st.lists(st.tuples(seconds, st.sampled_from(kinds), who), max_size=10).map(sorted)


class World:
    def __init__(self, machines: Sequence[Machine], fates: Sequence[list[Fate]]) -> None:
        self.server = Server()
        self.daemons = []
        self.fault = ""
        self.began = 0.0
        for number, (machine, fate) in enumerate(zip(machines, fates, strict=True)):
            network = Network(self.server, fate, heard=self.look)
            self.daemons.append(Daemon(f"d{number}", self.server, machine, network))

    def look(self) -> None:
        writers = [daemon.name for daemon in self.daemons if daemon.may_write]
        if len(writers) > 1 and not self.fault:
            at = asyncio.get_running_loop().time() - self.began
            self.fault = f"{writers} may all write, {at:.2f} s after the beginning"

    async def happen(self, kind: str, number: int) -> None:
        daemon, server = self.daemons[number], self.server
        does: dict[str, Callable[[], object]] = {
            "cut": lambda: setattr(daemon.network, "cut", True),
            "heal": lambda: setattr(daemon.network, "cut", False),
            "kill": daemon.kill,
            "start": daemon.start,
            "stop": daemon.stop,
            "delete": server.delete,
            "empty": lambda: server.edit(holderIdentity=""),
            "hand over": lambda: server.edit(holderIdentity=daemon.elector.identity),
            "give to bob": lambda: server.edit(holderIdentity="bob"),
            "touch": server.edit,
            "wrong duration": lambda: server.edit(leaseDurationSeconds=1),
        }
        done = does[kind]()
        if isinstance(done, Awaitable):
            # In real time a stop goes on beside everything else.
            asyncio.ensure_future(done)  # noqa: RUF006 -- ends within its own limit

    async def live(self, plan: Sequence[Happening], until: float = 130.0) -> None:
        loop = asyncio.get_running_loop()
        self.began = loop.time()
        for daemon in self.daemons:
            daemon.start()
        waiting = list(plan)
        while (passed := loop.time() - self.began) < until and not self.fault:
            while waiting and waiting[0][0] <= passed:
                _, kind, number = waiting.pop(0)
                await self.happen(kind, number)
            self.look()
            await asyncio.sleep(0.1)
        self.end()
        assert not self.fault, self.fault

    async def leader(self) -> Daemon:
        """Waits for one that may write."""
        async with asyncio.timeout(60):
            while True:
                for daemon in self.daemons:
                    if daemon.may_write:
                        return daemon
                await asyncio.sleep(0.05)

    def end(self) -> None:
        for daemon in self.daemons:
            daemon.kill()


@EXAMPLES
@given(
    st.tuples(machines, machines, machines),
    st.tuples(fates, fates, fates),
    happenings(*FAULTS, *EDITS),
)
def test_two_daemons_never_write_at_once(
    machines: Sequence[Machine], fates: Sequence[list[Fate]], plan: list[Happening]
) -> None:
    async def story() -> None:
        await World(machines, fates).live(plan)

    lived(story)


@EXAMPLES
@given(
    st.tuples(*(st.builds(Machine, st.just(1.0), st.floats(-1e6, 1e6)),) * 3),
    st.tuples(*(st.lists(st.builds(Fate, *(st.floats(0.0, 0.2),) * 2), min_size=1),) * 3),
    st.floats(0.0, 10.0),
)
def test_a_killed_leader_is_replaced_within_the_lease_and_a_retry(
    machines: Sequence[Machine], fates: Sequence[list[Fate]], later: float
) -> None:
    async def story() -> None:
        world = World(machines, fates)
        for daemon in world.daemons:
            daemon.start()
        leader = await world.leader()
        await asyncio.sleep(later)
        leader.kill()
        killed = asyncio.get_running_loop().time()
        await world.leader()
        took = asyncio.get_running_loop().time() - killed
        # The last renewal is seen up to a retry and two requests late; the next one's look and
        # write are two more.
        assert took <= 15.0 + 2.0 + 4 * 0.4, took
        world.end()

    lived(story)


@EXAMPLES
@given(
    st.tuples(machines, machines, machines),
    st.tuples(fates, fates, fates),
    happenings(*FAULTS, *EDITS),
)
def test_dynamo_4420_manual_edits_wedge_nobody(
    machines: Sequence[Machine], fates: Sequence[list[Fate]], plan: list[Happening]
) -> None:
    """When everything is well again, somebody leads: within the longest wait and a few retries."""

    async def story() -> None:
        world = World(machines, fates)
        await world.live(plan, until=100.0)
        for daemon in world.daemons:
            daemon.network.cut, daemon.network.fates = False, [Fate()]
            daemon.start()
        await world.leader()
        world.end()

    lived(story)
