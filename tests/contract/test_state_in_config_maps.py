"""The states on a real API server: what is there, what is broken, and who wrote last."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoscaler.clock import SystemClock
from autoscaler.kube.client import KubeClient
from autoscaler.model import Recommendation, State
from autoscaler.run.state import Remembered, StateConflict, StateError
from autoscaler.run.state_configmap import MOST_PARTS, ConfigMapStates
from tests.contract.writing import connected
from tests.testbed.control_plane import ControlPlane
from tests.unit.run.test_state_parts import fleet

pytestmark = pytest.mark.real

NAME = "autoscaler-state"
SEEN = State(
    recommendations=(Recommendation(1000.0, 3),),
    scaled_at=990.0,
    replicas=3,
)
ONE = {"default/flower": Remembered(1000.0, SEEN)}


class Store:
    """The ConfigMaps of one namespace, and leaders that use them."""

    def __init__(self, plane: ControlPlane, namespace: str, client: KubeClient) -> None:
        self.plane, self.namespace, self.client = plane, namespace, client
        self.folder = f"/api/v1/namespaces/{namespace}/configmaps"

    def leader(self, clock: Any = None) -> ConfigMapStates:
        return ConfigMapStates(self.client, self.namespace, NAME, clock=clock, within=20.0)

    def maps(self) -> dict[str, dict[str, Any]]:
        """All but the API server's own."""
        items = self.plane.api.get(self.folder)["items"]
        return {
            item["metadata"]["name"]: item
            for item in items
            if item["metadata"]["name"] != "kube-root-ca.crt"
        }

    def kubectl(self, *args: str) -> str:
        return self.plane.kubectl("-n", self.namespace, *args)

    def edit(self, content: dict[str, object]) -> None:
        """Replaces what is in part 0, as an editor would."""
        found = self.plane.api.get(f"{self.folder}/{NAME}")
        for key in ("data", "binaryData"):
            found.pop(key, None)
        self.plane.kubectl("replace", "-f", "-", stdin=json.dumps({**found, **content}))


Story = Callable[[Store], Awaitable[None]]


@pytest.fixture
def told(control_plane: ControlPlane, fresh_namespace: str) -> Callable[[Story], None]:
    def tell(story: Story, kubeconfig: Path | None = None) -> None:
        async def live() -> None:
            async with connected(kubeconfig or control_plane.kubeconfig) as client:
                await story(Store(control_plane, fresh_namespace, client))

        asyncio.run(live())

    return tell


def test_a_first_start_finds_nothing_and_the_next_leader_what_was_saved(
    told: Callable[[Story], None],
) -> None:
    async def story(store: Store) -> None:
        first = store.leader()
        assert await first.load() == {}
        await first.save(ONE)
        assert await store.leader().load() == ONE
        (kept,) = store.maps().values()
        assert kept["metadata"]["labels"]["app.kubernetes.io/name"] == "triton-autoscaler"
        assert json.loads(kept["data"]["state.json"])["policies"]["default/flower"]["at"] == 1000.0

    told(story)


def test_an_empty_config_map_that_was_shipped_is_a_first_start(
    told: Callable[[Story], None],
) -> None:
    async def story(store: Store) -> None:
        store.kubectl("create", "configmap", NAME)
        store.kubectl("label", "configmap", NAME, "team=sre")
        first = store.leader()
        assert await first.load() == {}
        await first.save(ONE)
        assert await store.leader().load() == ONE
        assert store.maps()[NAME]["metadata"]["labels"] == {"team": "sre"}

    told(story)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"data": {"state.json": "{"}}, "cannot be read as the state: it is not JSON"),
        ({"data": {"state.json": '{"version":1,"policies":{"a":{}}}'}}, "not a valid PartDocument"),
        ({"data": {"policies.yaml": "x"}}, "holds other things"),
        ({}, "its content is gone"),
        ({"data": {"state.json": '{"version":2}'}}, "has version 2, written by a newer"),
    ],
)
def test_what_cannot_be_read_is_never_a_first_start(
    told: Callable[[Story], None], content: dict[str, object], said: str
) -> None:
    async def story(store: Store) -> None:
        first = store.leader()
        await first.load()
        await first.save(ONE)
        store.edit(content)
        with pytest.raises(StateError, match=f"{store.namespace}/{NAME} .*{said}") as refused:
            await store.leader().load()
        remedy = str(refused.value).partition("kubectl ")[2]
        store.plane.kubectl(*remedy.split())
        assert await store.leader().load() == {}, "the remedy is a command that works"

    told(story)


def test_a_leader_of_the_past_is_refused_whoever_wrote_since(
    told: Callable[[Story], None],
) -> None:
    async def story(store: Store) -> None:
        old, new = store.leader(), store.leader()
        await old.load()
        await old.save(ONE)
        assert await new.load() == ONE
        later = {"default/flower": Remembered(1010.0, replace(SEEN, scaled_at=1005.0))}
        await new.save(later)
        with pytest.raises(StateConflict, match="changed by somebody else"):
            await old.save({"default/flower": Remembered(1011.0, SEEN)})
        assert await old.load() == later
        store.kubectl("annotate", "configmap", NAME, "seen=by-me")
        with pytest.raises(StateConflict):
            await new.save(ONE)
        await new.load()
        await new.save(ONE)
        assert store.maps()[NAME]["metadata"]["annotations"]["seen"] == "by-me"

    told(story)


