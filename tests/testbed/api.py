"""The Kubernetes API as plain JSON over a client certificate."""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from tests.testbed.authority import KeyPair

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
_LIMIT_S = 15.0


class ApiRefused(Exception):  # noqa: N818 - named for what happened
    def __init__(self, request: str, status: int, reason: str, message: str) -> None:
        super().__init__(f"{request}: {status} {reason}: {message}")
        self.status = status
        self.reason = reason


def tls_context(ca: Path, client: KeyPair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    return context


class Api:
    """Raises ApiRefused for an answer that is an error, OSError where nobody answers."""

    def __init__(self, url: str, ca: Path, client: KeyPair) -> None:
        self.url = url
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=tls_context(ca, client)),
        )

    def get(self, path: str, **query: str) -> Object:
        return self._ask("GET", path, None, "", query)

    def post(self, path: str, body: Mapping[str, Any]) -> Object:
        return self._ask("POST", path, body, "application/json", {})

    def put(self, path: str, body: Mapping[str, Any]) -> Object:
        return self._ask("PUT", path, body, "application/json", {})

    def patch(self, path: str, body: Mapping[str, Any], content_type: str = MERGE) -> Object:
        return self._ask("PATCH", path, body, content_type, {})

    def delete(self, path: str, options: Mapping[str, Any] | None = None) -> Object:
        return self._ask("DELETE", path, options or {}, "application/json", {})

    def watch(
        self, path: str, *, limit_s: int, **query: str
    ) -> Generator[tuple[str, Object], None, None]:
        """Events as (type, object) until the server ends the watch after `limit_s` seconds."""
        query |= {"watch": "true", "timeoutSeconds": str(limit_s)}
        with self._open("GET", path, None, "", query, limit_s + _LIMIT_S) as response:
            for line in response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _refused(f"watch {path}", event["object"].get("code", 0), line)
                yield event["type"], event["object"]

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        content_type: str,
        query: Mapping[str, str],
    ) -> Object:
        with self._open(method, path, body, content_type, query, _LIMIT_S) as response:
            answer: Object = json.loads(response.read())
        return answer

    def _open(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        content_type: str,
        query: Mapping[str, str],
        timeout_s: float,
    ) -> Any:
        asked = f"{self.url}{path}"
        if query:
            asked += f"?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(
            asked,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Accept": "application/json"}
            | ({"Content-Type": content_type} if content_type else {}),
        )
        try:
            return self._opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(f"{method} {path}", error.code, error.read()) from None


def _refused(request: str, status: int, body: bytes) -> ApiRefused:
    try:
        said = json.loads(body)
        said = said.get("object", said)
    except (json.JSONDecodeError, AttributeError):
        return ApiRefused(request, status, "", body.decode(errors="replace")[:300])
    return ApiRefused(request, status, said.get("reason", ""), said.get("message", ""))
