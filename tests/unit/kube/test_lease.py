"""One of several daemons leads: stories in virtual time, with clocks and networks that fail."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.kube.client import KubeError
from autoscaler.kube.lease import Elector
from tests.unit.kube.elections import Daemon, Fate, Machine, Network, Server, lived

# Nobody held the lease before: 12 s in which nothing is written, and the tries until then.
FIRST = 13.0


class Pair:
    def __init__(self, *machines: Machine) -> None:
        self.server = Server()
        machines = machines or (Machine(), Machine())
        self.daemons = [
            Daemon(f"d{number}", self.server, machine, Network(self.server))
            for number, machine in enumerate(machines)
        ]

    async def led(self, since: float = FIRST) -> Daemon:
        """The one that leads, after all have been started for so long."""
        for daemon in self.daemons:
            daemon.start()
        await asyncio.sleep(since)
        (leader,) = [daemon for daemon in self.daemons if daemon.may_write]
        return leader

    def other(self, than: Daemon) -> Daemon:
        (other,) = [daemon for daemon in self.daemons if daemon is not than]
        return other

    def end(self) -> None:
        for daemon in self.daemons:
            daemon.kill()


def told(story: Callable[[Pair], Coroutine[Any, Any, None]], *machines: Machine) -> None:
    async def live() -> None:
        pair = Pair(*machines)
        try:
            await story(pair)
        finally:
            pair.end()

    lived(live)


async def passed(check: Callable[[], object], limit: float = 120.0) -> float:
    """Virtual seconds until `check` is true."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(limit):
        while not check():  # noqa: ASYNC110 -- any condition, not one event
            await asyncio.sleep(0.01)
    return loop.time() - began


def test_wva_1044_a_second_install_with_the_same_lease_stands_by() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        standby = pair.other(leader).elector
        assert (leader.elector.leading, leader.elector.term) == (True, 1)
        assert (standby.leading, standby.term, standby.remaining()) == (False, 0, 0.0)
        assert standby.holder == leader.elector.identity == pair.server.holder
        assert standby.problem is None

    told(story)


def test_a_first_start_writes_nothing_for_twelve_seconds() -> None:
    """Whoever held a lease that was deleted a moment ago may write for ten of them."""

    async def story(pair: Pair) -> None:
        one = pair.daemons[0]
        one.start()
        assert 12.0 <= await passed(lambda: one.may_write) <= 12.2
        assert pair.server.holder == one.elector.identity

    told(story)


def test_a_restart_after_an_orderly_stop_leads_at_once() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        await leader.stop()
        pair.other(leader).kill()
        leader.start()
        assert await passed(lambda: leader.may_write) < 0.2

    told(story)


def test_python_2075_a_daemon_that_stops_gives_the_lease_back() -> None:
    """The kubernetes package's own elector never does: 15 s without a leader at each update."""

    async def story(pair: Pair) -> None:
        leader = await pair.led()
        await leader.stop()
        assert pair.server.holder == ""
        assert not leader.elector.leading
        assert await passed(lambda: pair.other(leader).may_write) <= 2.1

    told(story)


def test_a_killed_leader_is_replaced_when_its_lease_ends_and_not_before() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        leader.kill()
        took = await passed(lambda: pair.other(leader).may_write)
        assert 11.0 <= took <= 15.1

    told(story)


def test_a_leader_without_an_api_server_stops_seconds_before_the_next_begins() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        cut = asyncio.get_running_loop().time()
        leader.network.cut = True
        await passed(lambda: not leader.may_write)
        stopped = asyncio.get_running_loop().time()
        assert stopped - cut <= 10.0
        assert await passed(lambda: pair.other(leader).may_write) >= 2.0
        assert "no answer" in str(leader.elector.problem)
        assert leader.elector.holder == leader.elector.identity, "all that it knows"

    told(story)


def test_a_leader_that_lost_its_lease_for_a_while_begins_a_new_term() -> None:
    """What it remembers may be older than what another wrote meanwhile."""

    async def story(pair: Pair) -> None:
        leader = await pair.led()
        pair.other(leader).kill()
        leader.network.cut = True
        await passed(lambda: not leader.may_write)
        leader.network.cut = False
        await passed(lambda: leader.may_write)
        assert leader.elector.term == 2
        assert leader.elector.problem is None

    told(story)


def test_a_slow_renewal_counts_from_before_it_was_sent() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        leader.network.fates = [Fate(there=0.01, back=3.5)]
        asked = leader.network.asked
        await passed(lambda: leader.network.asked > asked)
        await asyncio.sleep(3.6)
        assert leader.elector.remaining() <= 6.5, "not 10 s from when the answer came"

    told(story)


def test_clocks_a_day_apart_change_nothing() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        standby = pair.other(leader)
        await asyncio.sleep(60)
        assert leader.may_write
        assert not standby.may_write
        leader.kill()
        assert 11.0 <= await passed(lambda: standby.may_write) <= 15.1

    told(story, Machine(wall=0.0), Machine(wall=86_400.0))
    told(story, Machine(wall=0.0), Machine(wall=-86_400.0))


def test_a_leader_that_was_suspended_does_not_write_when_it_wakes() -> None:
    """Its monotonic clock stood still meanwhile; the wall clock did not."""

    async def story(pair: Pair) -> None:
        leader = await pair.led()
        leader.kill()  # as good as suspended: nothing of it runs
        assert leader.elector.remaining() > 0
        slept = replace(leader.machine, wall=3600.0)
        leader.elector._clock = slept
        assert leader.elector.remaining() == 0.0

    told(story)