def test_two_leaders_who_both_make_it_do_not_overwrite_each_other(
    told: Callable[[Story], None],
) -> None:
    async def story(store: Store) -> None:
        one, other = store.leader(), store.leader()
        await one.load()
        await other.load()
        await one.save(ONE)
        with pytest.raises(StateConflict):
            await other.save({"default/rose": Remembered(1000.0, SEEN)})

    told(story)


def test_a_config_map_deleted_under_a_leader_is_made_again_with_all_it_knows(
    told: Callable[[Story], None],
) -> None:
    async def story(store: Store) -> None:
        leader = store.leader()
        await leader.load()
        await leader.save(ONE)
        store.kubectl("delete", "configmap", NAME)
        more = {**ONE, "default/rose": Remembered(1000.0, SEEN)}
        await leader.save(more)
        assert await store.leader().load() == more

    told(story)


def test_a_thousand_policies_and_only_the_part_that_changed_is_written(
    told: Callable[[Story], None],
) -> None:
    async def story(store: Store) -> None:
        states = fleet(1000)
        leader = store.leader()
        await leader.load()
        began = time.monotonic()
        await leader.save(states)
        wrote = time.monotonic() - began
        began = time.monotonic()
        assert await store.leader().load() == states
        read = time.monotonic() - began
        maps = store.maps()
        sizes = [sum(map(len, (one.get("binaryData") or {}).values())) for one in maps.values()]
        print(f"1,000 policies: {len(maps)} ConfigMaps, {sum(sizes) / 1e6:.1f} MB in all, ")
        print(f"largest {max(sizes) / 1e3:.0f} kB; written in {wrote:.2f} s, read in {read:.2f} s")
        assert len(maps) <= MOST_PARTS
        assert max(sizes) < 700_000

        before = {name: one["metadata"]["resourceVersion"] for name, one in maps.items()}
        key = "team-7/model-server-527"
        newer = replace(states[key], state=replace(states[key].state, scaled_at=5.0))
        await leader.save(states | {key: newer})
        after = {name: one["metadata"]["resourceVersion"] for name, one in store.maps().items()}
        assert len([name for name in before if before[name] != after[name]]) == 1
        assert (await store.leader().load())[key] == newer

        store.kubectl("delete", "configmap", f"{NAME}-2")
        with pytest.raises(StateError, match=rf"{NAME}-2 is missing, the {len(maps)} parts"):
            await store.leader().load()
        store.kubectl("delete", "configmap", NAME)
        with pytest.raises(StateError, match="so this is no first start"):
            await store.leader().load()

    told(story)


def test_more_than_the_role_can_name_is_refused_in_words(told: Callable[[Story], None]) -> None:
    async def story(store: Store) -> None:
        leader = store.leader()
        await leader.load()
        with pytest.raises(StateError, match="run two installations"):
            await leader.save(fleet(2000))
        assert store.maps() == {}

    told(story)


def test_without_the_rights_it_says_which(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.kubectl("create", "serviceaccount", "poor", "-n", fresh_namespace)
    poor = control_plane.kubeconfig_for(service_account=f"{fresh_namespace}/poor")

    async def story() -> None:
        async with connected(poor) as client:
            states = ConfigMapStates(client, fresh_namespace, NAME)
            with pytest.raises(StateError, match=r"forbidden.*allow get, create and update of"):
                await states.load()

    asyncio.run(story())


class Wrong(SystemClock):
    def __init__(self, ahead: float) -> None:
        self.ahead = ahead

    def now(self) -> float:
        return super().now() + self.ahead


@pytest.mark.parametrize(("writer", "reader"), [(0.0, 3600.0), (3600.0, 0.0), (-3600.0, 60.0)])
def test_a_machine_with_a_wrong_clock_takes_over_without_ending_a_cooldown(
    told: Callable[[Story], None], writer: float, reader: float
) -> None:
    """Times are read by the reader's clock: both are compared with the API server's."""

    async def story(store: Store) -> None:
        first = store.leader(Wrong(writer))
        await first.load()
        at = Wrong(writer).now()
        state = replace(SEEN, scaled_at=at - 10.0)
        await first.save({"default/flower": Remembered(at, state)})
        second = store.leader(Wrong(reader))
        found = (await second.load())["default/flower"]
        assert found.state.scaled_at is not None
        passed = Wrong(reader).now() - found.state.scaled_at
        assert 7.0 <= passed <= 60.0, "10 s and what this test takes, give or take whole seconds"
        # and again, when the second has written and the first comes back
        await second.save({"default/flower": replace(found, at=Wrong(reader).now())})
        again = (await store.leader(Wrong(writer)).load())["default/flower"]
        assert again.state.scaled_at == pytest.approx(at - 10.0, abs=3.0)

    told(story)


def test_the_same_clock_changes_no_time(told: Callable[[Story], None]) -> None:
    async def story(store: Store) -> None:
        first = store.leader(Wrong(0.4))
        await first.load()
        await first.save(ONE)
        assert await store.leader(Wrong(-0.4)).load() == ONE

    told(story)


def test_an_api_server_that_is_away_is_named(
    told: Callable[[Story], None], fresh_namespace: str
) -> None:
    class Silent:
        date = None

        async def request(self, *_: Any, **__: Any) -> Any:
            await asyncio.sleep(3600)

    async def story() -> None:
        client: Any = Silent()
        states = ConfigMapStates(client, "ns", NAME, within=0.05)
        with pytest.raises(StateError, match=f"ConfigMap ns/{NAME} could not be read within 50ms"):
            await states.load()

    asyncio.run(story())
