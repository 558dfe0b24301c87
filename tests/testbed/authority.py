"""A certificate authority made on the spot, and what it signs."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class KeyPair:
    certificate: Path
    key: Path


class Authority:
    """Keys are P-256: an RSA key takes a tenth of a second, and a control plane needs ten."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(self._name, self._name, self._key, _DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(_key_usage(ca=True), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.certificate = folder / "ca.crt"
        write_whole(self.certificate, self.pem)

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def serving(self, file: str, *names: str, lifetime: datetime.timedelta = _DAY) -> KeyPair:
        """`names` are DNS names and IP addresses; the first is the common name too."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        return self._issue(file, subject, usage, lifetime, [_general_name(name) for name in names])

    def client(
        self,
        file: str,
        user: str,
        groups: Sequence[str] = (),
        *,
        lifetime: datetime.timedelta = _DAY,
    ) -> KeyPair:
        """Kubernetes reads the user from the common name and a group from each organization.

        A negative `lifetime` gives one that expired that long ago.
        """
        organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        common_name = x509.NameAttribute(NameOID.COMMON_NAME, user)
        subject = x509.Name([*organizations, common_name])
        return self._issue(file, subject, ExtendedKeyUsageOID.CLIENT_AUTH, lifetime, [])

    def _issue(
        self,
        file: str,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        lifetime: datetime.timedelta,
        alternatives: list[x509.GeneralName],
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self._name, key, lifetime)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        builder = builder.add_extension(_key_usage(ca=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        # Python >= 3.13 verifies strictly: without this link to its issuer it refuses the leaf.
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        if alternatives:
            names = x509.SubjectAlternativeName(alternatives)
            builder = builder.add_extension(names, critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        pair = KeyPair(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        write_key(pair.key, key)
        write_whole(pair.certificate, signed.public_bytes(serialization.Encoding.PEM))
        return pair


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        # As PKCS 8 the API server does not know an elliptic key for one that signs tokens.
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    write_whole(path, pem, mode=0o600)


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Servers that watch the file never see half of it."""
    fresh = path.with_name(f"{path.name}.fresh")
    fresh.touch(mode=mode)
    fresh.write_bytes(content)
    fresh.rename(path)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    end = now + lifetime
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, end) - datetime.timedelta(minutes=5))
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
