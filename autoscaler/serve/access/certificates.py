"""Self-signed serving certificates: an authority made for one signature, and what it signs.

The authority's key is thrown away once it has signed: nobody can ever sign with what an
APIService trusts. Renewal therefore makes a new authority too, see `rotation`.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

LIFETIME = timedelta(days=90)
# Clocks of nodes differ: a certificate of this moment must be valid on one that runs behind.
BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM. `created` and `expires` in Unix time, `names` are DNS names and addresses."""

    certificate: bytes
    key: bytes
    authority: bytes
    names: tuple[str, ...]
    created: float
    expires: float

    def renewal_due(self, now: float) -> bool:
        """After two thirds of its life: 60 of 90 days, so that 30 are left for what fails."""
        return now >= self.created + (self.expires - self.created) * 2 / 3


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """Under which the service is reached; the aggregator insists on `SERVICE.NAMESPACE.svc`."""
    inside = f"{service}.{namespace}"
    return (f"{inside}.svc", service, inside, f"{inside}.svc.cluster.local")


def self_signed(names: Sequence[str], now: float, lifetime: timedelta = LIFETIME) -> Pair:
    """A certificate for these names, valid from an hour before `now` (Unix time)."""
    from cryptography.hazmat.primitives.asymmetric import ec

    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    made = datetime.fromtimestamp(now, UTC).replace(microsecond=0)
    validity = (made - BACKDATED, made + lifetime)
    authority = _authority(authority_key, validity)
    certificate = _leaf(names, key, authority, authority_key, validity)
    return Pair(
        _pem(certificate),
        _key_pem(key),
        _pem(authority),
        tuple(names),
        made.timestamp(),
        validity[1].timestamp(),
    )


def read_pair(certificate: bytes, key: bytes, authority: bytes) -> Pair:
    """From PEM; raises ValueError where the three do not belong together."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization

    found = x509.load_pem_x509_certificate(certificate)
    private = serialization.load_pem_private_key(key, None)
    if _public(private.public_key()) != _public(found.public_key()):
        raise ValueError("the key is not the certificate's")
    try:
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, TypeError, x509.ExtensionNotFound) as error:
        raise ValueError(f"not what we issued: {error}") from error
    return Pair(
        certificate,
        key,
        authority,
        (
            *names.get_values_for_type(x509.DNSName),
            *map(str, names.get_values_for_type(x509.IPAddress)),
        ),
        (found.not_valid_before_utc + BACKDATED).timestamp(),
        found.not_valid_after_utc.timestamp(),
    )


def expires(certificate: bytes) -> float:
    """Unix time; raises ValueError for what is no PEM certificate."""
    from cryptography import x509

    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc.timestamp()


def ca_bundle(pem: bytes) -> str:
    """As an APIService carries it."""
    return base64.b64encode(pem).decode()


def _authority(
    key: ec.EllipticCurvePrivateKey, validity: tuple[datetime, datetime]
) -> x509.Certificate:
    from cryptography import x509

    # A name of its own: with two authorities of one name in a bundle, a verifier picks either.
    subject = _name(f"triton-autoscaler-ca-{os.urandom(4).hex()}")
    builder = _builder(subject, subject, key, validity).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    return _signed(builder.add_extension(_usage(signs=True), critical=True), key)


def _leaf(
    names: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    validity: tuple[datetime, datetime],
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    builder = _builder(_name(names[0][:64]), authority.subject, key, validity)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([_alternative(name) for name in names]), False),
        # Strict verifiers (Python 3.13) refuse a certificate without a link to its issuer.
        (issuer, False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return _signed(builder, authority_key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    validity: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography.hazmat.primitives import hashes

    return builder.sign(key, hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public(key: object) -> bytes:
    from cryptography.hazmat.primitives import serialization

    found: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return found