# --- people ----------------------------------------------------------------------------------


def test_a_lease_stolen_by_an_edit_stops_the_leader_at_once() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        pair.server.edit(holderIdentity="bob")
        assert leader.elector.leading, "it has not looked yet"
        assert not await leader.elector.confirm(), "but before it writes, it does"
        assert leader.elector.holder == "bob"
        assert 14.0 <= await passed(lambda: any(d.may_write for d in pair.daemons)) <= 19.0

    told(story)


def test_labels_on_the_lease_cost_nobody_the_lead() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        for _ in range(20):
            lease = pair.server.lease
            assert lease is not None
            lease["metadata"]["labels"] = {"team": "sre"}
            pair.server.keep(lease)
            await asyncio.sleep(1)
            assert leader.may_write
        assert leader.elector.term == 1
        assert pair.server.lease is not None
        assert pair.server.lease["metadata"]["labels"] == {"team": "sre"}, "renewals spare them"

    told(story)


def test_an_emptied_lease_is_no_release() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        leader.network.cut = True  # it does not hear of what follows
        pair.server.edit(holderIdentity="", leaseDurationSeconds=1)
        assert await passed(lambda: not leader.may_write) <= 10.0
        assert await passed(lambda: pair.other(leader).may_write) > 0.5

    told(story)


def test_a_lease_duration_of_years_by_mistake_is_not_waited_for() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        leader.kill()
        pair.server.edit(leaseDurationSeconds=10**9)
        await passed(lambda: pair.other(leader).may_write, limit=155.0)

    told(story)


def test_a_lease_duration_of_a_second_by_mistake_shortens_nobodys_time() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        leader.network.cut = True
        pair.server.edit(leaseDurationSeconds=1)
        while leader.may_write:
            assert not pair.other(leader).may_write
            await asyncio.sleep(0.05)

    told(story)


def test_a_lease_handed_to_a_standby_by_hand_is_taken_but_not_used_at_once() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        standby = pair.other(leader)
        leader.network.cut = True
        pair.server.edit(holderIdentity=standby.elector.identity)
        await asyncio.sleep(4.0)
        assert standby.elector.holder == standby.elector.identity
        assert not standby.may_write
        assert leader.may_write, "it has not heard yet"
        assert await passed(lambda: not leader.may_write) <= 8.0
        assert not standby.may_write
        await passed(lambda: standby.may_write)

    told(story)


# --- what is written, and what is said ---------------------------------------------------------


def test_times_are_utc_with_six_digits_also_on_the_full_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bundled elector writes local time labelled Z, and no renewTime at microsecond 0."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")

    class Full(Machine):
        def now(self) -> float:
            return 1_795_248_926.0

    async def story(pair: Pair) -> None:
        one = pair.daemons[0]
        one.machine = Full()
        one.start()
        await passed(lambda: pair.server.holder)
        assert pair.server.lease is not None
        spec = pair.server.lease["spec"]
        assert spec["renewTime"] == spec["acquireTime"] == "2026-11-21T08:15:26.000000Z"
        assert (spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (15, 1)

    told(story)


def test_two_processes_of_one_name_are_told_apart() -> None:
    client: Any = None
    one, other = (Elector(client, "ns", "lease", "pod-0", Machine()) for _ in range(2))
    assert re.fullmatch(r"pod-0_[0-9a-f]{8}", one.identity)
    assert one.identity != other.identity


class Refusing(Network):
    async def request(self, method: str, path: str, **_: Any) -> Any:
        raise KubeError('HTTP 403: leases.coordination.k8s.io "lease" is forbidden', 403)


class Strange(Network):
    async def request(self, method: str, path: str, **_: Any) -> Any:
        return {"spec": {"leaseDurationSeconds": "many"}}


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Refusing, r"Lease ns/lease: HTTP 403: .*; allow get, create and update of leases\."),
        (Strange, r"Lease ns/lease: a strange answer: ValueError"),
    ],
)
def test_what_is_in_the_way_is_said_and_tried_again(network: type[Network], said: str) -> None:
    async def story(pair: Pair) -> None:
        one = pair.daemons[0]
        one.network = network(pair.server)
        one.start()
        await asyncio.sleep(5)
        assert re.match(said, str(one.elector.problem))
        assert not one.may_write
        one.kill()
        one.network = Network(pair.server)
        one.start()
        await passed(lambda: one.may_write)

    told(story)


def test_a_release_without_an_api_server_ends_in_time_and_raises_nothing() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        leader.network.cut = True
        began = asyncio.get_running_loop().time()
        await leader.stop()
        assert asyncio.get_running_loop().time() - began <= 4.1
        assert not leader.elector.leading
        assert "no answer" in str(leader.elector.problem)

    told(story)


def test_who_only_stood_by_leaves_the_lease_alone() -> None:
    async def story(pair: Pair) -> None:
        leader = await pair.led()
        version = pair.server.version
        await pair.other(leader).stop()
        assert pair.server.version == version
        assert leader.may_write

    told(story)


def test_times_that_are_unsafe_are_refused() -> None:
    client: Any = None
    with pytest.raises(ValueError, match=r"lease 10\.0 > renew_deadline 10\.0"):
        Elector(client, "ns", "lease", "pod", Machine(), lease=10.0)
