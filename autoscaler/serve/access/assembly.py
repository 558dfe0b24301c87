"""Access put together: the certificate, the trust in the aggregator, the gate."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from autoscaler.clock import Clock
from autoscaler.serve.access.front_proxy import Trust, WatchedTrust
from autoscaler.serve.access.gate import DelegatingGate
from autoscaler.serve.access.reviews import Reviews
from autoscaler.serve.access.serving import (
    Certificate,
    MountedCertificate,
    SelfSignedCertificate,
    keep_fresh,
)
from autoscaler.serve.access.tls import ServingTls, TlsError

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

# How long a start waits for the ConfigMap; without it only bearer tokens are known at first.
FIRST_TRUST = 3.0
SAY_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class MountedFiles:
    """--tls-cert and --tls-key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """--tls-self-signed SERVICE.NAMESPACE[:SECRET]; the Secret is SERVICE-tls unless named."""

    service: str
    namespace: str
    secret: str | None = None
    extra_names: tuple[str, ...] = ()  # such as localhost, for tests and port-forwards


CertificateSource: TypeAlias = MountedFiles | SelfSigned


def parse_self_signed(text: str) -> SelfSigned:
    """`SERVICE.NAMESPACE[:SECRET]`; raises ValueError."""
    where, _, secret = text.partition(":")
    service, dot, namespace = where.partition(".")
    if not (service and dot and namespace) or "." in namespace:
        raise ValueError(
            f"{text!r}: write SERVICE.NAMESPACE or SERVICE.NAMESPACE:SECRET, for example "
            "triton-autoscaler.triton-autoscaler"
        )
    return SelfSigned(service, namespace, secret or None)


class Access:
    """Open until `close`: `gate` is for the metrics API to ask, `tls.context` to listen with."""

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        source: CertificateSource,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.tls = ServingTls(self._refused)
        self.trust = WatchedTrust(client, clock, self._trusted)
        self.reviews = Reviews(client, clock)
        self.gate = DelegatingGate(self.trust, self.reviews, clock)
        self.certificate: Certificate = _certificate(client, clock, source, self.tls)
        self.refused = 0  # handshakes that came to nothing
        self._clock = clock
        self._say = say
        self._said: tuple[str, float] = ("", -math.inf)
        self._bad_trust: str | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """A first look at certificate and trust, then both are followed. Never raises for what
        is outside: `problems` says what is missing, and it is tried again.
        """
        await self.certificate.refresh()
        self._tasks = [
            asyncio.create_task(self.trust.cache.run(), name="front-proxy trust"),
            asyncio.create_task(keep_fresh(self.certificate, self._clock), name="certificate"),
        ]
        await self.trust.cache.first_answer(FIRST_TRUST)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong now, in words, for the faults of a tick, the page and `doctor`."""
        found = (self.certificate.problem, self.trust.problem, self._bad_trust)
        return tuple(problem for problem in found if problem)

    def _trusted(self, trust: Trust) -> None:
        try:
            self.tls.use_authorities(trust.pem)
        except TlsError as error:
            self._bad_trust = str(error)
        else:
            self._bad_trust = None

    def _refused(self, text: str) -> None:
        """Counted always, said once a minute for the same words: a port scan is no log."""
        self.refused += 1
        now = self._clock.monotonic()
        if text != self._said[0] or now - self._said[1] >= SAY_EVERY:
            self._said = text, now
            self._say(text)


def _certificate(
    client: KubeClient, clock: Clock, source: CertificateSource, tls: ServingTls
) -> Certificate:
    if isinstance(source, MountedFiles):
        return MountedCertificate(source.certificate, source.key, tls, clock)
    return SelfSignedCertificate(
        client,
        tls,
        clock,
        service=source.service,
        namespace=source.namespace,
        secret=source.secret,
        extra_names=source.extra_names,
    )
