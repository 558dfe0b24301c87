"""The Kubernetes API as plain JSON: configuration, authentication and transport of `kubernetes`.

Only those parts of the package are used, and they are imported on first use: its typed models
cost 140 MB and refuse answers that the API server gives (`containers: null`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from autoscaler.units import format_duration

WITHIN = 5.0
GOODBYE = 0.1
USER_AGENT = "triton-autoscaler"
IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
MERGE_PATCH = "application/merge-patch+json"
NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class KubeError(Exception):
    """The API server refused or could not be reached. `status` is HTTP's, 0 without an answer."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class KubeClient:
    """One connection pool to one API server. Every call ends within so many seconds."""

    def __init__(self, api: Any, reload: Any, namespace: str) -> None:
        self._api = api
        self._reload = reload
        self.namespace = namespace  # of the context, or of the pod that we run in
        self.date: float | None = None  # Unix time at the API server's last answer, whole seconds

    @classmethod
    async def connect(
        cls, kubeconfig: Path | str | None = None, context: str | None = None
    ) -> KubeClient:
        """By the kubeconfig given, else the pod's service account, else the usual kubeconfig.

        Raises KubeError in words; no request is made yet.
        """
        from kubernetes.aio import client

        async def load() -> tuple[Any, str]:
            configuration = type.__call__(client.Configuration)
            namespace = await _load(configuration, kubeconfig, context)
            return configuration, namespace

        configuration, namespace = await load()
        # Each watch holds a connection for good: a limit would starve the other calls.
        configuration.connection_pool_maxsize = 0
        api = client.ApiClient(configuration)
        api.user_agent = USER_AGENT
        return cls(api, load, namespace)

    @property
    def host(self) -> str:
        return str(self._api.configuration.host)

    async def close(self) -> None:
        """Also lets connections that a cancelled request left behind say their TLS goodbye: aiohttp
        does not wait for those, and they would outlive the event loop.
        """
        await self._api.close()
        if self.host.startswith("https"):
            await asyncio.sleep(GOODBYE)

    async def get(
        self, path: str, query: dict[str, str] | None = None, within: float = WITHIN
    ) -> Any:
        """GET as decoded JSON. Raises KubeError."""
        return await self.request("GET", path, query=query, within=within)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        within: float = WITHIN,
    ) -> Any:
        """Any call, answered as decoded JSON. Raises KubeError with the server's own words."""
        status, answer = await self._call(method, path, query, body, content_type, within)
        if status == 401:
            await self._renew_token()
            status, answer = await self._call(method, path, query, body, content_type, within)
        return _decoded(status, answer)

    async def patch(self, path: str, body: Any, within: float = WITHIN) -> Any:
        """A JSON merge patch: the only kind that custom resources take too. Raises KubeError."""
        return await self.request("PATCH", path, body=body, content_type=MERGE_PATCH, within=within)

    async def lines(
        self, path: str, query: dict[str, str], *, within: float = WITHIN, silence: float
    ) -> AsyncGenerator[bytes, None]:
        """The lines of an answer that does not end, such as a watch; to be closed (`aclosing`).

        The first, empty one says that the server has accepted. `within`: seconds until then;
        `silence`: seconds without a byte after which the connection is taken for dead. Raises
        KubeError.
        """
        import aiohttp

        limits = aiohttp.ClientTimeout(total=None, sock_read=silence)
        try:
            async with asyncio.timeout(within):
                response = await self._accepted(path, query, limits)
        except TimeoutError:
            raise KubeError(
                f"{self.host} did not answer within {format_duration(within)}"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise KubeError(f"{self.host} cannot be reached: {error}") from error
        content = response.response.content
        try:
            yield b""
            while line := await content.readline():
                yield line
        except TimeoutError:
            waited = format_duration(silence)
            raise KubeError(f"{self.host} was silent for {waited} on {path}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise KubeError(f"{self.host} broke off {path}: {error}") from error
        except ValueError as error:  # how aiohttp says that a line is longer than its buffer
            raise KubeError(f"{self.host} sent a line of {path} that is too long") from error
        finally:
            _hang_up(response.response)

    async def _accepted(self, path: str, query: dict[str, str], limits: Any) -> Any:
        response = await self._send("GET", path, query, None, "application/json", limits)
        if response.status == 401:
            response.response.close()
            await self._renew_token()
            response = await self._send("GET", path, query, None, "application/json", limits)
        if response.status != 200:
            _decoded(response.status, await response.read())
            raise KubeError(f"HTTP {response.status} on {path}", response.status)
        return response

    async def _renew_token(self) -> None:
        """A kubeconfig's token file is read once only: it may have been renewed since."""
        self._api.configuration.api_key = (await self._reload())[0].api_key

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: Any,
        content_type: str,
        limit: float,
    ) -> tuple[int, bytes]:
        import aiohttp

        try:
            limits = aiohttp.ClientTimeout(total=limit)
            response = await self._send(method, path, query, body, content_type, limits)
            self.date = _date(response.response.headers.get("Date"))
            return response.status, await response.read()
        except TimeoutError:
            raise KubeError(f"{self.host} did not answer within {format_duration(limit)}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise KubeError(f"{self.host} cannot be reached: {error}") from error

    async def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: Any,
        content_type: str,
        limits: Any,
    ) -> Any:
        serialized = await self._api.param_serialize(
            method=method,
            resource_path=path + (f"?{urlencode(query, quote_via=quote)}" if query else ""),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        return await self._api.call_api(*serialized, _request_timeout=limits)


def _hang_up(response: Any) -> None:
    """Without a TLS goodbye: nobody waits for the one of an answer that does not end."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def _date(header: str | None) -> float | None:
    try:
        return parsedate_to_datetime(header).timestamp() if header else None
    except ValueError:
        return None


def _decoded(status: int, answer: bytes) -> Any:
    try:
        data = orjson.loads(answer)
    except orjson.JSONDecodeError:
        start = " ".join(answer[:80].decode(errors="replace").split())
        raise KubeError(f"HTTP {status}, not JSON: {start}", status) from None
    if not 200 <= status <= 299:
        message = data.get("message") if isinstance(data, dict) else None
        said = message or answer[:200].decode(errors="replace")
        raise KubeError(f"HTTP {status}: {said}", status)
    return data


async def _load(configuration: Any, kubeconfig: Path | str | None, context: str | None) -> str:
    """Fills the configuration; returns the namespace that goes with it."""
    from kubernetes.aio import config

    try:
        if kubeconfig is None and context is None and os.environ.get(IN_CLUSTER):
            config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
            return NAMESPACE.read_text().strip()  # noqa: ASYNC240 -- 20 bytes of tmpfs, once
        loader = await config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(kubeconfig) if kubeconfig else None,
            context=context,
            client_configuration=configuration,
        )
    except (config.ConfigException, OSError, ValueError) as error:
        place = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
        raise KubeError(f"no usable Kubernetes configuration in {place}: {error}") from error
    return str(loader.current_context.get("context", {}).get("namespace") or "default")
