"""The Secret in which replicas share the self-signed certificate: create or adopt it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoscaler.serve.access.certificates import Pair, read_pair
from autoscaler.serve.access.rotation import Kept

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

WITHIN = 3.0
# An annotation of our own: labels are what kustomize and Helm put on everything.
OURS = {"triton-autoscaler/self-signed": "true"}
CONFLICT, NOT_FOUND = 409, 404


class SecretRefused(Exception):  # noqa: N818 -- named for what happened
    """The Secret cannot be read, or must not be written; what to do instead is said."""


@dataclass(frozen=True, slots=True)
class Stored:
    """`kept` is None where there is nothing of ours to read; `version` None: to be created."""

    kept: Kept | None
    version: str | None


class CertificateSecret:
    def __init__(self, client: KubeClient, namespace: str, name: str) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._folder = f"/api/v1/namespaces/{namespace}/secrets"

    async def read(self) -> Stored:
        from autoscaler.kube.client import KubeError

        try:
            found = await self._client.get(f"{self._folder}/{self._name}", within=WITHIN)
        except KubeError as error:
            if error.status == NOT_FOUND:
                return Stored(None, None)
            raise self._refusal("get", error) from error
        metadata, data = found["metadata"], found.get("data") or {}
        ours = OURS.items() <= (metadata.get("annotations") or {}).items()
        if data and not ours:
            raise SecretRefused(
                f"Secret {self._namespace}/{self._name} is somebody else's: name another with "
                "--tls-self-signed SERVICE.NAMESPACE:SECRET, or mount this one and give "
                "--tls-cert and --tls-key"
            )
        return Stored(_kept(data), metadata["resourceVersion"])

    async def write(self, kept: Kept, version: str | None) -> bool:
        """False where another replica was first: read again and adopt what it wrote."""
        from autoscaler.kube.client import KubeError

        metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        metadata["annotations"] = OURS
        data: dict[str, str | None] = {**_data(kept)}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        try:
            if version is None:
                body["type"] = "kubernetes.io/tls"
                await self._client.request("POST", self._folder, body=body, within=WITHIN)
            else:
                path = f"{self._folder}/{self._name}"
                # What is absent in `data` goes; a merge patch spares a Secret's fixed type.
                data.update({key: None for key in _KEYS if key not in data})
                metadata["resourceVersion"] = version
                await self._client.patch(path, body, within=WITHIN)
        except KubeError as error:
            if error.status in {CONFLICT, NOT_FOUND}:
                return False
            raise self._refusal("create" if version is None else "patch", error) from error
        return True

    def _refusal(self, verb: str, error: Exception) -> SecretRefused:
        remedy = ""
        if getattr(error, "status", 0) == 403:
            remedy = (
                f"; try `kubectl create role triton-autoscaler-tls -n {self._namespace} "
                f"--verb=create,get,patch --resource=secrets` and bind it"
            )
        return SecretRefused(
            f"cannot {verb} Secret {self._namespace}/{self._name}: {error}{remedy}"
        )


_KEYS = ("tls.crt", "tls.key", "ca.crt", "next.crt", "next.key", "next-ca.crt", "old-ca.crt")


def _data(kept: Kept) -> dict[str, str]:
    plain = {
        "tls.crt": kept.serving.certificate,
        "tls.key": kept.serving.key,
        "ca.crt": kept.serving.authority,
    }
    if kept.waiting is not None:
        plain["next.crt"] = kept.waiting.certificate
        plain["next.key"] = kept.waiting.key
        plain["next-ca.crt"] = kept.waiting.authority
    if kept.old is not None:
        plain["old-ca.crt"] = kept.old
    return {key: base64.b64encode(value).decode() for key, value in plain.items()}


def _kept(data: dict[str, str]) -> Kept | None:
    """None where the certificate cannot be read: it is then made anew."""
    try:
        plain = {key: base64.b64decode(value, validate=True) for key, value in data.items()}
        serving = read_pair(plain["tls.crt"], plain["tls.key"], plain["ca.crt"])
    except (KeyError, ValueError, TypeError, binascii.Error):
        return None
    return Kept(serving, _waiting(plain), plain.get("old-ca.crt"))


def _waiting(plain: dict[str, bytes]) -> Pair | None:
    try:
        return read_pair(plain["next.crt"], plain["next.key"], plain["next-ca.crt"])
    except (KeyError, ValueError, TypeError):
        return None
