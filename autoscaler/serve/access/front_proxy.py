"""Users whom the aggregator vouches for: X-Remote-* headers, and whom to believe them.

After k8s.io/apiserver `authentication/request/headerrequest`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
from multidict import CIMultiDictProxy

from autoscaler.clock import Clock
from autoscaler.serve.access.peer import authorities
from autoscaler.serve.access.users import User, authenticated

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

NAMESPACE, CONFIG_MAP = "kube-system", "extension-apiserver-authentication"
PLACE = f"ConfigMap {NAMESPACE}/{CONFIG_MAP}"


@dataclass(frozen=True, slots=True)
class Trust:
    """What the ConfigMap says. Nobody is trusted for an empty set of authorities."""

    pem: str = ""  # all authorities that a client certificate may come from
    front_proxy: frozenset[bytes] = frozenset()  # DER
    clients: frozenset[bytes] = frozenset()  # of `client-ca-file`: users of the cluster
    allowed_names: tuple[str, ...] = ()  # CNs of the front proxy; none: any
    username_headers: tuple[str, ...] = ()
    group_headers: tuple[str, ...] = ()
    uid_headers: tuple[str, ...] = ()
    extra_prefixes: tuple[str, ...] = ()

    def allows(self, name: str) -> bool:
        return not self.allowed_names or name in self.allowed_names


NOBODY = Trust()


def parse(data: Mapping[str, str]) -> Trust:
    """The ConfigMap's data; raises ValueError that names the key."""
    front_proxy = data.get("requestheader-client-ca-file") or ""
    clients = data.get("client-ca-file") or ""
    return Trust(
        pem=f"{front_proxy}\n{clients}".strip(),
        front_proxy=_authorities(data, "requestheader-client-ca-file"),
        clients=_authorities(data, "client-ca-file"),
        allowed_names=_names(data, "requestheader-allowed-names"),
        username_headers=_names(data, "requestheader-username-headers"),
        group_headers=_names(data, "requestheader-group-headers"),
        uid_headers=_names(data, "requestheader-uid-headers"),
        extra_prefixes=_names(data, "requestheader-extra-headers-prefix"),
    )


def _authorities(data: Mapping[str, str], key: str) -> frozenset[bytes]:
    pem = data.get(key) or ""
    if not pem.strip():
        return frozenset()
    try:
        return authorities(pem)
    except ValueError as error:
        raise ValueError(f"{PLACE}, {key}: {error}") from error


def _names(data: Mapping[str, str], key: str) -> tuple[str, ...]:
    """A JSON list inside a string, `["front-proxy-client"]`; an absent key is an empty one."""
    text = data.get(key) or "[]"
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{PLACE}, {key}: not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(f"{PLACE}, {key}: not a list of strings: {text[:80]}")
    return tuple(found)


def remote_user(headers: CIMultiDictProxy[str], trust: Trust) -> User | None:
    """To be asked only for a connection whose certificate is the front proxy's."""
    name = _first(headers, trust.username_headers)
    if not name:
        return None
    groups = [
        value for header in trust.group_headers for value in headers.getall(header, ()) if value
    ]
    user = User(name, _first(headers, trust.uid_headers), tuple(groups), _extra(headers, trust))
    return authenticated(user)


def _first(headers: CIMultiDictProxy[str], names: tuple[str, ...]) -> str:
    return next((headers[name] for name in names if headers.get(name)), "")


def _extra(headers: CIMultiDictProxy[str], trust: Trust) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """`X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id: JTI=…` in lower case, decoded:
    `authentication.kubernetes.io/credential-id`.
    """
    found: dict[str, list[str]] = {}
    for header, value in headers.items():
        for prefix in trust.extra_prefixes:
            if header.lower().startswith(prefix.lower()):
                found.setdefault(unquote(header[len(prefix) :].lower()), []).append(value)
    return tuple((key, tuple(values)) for key, values in sorted(found.items()))


class WatchedTrust:
    """The ConfigMap, followed: a rotated authority counts from the moment it is published."""

    def __init__(
        self, client: KubeClient, clock: Clock, changed: Callable[[Trust], None] = lambda _: None
    ) -> None:
        from autoscaler.kube.watch import WatchCache

        self.now = NOBODY
        self._bad: str | None = None
        self._announce = changed
        self.cache: WatchCache[dict[str, str]] = WatchCache(
            client,
            f"/api/v1/namespaces/{NAMESPACE}/configmaps",
            _data,
            clock=clock,
            query={"fieldSelector": f"metadata.name={CONFIG_MAP}"},
            changed=self._changed,
        )

    @property
    def problem(self) -> str | None:
        """Why the front proxy may be refused, in words; None where all is well."""
        if self.cache.problem is not None:
            remedy = ""
            if self.cache.status == 403:
                role = "extension-apiserver-authentication-reader"
                remedy = f"; bind the Role {role} in {NAMESPACE} to our service account"
            return f"{PLACE}: {self.cache.problem}{remedy}"
        if self._bad is not None or not self.cache.synced:
            return self._bad or f"{PLACE} was not read yet"
        if not self.cache.items:
            return f"there is no {PLACE}: only bearer tokens are known"
        if not self.now.front_proxy:
            return f"{PLACE} has no requestheader-client-ca-file: this cluster does not aggregate"
        return None

    def _changed(self) -> None:
        data = self.cache.items.get((NAMESPACE, CONFIG_MAP))
        try:
            found = NOBODY if data is None else parse(data)
        except ValueError as error:
            self._bad = f"{error}; what was right before stays in force"
            return
        self._bad = None
        if found != self.now:
            self.now = found
            self._announce(found)


def _data(item: Any) -> dict[str, str]:
    return dict(item.get("data") or {})
