"""The gate of the metrics API: who asks, and may they. After k8s.io/apiserver's delegation."""

from __future__ import annotations

from aiohttp import web

from autoscaler.clock import Clock
from autoscaler.serve.access.front_proxy import WatchedTrust, remote_user
from autoscaler.serve.access.peer import PeerCertificate, peer_certificate
from autoscaler.serve.access.remembered import Unavailable
from autoscaler.serve.access.reviews import Reviews
from autoscaler.serve.access.users import MASTERS, User
from autoscaler.serve.metrics_api.ports import Attributes, Denied

NOBODY_KNOWN = "show a bearer token, or come through the API server's aggregator"


class DelegatingGate:
    """Implements `metrics_api.ports.Gate`. Nobody is believed who is not known by a certificate
    or a token: X-Remote-User on any other connection is not even read.
    """

    def __init__(self, trust: WatchedTrust, reviews: Reviews, clock: Clock) -> None:
        self._trust = trust
        self._reviews = reviews
        self._clock = clock

    async def admit(self, request: web.BaseRequest, attributes: Attributes | None) -> None:
        """Return, or raise Denied. Without attributes: whoever is authenticated may."""
        user = await self.user(request)
        if attributes is None or MASTERS in user.groups:
            return
        try:
            verdict = await self._reviews.verdict(user, attributes)
        except Unavailable as error:
            raise Denied(503, f"cannot tell whether {user.name} may do this: {error}") from error
        if not verdict.allowed:
            raise Denied(403, _forbidden(user, attributes, verdict.reason))

    async def user(self, request: web.BaseRequest) -> User:
        """By front proxy, client certificate or bearer token; raises Denied 401 or 503."""
        certificate = peer_certificate(request)
        complaint = None
        if certificate is not None:
            found = self._by_certificate(request, certificate)
            if isinstance(found, User):
                return found
            complaint = found
        token = _bearer(request)
        if token is not None:
            try:
                known = await self._reviews.user_of(token)
            except Unavailable as error:
                raise Denied(503, f"cannot tell whose token this is: {error}") from error
            if known is not None:
                return known
            complaint = complaint or "the API server does not accept the bearer token"
        raise Denied(401, f"Unauthorized: {complaint or NOBODY_KNOWN}")

    def _by_certificate(self, request: web.BaseRequest, certificate: PeerCertificate) -> User | str:
        """The user, or why there is none."""
        trust, now = self._trust.now, self._clock.now()
        known = _shown(certificate)
        if now > certificate.not_after or now < certificate.not_before:
            _hang_up(request)
            return f"{known} is expired or not yet valid"
        complaint = f"{known} comes from an authority that is not trusted any more"
        if certificate.issued_by(trust.front_proxy):
            if not trust.allows(certificate.name):
                complaint = f"{known} is not one of requestheader-allowed-names"
            else:
                user = remote_user(request.headers, trust)
                if user is not None:
                    return user
                complaint = f"{known} names no user in {', '.join(trust.username_headers)}"
        elif certificate.name and certificate.issued_by(trust.clients):
            return certificate.as_user()
        else:
            _hang_up(request)
        return complaint


def _hang_up(request: web.BaseRequest) -> None:
    """After the answer: the next connection comes with the client's newest certificate.

    The aggregator would otherwise keep a connection, and its refusals, for minutes.
    """
    if request.transport is not None:
        request.protocol.close()


def _bearer(request: web.BaseRequest) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return (token.strip() or None) if scheme.lower() == "bearer" else None


def _shown(certificate: PeerCertificate) -> str:
    return f"the client certificate {certificate.name[:100]!r}"


def _forbidden(user: User, asked: Attributes, reason: str) -> str:
    """In the API server's own words, which SREs and their searches know."""
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    place = f' in the namespace "{asked.namespace}"' if asked.namespace else " at the cluster scope"
    name = f' "{asked.name}"' if asked.name else ""
    because = f": {reason}" if reason else ""
    return (
        f'{asked.resource}.{asked.group}{name} is forbidden: User "{user.name}" cannot '
        f'{asked.verb} resource "{resource}" in API group "{asked.group}"{place}{because}'
    )
