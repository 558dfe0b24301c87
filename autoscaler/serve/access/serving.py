"""Where the serving certificate comes from, and keeping it fresh: mounted files, or self-signed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from autoscaler.clock import Clock
from autoscaler.serve.access.api_service import NAMES, Published, publish
from autoscaler.serve.access.certificates import Pair, expires, self_signed, service_names
from autoscaler.serve.access.rotation import Kept, advance
from autoscaler.serve.access.secret import CertificateSecret, SecretRefused
from autoscaler.serve.access.tls import ServingTls, TlsError

FILES_EVERY = 10.0
SECRET_EVERY = 30.0
# Said from this long before the end: cert-manager renews 30 days before, so something is wrong.
EXPIRY_WARNING = 7 * 86_400.0


class Certificate(Protocol):
    """A source of the serving certificate. `problem`: what an SRE must know, or None."""

    every: float
    problem: str | None

    async def refresh(self) -> None:
        """Look again; never raises for what is outside this process."""


class MountedCertificate:
    """Files that somebody else renews, such as cert-manager through a mounted Secret. They are
    compared by content: a mounted Secret swaps a symlink, and its mtimes lie.
    """

    every = FILES_EVERY

    def __init__(self, certificate: Path, key: Path, tls: ServingTls, clock: Clock) -> None:
        self._certificate = certificate
        self._key = key
        self._tls = tls
        self._clock = clock
        self.problem: str | None = None

    async def refresh(self) -> None:
        try:
            pair = await asyncio.to_thread(self._read)
            self._tls.use_certificate(*pair)
            left = expires(pair[0]) - self._clock.now()
        except OSError as error:
            self.problem = f"{error.filename or self._certificate}: {error.strerror or error}"
        except (TlsError, ValueError) as error:
            # Half of a renewal: the certificate is there and its key is not yet.
            self.problem = f"{self._certificate}, {self._key}: {error}"
        else:
            self.problem = None
            if left < EXPIRY_WARNING:
                ends = "expired" if left < 0 else f"expires in {left / 86_400:.1f} days"
                self.problem = f"{self._certificate} {ends}: renew it, it is read again by itself"

    def _read(self) -> tuple[bytes, bytes]:
        return self._certificate.read_bytes(), self._key.read_bytes()


class SelfSignedCertificate:
    """Made here, shared by the replicas through a Secret, published in our APIServices."""

    every = SECRET_EVERY

    def __init__(
        self,
        client: Any,
        tls: ServingTls,
        clock: Clock,
        *,
        service: str,
        namespace: str,
        secret: str | None = None,
        extra_names: Sequence[str] = (),
        api_services: Sequence[str] = NAMES,
        make: Callable[[Sequence[str], float], Pair] = self_signed,
    ) -> None:
        self._client = client
        self._tls = tls
        self._clock = clock
        self._service = service
        self._namespace = namespace
        self._names = (*service_names(service, namespace), *extra_names)
        self._api_services = tuple(api_services)
        self._secret = CertificateSecret(client, namespace, secret or f"{service}-tls")
        self._make = make
        self._kept: Kept | None = None
        self.published = Published()
        self.problem: str | None = None

    @property
    def bundle(self) -> bytes:
        return self._kept.bundle if self._kept else b""

    async def refresh(self) -> None:
        """Adopt what is in the Secret, or write what is due; then serve and publish it."""
        try:
            self._kept = await self._agree()
            self._tls.use_certificate(self._kept.serving.certificate, self._kept.serving.key)
        except (SecretRefused, TlsError) as error:
            # What is served already goes on; the Secret is asked again.
            self.problem = str(error)
            return
        self.published = await publish(
            self._client, self._service, self._namespace, self._kept.bundle, self._api_services
        )
        self.problem = "; ".join(self.published.problems) or None

    async def _agree(self) -> Kept:
        for _ in range(5):  # as many replicas may start at once
            stored = await self._secret.read()
            now = self._clock.now()
            kept = advance(
                stored.kept,
                self._names,
                now,
                lambda: self._make(self._names, self._clock.now()),
                published=self._is_published(stored.kept),
            )
            if kept is stored.kept or await self._secret.write(kept, stored.version):
                return kept
        raise SecretRefused(f"Secret of {self._service} changes under our hands; asked again")

    def _is_published(self, kept: Kept | None) -> bool:
        """As of the last refresh: all that are ours carry exactly these authorities."""
        known = self._kept is not None and kept is not None and self._kept.bundle == kept.bundle
        return known and not self.published.problems


async def keep_fresh(certificate: Certificate, clock: Clock) -> None:
    """Until cancelled. The first refresh is the caller's, who wants to know its outcome."""
    while True:
        await clock.sleep(certificate.every)
        try:
            await certificate.refresh()
        except Exception as error:  # noqa: BLE001 -- contained: what is served goes on
            certificate.problem = f"the serving certificate cannot be looked after: {error!r}"
