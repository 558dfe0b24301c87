"""TLS of the metrics API: renewed certificates and authorities count from the next connection.

A client certificate is asked for and verified in the handshake, as Python cannot do it later: one
of an unknown authority ends the connection, unlike in Go. A client without one is let in, as
nobody. Health is also served without TLS (serve/server.py), so no probe depends on any of this.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable
from typing import Any

# X509_V_FLAG_NO_CHECK_TIME: an expired certificate is refused by the gate, in words and also on
# a connection that is older than the expiry; the handshake could only hang up.
NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
# A front proxy's authority may itself be an intermediate one: what is in the bundle is trusted.
PARTIAL_CHAIN = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


class TlsError(Exception):
    """A certificate, key or bundle that cannot be used; the text says which and why."""


class LiveContext(ssl.SSLContext):
    """To listen with: each connection gets the context that is `current` at its beginning."""

    current: ssl.SSLContext

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self.current.wrap_bio(*args, **kwargs)


class ServingTls:
    """Certificate and authorities for the next connection; whatever changes, open ones go on.

    `refused` hears of each handshake that came to nothing, in words: asyncio says nothing, and
    the other side only sees the connection end.
    """

    def __init__(self, refused: Callable[[str], None] = lambda _: None) -> None:
        self._pair: bytes | None = None
        self._authorities = ""
        self._object = _reporting(refused)
        # Until there is a certificate, every handshake fails.
        self.context = LiveContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.current = self._bare()

    def use_certificate(self, certificate: bytes, key: bytes) -> None:
        """PEM, the chain leaf first. Raises TlsError, and keeps what was served before."""
        pair = certificate.rstrip() + b"\n" + key
        if pair != self._pair:
            self.context.current = self._built(pair, self._authorities)
            self._pair = pair

    def use_authorities(self, pem: str) -> None:
        """Whose client certificates to accept. Raises TlsError, and keeps the ones before."""
        if pem == self._authorities:
            return
        self.context.current = self._built(self._pair, pem)
        self._authorities = pem

    def _built(self, pair: bytes | None, authorities: str) -> ssl.SSLContext:
        context = self._bare()
        try:
            if pair is not None:
                _load(context, pair)
        except (ssl.SSLError, OSError) as error:
            raise TlsError(f"serving certificate and key cannot be used: {error}") from error
        _accept(context, authorities)
        return context

    def _bare(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = self._object
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= NO_CHECK_TIME | PARTIAL_CHAIN
        # A resumed session brings no certificate chain, and would outlive a rotated authority.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        return context


def _reporting(refused: Callable[[str], None]) -> type[ssl.SSLObject]:
    class Reporting(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLSyscallError):
                raise
            except ssl.SSLCertVerificationError as error:
                refused(f"a client certificate was refused: {error.verify_message}")
                raise
            except ssl.SSLError as error:
                refused(f"a TLS handshake failed: {error.reason or error}")
                raise

    return Reporting


def _accept(context: ssl.SSLContext, authorities: str) -> None:
    if not authorities:
        return
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise TlsError(f"authorities of client certificates cannot be used: {error}") from error


def _load(context: ssl.SSLContext, pair: bytes) -> None:
    """`load_cert_chain` takes files only. On Linux the key stays in memory."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("tls"), "wb") as file:
            file.write(pair)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    else:
        with tempfile.NamedTemporaryFile() as named:
            named.write(pair)
            named.flush()
            context.load_cert_chain(named.name)
