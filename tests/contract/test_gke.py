"""GKE's setSize against a server that answers as the API is documented; no real GKE was at hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from autoscaler.act.executor import ActionError
from autoscaler.act.live import LiveExecutor
from autoscaler.act.nodepools import DRIVERS, gke
from autoscaler.clock import WalkingClock
from autoscaler.kube.gke import DefaultTokens, GkeClient, GkeError, path_of
from autoscaler.model import GkePool, Node, Pool, PoolWish
from autoscaler.observe.gke_pools import GkePools
from tests.contract.gke_api import PATH, GkeApi, busy, error
from tests.contract.pools import wish

POOL = GkePool("my-project", "us-central1-a", "flowers", "gpu")
ZONES = ["us-central1-a", "us-central1-b", "us-central1-c"]


class FixedToken:
    async def bearer(self, within: float) -> str:
        return "secret"


class Cluster:
    """Nodes of the pool, and how many GPU pods are on each."""

    host = "https://cluster"

    def __init__(self, *pods_by_node: int) -> None:
        self._pods = {f"node-{n}": pods for n, pods in enumerate(pods_by_node)}
        self.selectors: list[str] = []

    async def get(self, path: str, query: dict[str, str] | None = None, within: float = 5.0) -> Any:
        assert query is not None
        if path == "/api/v1/nodes":
            self.selectors.append(query["labelSelector"])
            return {"items": [{"metadata": {"name": name}} for name in self._pods]}
        node = query["fieldSelector"].split(",")[0].removeprefix("spec.nodeName=")
        triton = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}
        pod = {"metadata": {}, "spec": {"containers": [triton]}}
        return {"items": [pod] * self._pods[node]}


@pytest.fixture
async def api() -> AsyncIterator[GkeApi]:
    async with GkeApi().serving() as serving:
        yield serving


async def resize(
    api: GkeApi,
    before: int,
    after: int,
    *,
    cluster: Cluster | None = None,
    client: GkeClient | None = None,
    **more: Any,
) -> tuple[str, ...]:
    given, client = client, client or GkeClient(FixedToken(), api.url)
    pool = PoolWish(POOL, "nodes", before, after, "because")
    settings: dict[str, Any] = {"within": 5.0, "dry_run": False, **more}
    try:
        return await gke.resize(cluster or Cluster(), pool, POOL, gke=client, **settings)  # type: ignore[arg-type]
    finally:
        if given is None:
            await client.close()


async def refused(api: GkeApi, before: int = 1, after: int = 2, **more: Any) -> ActionError:
    with pytest.raises(ActionError) as caught:
        await resize(api, before, after, **more)
    return caught.value


async def test_a_pool_is_looked_at_and_then_resized_by_one_call(api: GkeApi) -> None:
    assert await resize(api, 1, 3) == ()
    assert api.asked == [("GET", PATH, None), ("POST", f"{PATH}:setSize", {"nodeCount": 3})]
    assert set(api.tokens) == {"Bearer secret"}


async def test_a_pool_of_several_zones_is_sized_by_the_zone_and_says_so(api: GkeApi) -> None:
    """4 nodes in 3 zones: 2 a zone, 6 in all. Sent as 4 it would have been 12."""
    api.pool["locations"] = ZONES
    (note,) = await resize(api, 3, 4)
    assert api.sizes == [2]
    assert "6 nodes stand for 4" in note
    assert await resize(api, 3, 6) == ()
    assert api.sizes == [2, 2]


async def size_seen(api: GkeApi, pools: GkePools, there: int) -> int:
    await pools.refresh([POOL], 5.0)
    pool = pools.pool(POOL, tuple(Node(f"node-{n}", 8) for n in range(there)))
    assert isinstance(pool, Pool)
    return pool.size


async def test_nodes_that_gke_was_asked_for_count_until_they_are_there(api: GkeApi) -> None:
    """Or each tick would ask for them again, and 3 of a pool that becomes 4 look like a raise."""
    client, clock = GkeClient(FixedToken(), api.url), WalkingClock(0.0)
    pools = GkePools(client, clock)
    try:
        assert await size_seen(api, pools, 2) == 2
        await resize(api, 2, 4, client=client)
        assert await size_seen(api, pools, 2) == 4
        assert await size_seen(api, pools, 4) == 4
        assert await size_seen(api, pools, 3) == 3  # one was taken back: asked for anew
        api.refusal = busy()
        await refused(api, 3, 4, client=client)
        assert await size_seen(api, pools, 3) == 3
    finally:
        await client.close()


async def test_what_the_daemon_asks_for_is_known_to_who_reads_its_pools(api: GkeApi) -> None:
    client = GkeClient(FixedToken(), api.url)
    pools = GkePools(client, WalkingClock(0.0))
    executor = LiveExecutor(Cluster(), lambda: 10.0, engine=client)  # type: ignore[arg-type]
    try:
        await executor.execute(wish("default", POOL, 2, 4))
        assert await size_seen(api, pools, 2) == 4
    finally:
        await client.close()


async def test_nodes_asked_for_by_the_zone_count_in_all_zones(api: GkeApi) -> None:
    api.pool["locations"] = ZONES
    client = GkeClient(FixedToken(), api.url)
    pools = GkePools(client, WalkingClock(0.0))
    try:
        await resize(api, 3, 4, client=client)
        assert await size_seen(api, pools, 3) == 6
    finally:
        await client.close()


async def test_a_zone_that_keeps_its_nodes_is_not_asked_again(api: GkeApi) -> None:
    api.pool["locations"] = ZONES
    await resize(api, 6, 5)
    assert api.sizes == []


@pytest.mark.parametrize(
    ("autoscaling", "words"),
    [
        ({"enabled": True, "minNodeCount": 1, "maxNodeCount": 9}, "between 1 and 9 nodes a zone"),
        ({"enabled": True, "totalMaxNodeCount": 30}, "between 0 and 30 nodes"),
    ],
)
async def test_an_autoscaled_pool_is_never_resized(
    api: GkeApi, autoscaling: dict[str, Any], words: str
) -> None:
    api.pool["autoscaling"] = autoscaling
    said = str(await refused(api))
    assert "GKE node pool flowers/gpu is never resized by us" in said
    assert words in said
    assert "--no-enable-autoscaling" in said
    assert api.sizes == []
    api.pool["autoscaling"] = {"enabled": False}
    await resize(api, 1, 2)
    assert api.sizes == [2]


@pytest.mark.parametrize(
    "answer",
    [
        busy,
        lambda: error(409, "ABORTED", "Operation is in progress."),
        lambda: error(429, "RESOURCE_EXHAUSTED", "Too many operations: quota 5."),
    ],
    ids=["GKE's own", "409", "429"],
)
async def test_an_operation_that_is_under_way_is_waited_for_not_complained_of(
    api: GkeApi, answer: Any
) -> None:
    api.refusal = answer()
    said = str(await refused(api))
    assert "is busy" in said
    assert said.endswith("tried again next tick")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            lambda: error(403, "PERMISSION_DENIED", 'Required "container.clusters.update".'),
            "a role with container.clusters.get and container.clusters.update in project my-proj",
        ),
        (
            lambda: error(404, "NOT_FOUND", "Not found: projects/my-project/…/nodePools/gpu."),
            "correct project my-project, location us-central1-a, cluster or pool in nodes.driver",
        ),
        (
            lambda: error(400, "INVALID_ARGUMENT", "node_count must be below 1000."),
            "node_count must be below 1000.",
        ),
        (
            lambda: error(400, "FAILED_PRECONDITION", "Insufficient regional quota."),
            "Insufficient regional quota.): correct nodes.driver.gke or its quota",
        ),
        (lambda: web.Response(status=502, text="<html>Bad Gateway</html>"), "not a JSON object"),
        (lambda: web.Response(status=200, text="[]"), "not a JSON object"),
    ],
    ids=["403", "404", "400", "quota", "a proxy's page", "a list"],
)
async def test_a_refusal_says_what_to_do(api: GkeApi, answer: Any, words: str) -> None:
    api.refusal = answer()
    said = str(await refused(api))
    assert words in said
    assert said.startswith("GKE node pool flowers/gpu")
    assert "is busy" not in said


async def test_nothing_is_sent_where_the_pool_cannot_be_looked_at(api: GkeApi) -> None:
    api.look_refusal = error(404, "NOT_FOUND", "Not found.")
    assert "is not there" in str(await refused(api))
    assert api.sizes == []


async def test_an_operation_that_failed_at_once_is_told(api: GkeApi) -> None:
    api.operation = {
        "status": "DONE",
        "error": {"code": 8, "message": "ZONE_RESOURCE_POOL_EXHAUSTED"},
    }
    assert "ZONE_RESOURCE_POOL_EXHAUSTED" in str(await refused(api))


async def test_gke_takes_any_node_so_that_no_pool_with_a_busy_one_is_lowered(api: GkeApi) -> None:
    cluster = Cluster(0, 1, 0)
    said = str(await refused(api, 3, 2, cluster=cluster))
    assert "may take any of its nodes, and 1 of them have GPU pods on them" in said
    assert cluster.selectors == ["cloud.google.com/gke-nodepool=gpu"]
    assert api.sizes == []
    await resize(api, 3, 1, cluster=Cluster(0, 0, 0))
    assert api.sizes == [1]


async def test_a_dry_run_looks_and_does_not_resize(api: GkeApi) -> None:
    (note,) = await resize(api, 1, 2, dry_run=True)
    assert "setSize was not called" in note
    assert [method for method, _, _ in api.asked] == ["GET"]


async def test_an_api_that_hangs_or_refuses_connections_ends_in_words(api: GkeApi) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        api.url = f"http://127.0.0.1:{port}"
        found = await refused(api, within=0.2)
        assert "did not answer within 200ms" in str(found)
        # Said of the API server only: other policies' writes go on.
        assert not found.unanswered
    found = await refused(api)
    assert "cannot be reached" in str(found)
    assert not found.unanswered


async def test_names_are_escaped_in_the_path() -> None:
    strange = GkePool("example.com:p", "europe-west4", "a/b", "gpu")
    assert path_of(strange) == (
        "/v1/projects/example.com%3Ap/locations/europe-west4/clusters/a%2Fb/nodePools/gpu"
    )


async def test_the_driver_is_reached_by_its_type_and_says_which_credentials_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(ActionError, match="no usable Google credentials") as caught:
        await DRIVERS[GkePool](Cluster(), wish("default", POOL, 1, 2), deadline=5.0, dry_run=False)  # type: ignore[arg-type]
    assert "set GOOGLE_APPLICATION_CREDENTIALS" in str(caught.value)


async def test_a_token_of_a_service_account_is_asked_for_once_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Google's own library, its token endpoint played by a server of ours."""
    asked: list[str] = []

    async def token(request: web.Request) -> web.Response:
        asked.append(str((await request.post())["grant_type"]))
        return web.json_response({"access_token": "fresh", "expires_in": 3600})

    app = web.Application()
    app.router.add_post("/token", token)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        file = tmp_path / "account.json"
        file.write_text(json.dumps(_account(f"http://{host}:{port}/token")))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        tokens = DefaultTokens()
        assert await tokens.bearer(5.0) == "fresh"
        assert await tokens.bearer(5.0) == "fresh"
    finally:
        await runner.cleanup()
    assert asked == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "google.auth", None)
    with pytest.raises(GkeError, match=r"install triton-autoscaler\[gke\]"):
        await DefaultTokens().bearer(5.0)


def _account(token_url: str) -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "1",
        "private_key": key.decode(),
        "client_email": "autoscaler@my-project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_url,
    }
