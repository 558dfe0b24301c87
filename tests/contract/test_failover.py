"""Leaders on a real API server: killed, robbed, cut off; and what their successors remember."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoscaler.act.executor import Recording
from autoscaler.clock import SystemClock
from autoscaler.kube.client import KubeClient, KubeError
from autoscaler.kube.lease import Elector
from autoscaler.model import Cooldown
from autoscaler.run.loop import Loop, Tick
from autoscaler.run.state_configmap import ConfigMapStates
from tests.contract.two_daemons import Pair, failover
from tests.contract.writing import connected
from tests.testbed.control_plane import ControlPlane
from tests.testbed.kwok import Kwok
from tests.testbed.parts import ControlPlaneBinaries
from tests.unit.run.world import SCALING, FakeCluster, FakeSource

pytestmark = pytest.mark.real

LEASE = "autoscaler"
# A fifth of the real times, in the same proportions: 15, 10, 2.
LEASE_S, DEADLINE_S, RETRY_S = 3.0, 2.0, 0.4


class Wire:
    """A client whose machine can be cut off: requests are sent into nothing."""

    def __init__(self, client: KubeClient) -> None:
        self.client = client
        self.cut = False
        self.host = client.host

    @property
    def date(self) -> float | None:
        return self.client.date

    async def request(self, *args: Any, **more: Any) -> Any:
        if self.cut:
            await asyncio.sleep(more["within"])
            raise KubeError("no answer")
        return await self.client.request(*args, **more)


class Site:
    """One elector on a machine of its own."""

    def __init__(self, client: KubeClient, namespace: str, name: str) -> None:
        self.wire = Wire(client)
        wire: Any = self.wire
        self.elector = Elector(
            wire,
            namespace,
            LEASE,
            name,
            SystemClock(),
            lease=LEASE_S,
            renew_deadline=DEADLINE_S,
            retry=RETRY_S,
        )
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.ensure_future(self.elector.run())

    async def kill(self) -> None:
        assert self.task is not None
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.task = None

    @property
    def may_write(self) -> bool:
        return self.task is not None and self.elector.remaining() > 0


@asynccontextmanager
async def competing(plane: ControlPlane, namespace: str) -> AsyncIterator[tuple[Site, Site]]:
    """Two, of which the first leads; a watcher sees that never both may write."""
    async with connected(plane.kubeconfig) as one, connected(plane.kubeconfig) as other:
        sites = Site(one, namespace, "a"), Site(other, namespace, "b")
        sites[0].start()
        watching = asyncio.ensure_future(never_both(sites))
        await until(lambda: sites[0].may_write, watching)
        sites[1].start()
        await until(lambda: sites[1].elector.holder == sites[0].elector.identity, watching)
        try:
            yield sites
            assert not watching.done() or watching.result()
        finally:
            watching.cancel()
            for site in sites:
                if site.task is not None:
                    await site.kill()


async def never_both(sites: tuple[Site, Site]) -> None:
    while True:
        assert not all(site.may_write for site in sites), "both may write"
        await asyncio.sleep(0.002)


async def until(
    check: Callable[[], object], beside: asyncio.Future[None] | None = None, within: float = 240.0
) -> float:
    """Seconds until `check` is true."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not check():
        assert loop.time() - began < within, "waited in vain"
        if beside is not None and beside.done():
            beside.result()
        await asyncio.sleep(0.005)
    return loop.time() - began


def lease_of(plane: ControlPlane, namespace: str) -> Any:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE}"
    return plane.api.get(path)


def test_a_killed_leader_is_replaced(control_plane: ControlPlane, fresh_namespace: str) -> None:
    async def story() -> None:
        async with competing(control_plane, fresh_namespace) as (first, second):
            await first.kill()
            await until(lambda: second.may_write)
            spec = lease_of(control_plane, fresh_namespace)["spec"]
            assert spec["holderIdentity"] == second.elector.identity
            assert spec["leaseTransitions"] == 2
            assert spec["renewTime"].endswith("Z")

    asyncio.run(story())


