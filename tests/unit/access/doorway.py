"""A small HTTPS server behind the gate, and clients with every kind of credential."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import trustme
from aiohttp import web

from autoscaler.clock import WalkingClock
from autoscaler.kube.client import KubeClient
from autoscaler.serve.access.assembly import Access, MountedFiles
from autoscaler.serve.access.front_proxy import CONFIG_MAP
from autoscaler.serve.access.reviews import ACCESS_REVIEWS, TOKEN_REVIEWS
from autoscaler.serve.metrics_api.ports import Attributes, Denied
from tests.unit.kube.scripted import Review, ScriptedApi

CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"
HPA = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
QUEUE = Attributes("custom.metrics.k8s.io", "v1beta2", "pods", "queue_us", "*", "default", "get")
REMOTE = {"X-Remote-User": HPA}
# Of the real aggregator: three group lines, and an extra key that is percent-encoded.
FULL_REMOTE = [
    ("X-Remote-User", HPA),
    ("X-Remote-Uid", "0b1e"),
    ("X-Remote-Group", "system:serviceaccounts"),
    ("X-Remote-Group", "system:serviceaccounts:kube-system"),
    ("X-Remote-Group", "system:authenticated"),
    ("X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id", "JTI=1"),
]


@dataclass
class Authorities:
    front: trustme.CA = field(default_factory=trustme.CA)
    cluster: trustme.CA = field(default_factory=trustme.CA)
    stranger: trustme.CA = field(default_factory=trustme.CA)
    serving: trustme.CA = field(default_factory=trustme.CA)


def config_map(front: Iterable[trustme.CA], cluster: trustme.CA, **changes: str) -> dict[str, Any]:
    data = {
        "requestheader-client-ca-file": "".join(ca.cert_pem.bytes().decode() for ca in front),
        "requestheader-allowed-names": '["front-proxy-client"]',
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-uid-headers": '["X-Remote-Uid"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        "client-ca-file": cluster.cert_pem.bytes().decode(),
    }
    data |= {key.replace("_", "-"): value for key, value in changes.items()}
    return {
        "metadata": {"name": CONFIG_MAP, "namespace": "kube-system"},
        "data": {key: value for key, value in data.items() if value},
    }


def client_of(
    authority: trustme.CA, name: str = "front-proxy-client", **options: Any
) -> trustme.LeafCert:
    return authority.issue_cert("client@example.org", common_name=name, **options)


@dataclass
class Doorway:
    """`ask` gives status and text: the user as JSON, or why not."""

    access: Access
    authorities: Authorities
    clock: WalkingClock
    api: ScriptedApi
    folder: Path
    said: list[str]
    port: int = 0
    attributes: Attributes | None = QUEUE

    @property
    def tokens(self) -> Review:
        return self.api.posts[TOKEN_REVIEWS]

    @property
    def reviews(self) -> Review:
        return self.api.posts[ACCESS_REVIEWS]

    def session(self, certificate: trustme.LeafCert | None = None) -> aiohttp.ClientSession:
        context = ssl.create_default_context()
        self.authorities.serving.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    async def ask(
        self,
        certificate: trustme.LeafCert | None = None,
        headers: Any = (),
        token: str | None = None,
    ) -> tuple[int, str]:
        async with self.session(certificate) as session:
            return await self.ask_on(session, headers, token)

    async def ask_on(
        self, session: aiohttp.ClientSession, headers: Any = (), token: str | None = None
    ) -> tuple[int, str]:
        from multidict import CIMultiDict

        sent = CIMultiDict(headers)
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        async with session.get(f"https://localhost:{self.port}/", headers=sent) as answer:
            return answer.status, await answer.text()

    def install(self, leaf: trustme.LeafCert) -> None:
        """As a mounted Secret changes: both files."""
        (self.folder / "tls.crt").write_bytes(leaf.cert_chain_pems[0].bytes())
        (self.folder / "tls.key").write_bytes(leaf.private_key_pem.bytes())

    async def handle(self, request: web.Request) -> web.Response:
        try:
            await self.access.gate.admit(request, self.attributes)
            user = await self.access.gate.user(request)
        except Denied as denied:
            return web.Response(status=denied.status, text=denied.message)
        return web.json_response(
            {"name": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra}
        )


def allow(_: Any) -> dict[str, Any]:
    return {"allowed": True, "reason": "RBAC: allowed"}


def known_token(spec: Any) -> dict[str, Any]:
    if spec["token"] != "good":
        return {"authenticated": False, "error": "invalid bearer token"}
    return {"authenticated": True, "user": {"username": "jane", "groups": ["sre"], "uid": "7"}}


@asynccontextmanager
async def doorway(api: ScriptedApi, client: KubeClient, folder: Path) -> AsyncIterator[Doorway]:
    authorities = Authorities()
    api.put(CONFIG_MAPS, config_map([authorities.front], authorities.cluster))
    api.posts[TOKEN_REVIEWS] = Review(known_token)
    api.posts[ACCESS_REVIEWS] = Review(allow)
    clock = PacedClock()
    said: list[str] = []
    files = MountedFiles(folder / "tls.crt", folder / "tls.key")
    access = Access(client, clock, files, said.append)
    door = Doorway(access, authorities, clock, api, folder, said)
    door.install(authorities.serving.issue_cert("localhost"))
    await access.open()
    app = web.Application()
    app.router.add_get("/", door.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=access.tls.context).start()
    door.port = runner.addresses[0][1]
    try:
        yield door
    finally:
        await runner.cleanup()
        await access.close()


class PacedClock(WalkingClock):
    """The present, moved by the test only: those who sleep on it look again every 10 ms."""

    def __init__(self) -> None:
        import time

        super().__init__(time.time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.01)

    def move(self, seconds: float) -> None:
        self._now += seconds


def user_in(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
