"""The caBundle of our APIServices: how the aggregator knows our serving certificate."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoscaler.serve.access.certificates import ca_bundle

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

ROOT = "/apis/apiregistration.k8s.io/v1/apiservices"
WITHIN = 3.0
NAMES = (
    "v1beta1.custom.metrics.k8s.io",
    "v1beta2.custom.metrics.k8s.io",
    "v1beta1.external.metrics.k8s.io",
)


@dataclass(frozen=True, slots=True)
class Published:
    """`ours`: APIServices that point to our service and carry the bundle now; `foreign`: those
    of others, left alone; `problems`: ours that could not be brought up to date, in words.
    """

    ours: tuple[str, ...] = ()
    patched: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


async def publish(
    client: KubeClient,
    service: str,
    namespace: str,
    bundle: bytes,
    names: Sequence[str] = NAMES,
) -> Published:
    """Put the bundle (PEM) into each APIService that points to `service` in `namespace`.

    One that is not registered is none of our business, nor one that points elsewhere: another
    adapter's must go on working while we are installed beside it.
    """
    ours, patched, foreign, problems = [], [], [], []
    for name in names:
        try:
            outcome = await _one(client, name, (namespace, service), bundle)
        except _Failed as error:
            problems.append(str(error))
            continue
        if outcome == "foreign":
            foreign.append(name)
        elif outcome != "absent":
            ours.append(name)
            if outcome == "patched":
                patched.append(name)
    return Published(tuple(ours), tuple(patched), tuple(foreign), tuple(problems))


class _Failed(Exception):  # noqa: N818
    pass


async def _one(client: KubeClient, name: str, owner: tuple[str, str], bundle: bytes) -> str:
    from autoscaler.kube.client import KubeError

    verb = "get"
    try:
        found = await client.get(f"{ROOT}/{name}", within=WITHIN)
        spec = found.get("spec") or {}
        target = spec.get("service") or {}
        if (target.get("namespace"), target.get("name")) != owner:
            return "foreign"
        if _decoded(spec.get("caBundle")) == bundle and not spec.get("insecureSkipTLSVerify"):
            return "current"
        verb = "patch"
        body = {
            # Only what was looked at: should it point elsewhere by now, this is a 409.
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
            # The two exclude each other; with a bundle there is no reason to skip anything.
            "spec": {"caBundle": ca_bundle(bundle), "insecureSkipTLSVerify": None},
        }
        await client.patch(f"{ROOT}/{name}", body, within=WITHIN)
    except KubeError as error:
        if error.status == 404:
            return "absent"
        remedy = ""
        if error.status == 403:
            remedy = (
                "; try `kubectl create clusterrole triton-autoscaler-apiservices --verb=get,patch "
                f"--resource=apiservices.apiregistration.k8s.io --resource-name={name}` and bind it"
            )
        raise _Failed(f"cannot {verb} APIService {name}: {error}{remedy}") from error
    return "patched"


def _decoded(bundle: str | None) -> bytes | None:
    try:
        return base64.b64decode(bundle or "")
    except binascii.Error:
        return None