def test_a_leader_that_stops_hands_over_without_a_wait(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    async def story() -> None:
        async with competing(control_plane, fresh_namespace) as (first, second):
            await first.kill()
            await first.elector.release()
            spec = lease_of(control_plane, fresh_namespace)["spec"]
            assert spec.get("holderIdentity") in (second.elector.identity, "", None)
            await until(lambda: second.may_write)

    asyncio.run(story())


def test_a_lease_stolen_with_kubectl_edit_stops_the_leader_before_its_next_write(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    async def story() -> None:
        async with competing(control_plane, fresh_namespace) as (first, second):
            patch = '{"spec":{"holderIdentity":"bob"}}'
            await asyncio.to_thread(
                control_plane.kubectl,
                *("patch", "lease", LEASE, "-n", fresh_namespace, "--type=merge", "-p", patch),
            )
            assert not await first.elector.confirm()
            assert first.elector.holder == "bob"
            await until(lambda: first.may_write or second.may_write)

    asyncio.run(story())


def test_a_deleted_lease_costs_nobody_more_than_time(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    async def story() -> None:
        async with competing(control_plane, fresh_namespace) as (first, second):
            await asyncio.to_thread(
                control_plane.kubectl, "delete", "lease", LEASE, "-n", fresh_namespace
            )
            await asyncio.sleep(2 * RETRY_S)
            await until(lambda: first.may_write or second.may_write)

    asyncio.run(story())


def test_an_old_leader_that_is_cut_off_stops_before_the_new_one_begins(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    async def story() -> None:
        async with competing(control_plane, fresh_namespace) as (first, second):
            first.wire.cut = True
            await until(lambda: not first.may_write)
            assert not second.may_write, "nobody leads for the third of a lease between"
            await until(lambda: second.may_write)
            first.wire.cut = False
            await until(lambda: first.elector.holder == second.elector.identity)
            assert first.elector.problem is None
            assert (first.elector.term, second.elector.term) == (1, 1)

    asyncio.run(story())


@pytest.fixture
def own_plane(control_plane_binaries: ControlPlaneBinaries) -> Iterator[ControlPlane]:
    with ControlPlane(control_plane_binaries) as plane:
        yield plane


def test_while_the_api_server_is_away_nobody_writes_and_afterwards_one_does(
    own_plane: ControlPlane,
) -> None:
    async def story() -> None:
        async with competing(own_plane, "default") as sites:
            await asyncio.to_thread(own_plane.stop_apiserver, crash=True)
            await until(lambda: not any(site.may_write for site in sites))
            await until(lambda: all(site.elector.problem for site in sites))
            assert "cannot be reached" in str(sites[0].elector.problem)
            await asyncio.to_thread(own_plane.start_apiserver)
            await until(lambda: any(site.may_write for site in sites), within=120.0)
            await until(lambda: not any(site.elector.problem for site in sites))

    asyncio.run(story())


# --- what the next leader remembers ------------------------------------------------------------


class Brain:
    """A loop on a real lease and real ConfigMaps; the fleet and the load are the story's."""

    def __init__(self, site: Site, namespace: str, cluster: FakeCluster) -> None:
        wire: Any = site.wire
        self.site, self.cluster = site, cluster
        self.executor = Recording()
        self.source = FakeSource(155.0, 155.0)
        policy = replace(SCALING, cooldown=Cooldown(scale_up=600.0, scale_down=600.0))
        self.loop = Loop(
            lambda: [policy],
            self.source,
            cluster=cluster,
            executor=self.executor,
            states=ConfigMapStates(wire, namespace, "autoscaler-state", within=20.0),
            budget=60.0,
            leadership=site.elector,
        )

    async def tick(self) -> Tick:
        self.source.rates = (155.0,) * self.cluster.replicas["flower"]
        return await self.loop.tick()


def test_a_failover_forgets_no_cooldown(control_plane: ControlPlane, fresh_namespace: str) -> None:
    """The leader scales 2 → 4 and is killed before it has seen that. Load is twice what four
    carry, and the next leader still waits: it decides with what the first one wrote."""

    async def story() -> None:
        async with competing(control_plane, fresh_namespace) as (first, second):
            cluster = FakeCluster(flower=2)
            leader = Brain(first, fresh_namespace, cluster)
            standby = Brain(second, fresh_namespace, cluster)
            shown = await standby.tick()
            assert (shown.led, shown.decisions[0].desired) == (False, 4)
            assert standby.executor.actions == []

            done = await leader.tick()
            assert [(one.before, one.after) for one in leader.executor.actions] == [(2, 4)]
            assert done.problems == ()
            cluster.replicas["flower"] = 4
            await first.kill()

            await until(lambda: second.may_write)
            after = await standby.tick()
            assert after.led
            (decision,) = after.decisions
            assert (decision.current, decision.desired) == (4, 4)
            assert decision.binding == "cooldown", decision.sentence
            assert standby.executor.actions == []

    asyncio.run(story())


def test_dynamo_4420_a_state_spoilt_by_hand_holds_and_is_mended_by_what_is_said(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    async def story() -> None:
        async with competing(control_plane, fresh_namespace) as (first, second):
            cluster = FakeCluster(flower=2)
            leader = Brain(first, fresh_namespace, cluster)
            await leader.tick()
            patch = '{"data":{"state.json":"{\\"version\\":1,"}}'
            await asyncio.to_thread(
                control_plane.kubectl,
                *("patch", "configmap", "autoscaler-state", "-n", fresh_namespace),
                *("--type=merge", "-p", patch),
            )
            await first.kill()
            await until(lambda: second.may_write)
            standby = Brain(second, fresh_namespace, cluster)
            held = await standby.tick()
            assert held.decisions[0].binding == "daemon"
            assert standby.executor.actions == []
            remedy = held.problems[0].text.partition("kubectl ")[2]
            await asyncio.to_thread(control_plane.kubectl, *remedy.split())
            assert (await standby.tick()).decisions[0].binding != "daemon"

    asyncio.run(story())


# --- two real daemons --------------------------------------------------------------------------


def test_two_daemons_take_over_from_each_other_and_the_cooldown_goes_on(
    control_plane: ControlPlane, kwok: Kwok, fresh_namespace: str, tmp_path: Path
) -> None:
    """A rolling update, then a crash. Seven replicas are wanted: only the cooldown keeps four."""
    with Pair(control_plane, fresh_namespace, tmp_path) as pair:
        leader, standby = pair.leader, pair.standby
        took = failover(pair, signal.SIGTERM)
        print(f"stopped → the standby leads: {took:.1f} s")
        assert leader.program.process.returncode == 0
        assert took < 12.0, "not the 15 s of a lease that has to run out"
        pair.leads_on(standby)

        pair.start()
        pair.until(lambda: pair.stands_by(pair.daemons[-1]), "a new standby")
        standby = pair.standby
        took = failover(pair, signal.SIGKILL)
        print(f"killed → the standby leads: {took:.1f} s")
        # 15 s after the standby saw the last renewal, a retry late at most; the rest is what three
        # processes on a busy machine need for a handful of requests.
        assert took < 15.0 + 2.0 + 8.0
        pair.leads_on(standby)
