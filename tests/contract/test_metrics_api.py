"""The metrics API over TLS, as other people's programs read it: the official Python client, and the
requests that a 1.36 control plane was seen to send.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from kubernetes import client

from autoscaler.serve.metrics_api import server
from tests.unit.metrics_api.served import QUEUE, Served, flower

GROUP = "custom.metrics.k8s.io"
BEFORE = f"/apis/{GROUP}/v1beta1/namespaces/default"
# From the aggregator: availability, aggregated discovery, OpenAPI, and one HPA's request.
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
SELECTED = "?labelSelector=app%3Dflower&metricLabelSelector=model%3Dbert"
SEEN = [
    (f"/apis/{GROUP}/v1beta1", "application/json, */*", 200),
    (f"/apis/{GROUP}/v1beta2", "application/json, */*", 200),
    ("/apis/external.metrics.k8s.io/v1beta1", "", 200),
    ("/apis", AGGREGATED, 404),
    ("/openapi/v2", f"{PROTOBUF};q=1.0, application/json", 404),
    ("/openapi/v3", "application/json", 404),
    (
        f"/apis/{GROUP}/v1beta2/namespaces/default/pods/%2A/{QUEUE}{SELECTED}",
        "application/vnd.kubernetes.protobuf, */*",
        200,
    ),
]


@dataclass
class Secured:
    served: Served
    url: str
    ca: Path

    async def official(self, call: Callable[[client.ApiClient], Any]) -> Any:
        configuration = client.Configuration(host=self.url)
        configuration.ssl_ca_cert = str(self.ca)
        with client.ApiClient(configuration) as api:
            return await asyncio.to_thread(call, api)


@asynccontextmanager
async def served_over_tls(tmp_path: Path) -> AsyncIterator[Secured]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    served = Served()
    await served.api.start("127.0.0.1", 0, context)
    served.tick(flower())
    yield Secured(served, f"https://localhost:{served.api.port}", ca)
    await served.api.close()


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    async with served_over_tls(tmp_path) as found:
        yield found


def raw(path: str) -> Callable[[client.ApiClient], Any]:
    """As kubectl get --raw; raises ApiException."""

    def call(api: client.ApiClient) -> Any:
        accept = {"Accept": "application/json, */*"}
        answer = api.call_api("GET", api.configuration.host + path, header_params=accept)
        answer.read()
        return api.response_deserialize(answer, {"200": "object"}).data

    return call


async def test_the_official_client_reads_discovery(secured: Secured) -> None:
    found = await secured.official(
        lambda api: client.CustomObjectsApi(api).get_api_resources(GROUP, "v1beta1")
    )
    names = {one.name: one.namespaced for one in found.resources}
    assert (names[f"pods/{QUEUE}"], names[f"namespaces/{QUEUE}"]) == (True, False)
    groups = await secured.official(lambda api: client.ApisApi(api).get_api_versions())
    assert [one.name for one in groups.groups] == [GROUP, "external.metrics.k8s.io"]


async def test_the_seeds_kubectl_get_raw(secured: Secured) -> None:
    found = await secured.official(raw(f"{BEFORE}/pods/*/{QUEUE}"))
    assert found["kind"] == "MetricValueList"
    assert [one["value"] for one in found["items"]] == ["1500", "4k"]


async def test_the_official_client_sees_a_status_in_an_error(secured: Secured) -> None:
    with pytest.raises(client.ApiException) as caught:
        await secured.official(raw(f"{BEFORE}/pods/*/nope"))
    assert (caught.value.status, "could not find the metric nope" in caught.value.body) == (
        404,
        True,
    )


@pytest.mark.parametrize(("path", "accept", "status"), SEEN, ids=[one[0][:60] for one in SEEN])
async def test_what_a_control_plane_was_seen_to_send(
    secured: Secured, path: str, accept: str, status: int
) -> None:
    from yarl import URL

    headers = {"Accept": accept, "Accept-Encoding": "gzip", "X-Remote-Group": "system:masters"}
    tls = ssl.create_default_context(cafile=str(secured.ca))
    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(secured.url + path, encoded=True), headers=headers, ssl=tls) as answer,
    ):
        assert (answer.status, answer.content_type) == (status, "application/json")
        assert (await answer.json())["kind"]


async def test_a_client_that_never_ends_its_handshake_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HANDSHAKE", 0.2)
    async with served_over_tls(tmp_path) as slow:
        reader, writer = await asyncio.open_connection("127.0.0.1", slow.served.api.port)
        writer.write(b"\x16\x03\x01")  # a ClientHello begins so
        assert await asyncio.wait_for(reader.read(), 60.0) == b""
        writer.close()
        found = await slow.official(raw(f"{BEFORE}/pods/*/{QUEUE}"))
        assert len(found["items"]) == 2


async def test_a_later_request_that_never_ends_is_cut_off_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE", 0.3)
    async with served_over_tls(tmp_path) as slow:
        tls = ssl.create_default_context(cafile=str(slow.ca))
        place = ("localhost", slow.served.api.port)
        reader, writer = await asyncio.open_connection(*place, ssl=tls)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nX-Slow: ")
        said = await asyncio.wait_for(reader.read(), 60.0)
        assert said.count(b"HTTP/1.1 200") == 1
        writer.close()


async def test_plain_http_on_the_tls_port_gets_nothing(secured: Secured) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", secured.served.api.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"ok" not in await asyncio.wait_for(reader.read(), 5.0)
    writer.close()
