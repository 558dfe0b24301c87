"""The Kubernetes Engine API v1: a node pool looked at and resized. Needs the extra `gke`.

Nothing of Google's but its credentials is used: two calls are 40 lines, the client library is
60 MB. Tried against a server of our own that answers as the API is documented, never a real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from autoscaler.kube.client import USER_AGENT, WITHIN, KubeError
from autoscaler.model import GkePool
from autoscaler.units import format_duration

URL = "https://container.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
INSTALL = "install triton-autoscaler[gke] for Google's credentials"


class GkeError(KubeError):
    """Refused, or out of reach. `code` is Google's (`FAILED_PRECONDITION`), "" without an answer.

    `busy`: another operation is under way, or the quota of calls is used up: nothing is wrong, and
    the same call does later. GKE says the first as 400 FAILED_PRECONDITION with the reason
    CLUSTER_ALREADY_HAS_OPERATION, where other APIs say 409.
    """

    def __init__(self, reason: str, status: int = 0, code: str = "", *, busy: bool = False) -> None:
        super().__init__(reason, status)
        self.code = code
        self.busy = busy


class Tokens(Protocol):
    async def bearer(self, within: float) -> str:
        """Raises KubeError."""


class DefaultTokens:
    """Application default credentials: workload identity, GOOGLE_APPLICATION_CREDENTIALS, gcloud.

    Looked for once, renewed when they are about to expire. Google's library blocks, so it runs in
    a thread, and gives up by itself after `within`.
    """

    def __init__(self) -> None:
        self._credentials: Any = None
        self._one = asyncio.Lock()

    async def bearer(self, within: float) -> str:
        async with self._one:
            try:
                async with asyncio.timeout(within):
                    return await asyncio.to_thread(self._fresh, within)
            except TimeoutError:
                waited = format_duration(within)
                raise GkeError(f"Google's credentials did not come within {waited}") from None

    def _fresh(self, within: float) -> str:
        try:
            import google.auth
            from google.auth.exceptions import GoogleAuthError
            from google.auth.transport.requests import Request
        except ImportError:
            raise GkeError(INSTALL) from None
        request = Request()

        def ask(*args: Any, **more: Any) -> Any:
            return request(*args, **{**more, "timeout": within})  # its own default is 120 s

        try:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=[SCOPE])
            if not self._credentials.valid:
                self._credentials.refresh(ask)
        except (GoogleAuthError, OSError) as error:
            raise GkeError(
                f"no usable Google credentials ({error}): bind the service account by workload "
                "identity, or set GOOGLE_APPLICATION_CREDENTIALS"
            ) from error
        return str(self._credentials.token)


class GkeClient:
    """Every call ends within so many seconds and raises GkeError, a KubeError, in words.

    `taken`: nodes a zone of the setSize that was last taken, by pool, for whoever reads the pools:
    the API tells no size but the one of a pool's making. It is of this process: a daemon that
    takes over counts the nodes until it has asked itself.
    """

    def __init__(self, tokens: Tokens | None = None, url: str = URL) -> None:
        self._tokens = tokens or DefaultTokens()
        self._url = url
        self._session: Any = None
        self.taken: dict[GkePool, int] = {}

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def node_pool(self, driver: GkePool, within: float = WITHIN) -> Mapping[str, Any]:
        """The NodePool: autoscaling, locations, status, conditions. Not its size: the API has
        only the one that it was made with.
        """
        return await self._call("GET", path_of(driver), None, within)

    async def set_size(
        self, driver: GkePool, per_zone: int, within: float = WITHIN
    ) -> Mapping[str, Any]:
        """So many nodes in each of the pool's zones; the Operation, which goes on for minutes."""
        body = {"nodeCount": per_zone}
        return await self._call("POST", f"{path_of(driver)}:setSize", body, within)

    async def _call(self, method: str, path: str, body: Any, within: float) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(within):
                status, answer = await self._ask(method, path, body, within)
        except TimeoutError:
            waited = format_duration(within)
            raise GkeError(f"{self._url} did not answer within {waited}") from None
        return _decoded(status, answer)

    async def _ask(self, method: str, path: str, body: Any, within: float) -> tuple[int, bytes]:
        import aiohttp

        headers = {
            "Authorization": f"Bearer {await self._tokens.bearer(within)}",
            "User-Agent": USER_AGENT,
        }
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with self._session.request(
                method, f"{self._url}{path}", json=body, headers=headers
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise GkeError(f"{self._url} cannot be reached: {error}") from error


def path_of(driver: GkePool) -> str:
    """/v1/projects/P/locations/L/clusters/C/nodePools/N"""
    names = {
        "projects": driver.project,
        "locations": driver.location,
        "clusters": driver.cluster,
        "nodePools": driver.pool,
    }
    return "/v1" + "".join(f"/{kind}/{quote(name, safe='')}" for kind, name in names.items())


def _decoded(status: int, answer: bytes) -> Mapping[str, Any]:
    try:
        data = orjson.loads(answer)
    except orjson.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        start = " ".join(answer[:80].decode(errors="replace").split())
        raise GkeError(f"HTTP {status}, not a JSON object: {start}", status)
    if 200 <= status <= 299:
        return data
    error = data.get("error")
    error = error if isinstance(error, dict) else {}
    code, message = str(error.get("status") or ""), str(error.get("message") or "no message")
    reasons = {one.get("reason") for one in error.get("details") or () if isinstance(one, dict)}
    busy = (
        status in {409, 429}
        or "CLUSTER_ALREADY_HAS_OPERATION" in reasons
        or (code == "FAILED_PRECONDITION" and "operation" in message.lower())
    )
    raise GkeError(f"HTTP {status} {code}: {message}", status, code, busy=busy)
