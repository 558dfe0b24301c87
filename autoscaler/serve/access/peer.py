"""The client certificate of a connection, as the handshake verified it."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from aiohttp import web

from autoscaler.serve.access.users import User, authenticated

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """`chain` is DER, from the client's own to the authority that the handshake trusted."""

    name: str  # CN
    organizations: tuple[str, ...]  # O, the groups of a cluster user
    not_before: float  # Unix time
    not_after: float
    chain: tuple[bytes, ...]

    def issued_by(self, authorities: frozenset[bytes]) -> bool:
        """Asked for each request: an authority may be withdrawn while a connection lives."""
        return any(certificate in authorities for certificate in self.chain)

    def as_user(self) -> User:
        return authenticated(User(self.name, groups=self.organizations))


_seen: WeakKeyDictionary[ssl.SSLObject, PeerCertificate | None] = WeakKeyDictionary()


def peer_certificate(request: web.BaseRequest) -> PeerCertificate | None:
    """None over plain HTTP, or where the client showed none."""
    transport = request.transport
    tls = transport.get_extra_info("ssl_object") if transport is not None else None
    if tls is None:
        return None
    if tls not in _seen:
        _seen[tls] = _read(tls)
    return _seen[tls]


def _read(tls: ssl.SSLObject) -> PeerCertificate | None:
    found = tls.getpeercert()
    if not found:
        return None
    subject = [(str(pair[0]), str(pair[1])) for part in found.get("subject", ()) for pair in part]
    return PeerCertificate(
        name=next((value for key, value in subject if key == "commonName"), ""),
        organizations=tuple(value for key, value in subject if key == "organizationName"),
        not_before=ssl.cert_time_to_seconds(str(found["notBefore"])),
        not_after=ssl.cert_time_to_seconds(str(found["notAfter"])),
        chain=_verified_chain(tls),
    )


def _verified_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    public = getattr(tls, "get_verified_chain", None)  # Python 3.13
    if public is not None:
        return tuple(public())
    # The same call, before it had a public name.
    chain = tls._sslobj.get_verified_chain() or ()  # type: ignore[attr-defined] # noqa: SLF001
    return tuple(ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in chain)


def authorities(pem: str) -> frozenset[bytes]:
    """The certificates of a bundle as DER; raises ValueError for text that OpenSSL refuses."""
    blocks = _PEM.findall(pem)
    if not blocks:
        raise ValueError("no certificate in it")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=pem)
    except ssl.SSLError as error:
        raise ValueError(f"OpenSSL refuses it: {error}") from error
    return frozenset(ssl.PEM_cert_to_DER_cert(block) for block in blocks)
