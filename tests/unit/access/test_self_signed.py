"""The self-signed certificate: shared by replicas, renewed with both authorities published."""

from __future__ import annotations

import base64
import ssl
from typing import Any

import pytest
from cryptography import x509

from autoscaler.clock import WalkingClock
from autoscaler.kube.client import KubeClient
from autoscaler.serve.access.api_service import ROOT, publish
from autoscaler.serve.access.certificates import read_pair, self_signed, service_names
from autoscaler.serve.access.serving import SelfSignedCertificate
from autoscaler.serve.access.tls import ServingTls
from tests.unit.kube.scripted import ScriptedApi

NOW = 1_795_248_926.0
DAY = 86_400.0
SECRETS = "/api/v1/namespaces/ops/secrets"
V1, V2 = "v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"
NAMES = service_names("scaler", "ops")


def api_service(api: ScriptedApi, name: str, service: str = "scaler", **spec: Any) -> None:
    target = {"namespace": "ops", "name": service}
    api.put(ROOT, {"metadata": {"name": name}, "spec": {"service": target} | spec})


def bundle(api: ScriptedApi, name: str = V2) -> bytes:
    return base64.b64decode(api.objects[ROOT][name]["spec"].get("caBundle", ""))


def authorities(pem: bytes) -> int:
    return pem.count(b"BEGIN")


class Replica:
    def __init__(self, client: KubeClient, clock: WalkingClock) -> None:
        self.tls = ServingTls()
        self.certificate = SelfSignedCertificate(
            client, self.tls, clock, service="scaler", namespace="ops", extra_names=("localhost",)
        )

    async def refresh(self) -> None:
        await self.certificate.refresh()
        assert self.certificate.problem is None

    @property
    def serving(self) -> bytes:
        assert self.certificate._kept is not None
        return self.certificate._kept.serving.certificate


@pytest.fixture
def clock() -> WalkingClock:
    return WalkingClock(NOW)


@pytest.fixture(autouse=True)
def registered(api: ScriptedApi) -> None:
    api_service(api, V2)
    api.objects.setdefault(SECRETS, {})


def test_a_strict_verifier_accepts_it_under_the_services_names() -> None:
    pair = self_signed((*NAMES, "127.0.0.1"), NOW)
    assert pair.names[0] == "scaler.ops.svc"
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    from cryptography.x509 import verification

    store = verification.Store([x509.load_pem_x509_certificate(pair.authority)])
    policy = verification.PolicyBuilder().store(store).time(certificate.not_valid_before_utc)
    for name in NAMES:
        policy.build_server_verifier(x509.DNSName(name)).verify(certificate, [])
    with pytest.raises(verification.VerificationError):
        policy.build_server_verifier(x509.DNSName("other.ops.svc")).verify(certificate, [])
    assert read_pair(pair.certificate, pair.key, pair.authority) == pair
    other = self_signed(NAMES, NOW)
    with pytest.raises(ValueError, match="Issuer certificate subject does not match"):
        read_pair(pair.certificate, pair.key, other.authority)
    with pytest.raises(ValueError, match="the key is not"):
        read_pair(pair.certificate, other.key, pair.authority)


async def test_the_first_replica_creates_and_the_second_adopts(
    api: ScriptedApi, client: KubeClient, clock: WalkingClock
) -> None:
    one, two = Replica(client, clock), Replica(client, clock)
    await one.refresh()
    await two.refresh()
    assert one.serving == two.serving
    assert bundle(api) == one.certificate.bundle
    assert one.certificate.published.patched == (V2,)
    assert two.certificate.published.patched == ()
    secret = api.objects[SECRETS]["scaler-tls"]
    assert secret["type"] == "kubernetes.io/tls"
    assert set(secret["data"]) == {"tls.crt", "tls.key", "ca.crt"}, "the authority's key is gone"
    assert one.tls.context.current.cert_store_stats()["x509"] == 0


async def test_two_replicas_that_create_at_once_agree(
    api: ScriptedApi, client: KubeClient, clock: WalkingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Replica(client, clock), Replica(client, clock)
    request = client.request
    raced = False

    async def late(method: str, path: str, **options: Any) -> Any:
        nonlocal raced
        if method == "POST" and not raced:
            raced = True
            await two.refresh()
        return await request(method, path, **options)

    monkeypatch.setattr(client, "request", late)
    await one.refresh()
    assert raced
    assert one.serving == two.serving


async def test_renewal_publishes_the_new_authority_before_serving_from_it(
    api: ScriptedApi, client: KubeClient, clock: WalkingClock
) -> None:
    one, two = Replica(client, clock), Replica(client, clock)
    await one.refresh()
    first = one.serving
    await clock.sleep(59 * DAY)
    await one.refresh()
    assert authorities(bundle(api)) == 1
    await clock.sleep(2 * DAY)
    await one.refresh()
    assert one.serving == first
    assert authorities(bundle(api)) == 2
    both = bundle(api)
    await clock.sleep(300)
    await one.refresh()
    assert one.serving == first, "not yet: API servers have caches"
    await clock.sleep(301)
    await one.refresh()
    assert one.serving != first
    assert authorities(bundle(api)) == 2
    await two.refresh()
    assert two.serving == one.serving
    assert first_authority(both) in bundle(api), "a replica may still serve the old one"
    await clock.sleep(601)
    await two.refresh()
    assert authorities(bundle(api)) == 1
    assert first_authority(both) not in bundle(api)
    assert "old-ca.crt" not in api.objects[SECRETS]["scaler-tls"]["data"]


def first_authority(pem: bytes) -> bytes:
    return pem[: pem.index(b"-----END CERTIFICATE")]


async def test_what_is_not_published_is_not_served(
    api: ScriptedApi, client: KubeClient, clock: WalkingClock
) -> None:
    one = Replica(client, clock)
    await one.refresh()
    first = one.serving
    await clock.sleep(61 * DAY)
    api.refusals["PATCH", "apiservices"] = (403, "apiservices is forbidden")
    for _ in range(3):
        await one.certificate.refresh()
        assert "cannot patch APIService" in (one.certificate.problem or "")
        assert "--verb=get,patch" in (one.certificate.problem or "")
        await clock.sleep(3600)
    assert one.serving == first
    api.refusals.clear()
    await one.refresh()
    await one.refresh()
    assert one.serving != first


async def test_an_expired_certificate_is_replaced_at_once(
    api: ScriptedApi, client: KubeClient, clock: WalkingClock
) -> None:
    one = Replica(client, clock)
    await one.refresh()
    first = one.serving
    await clock.sleep(91 * DAY)
    fresh = Replica(client, clock)
    await fresh.refresh()
    assert fresh.serving != first
    assert authorities(bundle(api)) == 2


async def test_a_secret_that_cannot_be_read_is_written_anew(
    api: ScriptedApi, client: KubeClient, clock: WalkingClock
) -> None:
    one = Replica(client, clock)
    await one.refresh()
    api.objects[SECRETS]["scaler-tls"]["data"]["tls.key"] = "bm9uc2Vuc2U="
    two = Replica(client, clock)
    await two.refresh()
    assert two.serving != one.serving
    assert bundle(api) == two.certificate.bundle


async def test_an_empty_secret_made_for_us_is_used(
    api: ScriptedApi, client: KubeClient, clock: WalkingClock
) -> None:
    """With it the role needs no `create`, which RBAC cannot narrow to one name."""
    api.put(SECRETS, {"metadata": {"name": "scaler-tls"}, "type": "Opaque"})
    await Replica(client, clock).refresh()
    secret = api.objects[SECRETS]["scaler-tls"]
    assert secret["type"] == "Opaque"
    assert "tls.crt" in secret["data"]


async def test_somebody_elses_secret_is_left_alone(
    api: ScriptedApi, client: KubeClient, clock: WalkingClock
) -> None:
    theirs = {"metadata": {"name": "scaler-tls"}, "data": {"tls.crt": "x", "tls.key": "y"}}
    api.put(SECRETS, theirs)
    one = Replica(client, clock)
    await one.certificate.refresh()
    assert "Secret ops/scaler-tls is somebody else's" in (one.certificate.problem or "")
    assert api.objects[SECRETS]["scaler-tls"]["data"] == {"tls.crt": "x", "tls.key": "y"}


async def test_no_permission_says_what_to_type_and_the_api_server_away_keeps_serving(
    api: ScriptedApi, client: KubeClient, clock: WalkingClock
) -> None:
    one = Replica(client, clock)
    api.refusals["other", "secrets"] = (403, "secrets is forbidden")
    await one.certificate.refresh()
    assert "--verb=create,get,patch --resource=secrets" in (one.certificate.problem or "")
    api.refusals.clear()
    await one.refresh()
    context = one.tls.context.current
    api.away = True
    await one.certificate.refresh()
    assert "cannot get Secret ops/scaler-tls" in (one.certificate.problem or "")
    assert one.tls.context.current is context
    assert isinstance(context, ssl.SSLContext)


async def test_another_adapters_api_service_is_not_touched(
    api: ScriptedApi, client: KubeClient
) -> None:
    api_service(api, V1, service="prometheus-adapter", insecureSkipTLSVerify=True)
    found = await publish(client, "scaler", "ops", b"pem")
    assert found.ours == found.patched == (V2,)
    assert found.foreign == (V1,)
    assert found.problems == ()
    assert "caBundle" not in api.objects[ROOT][V1]["spec"]


async def test_skipping_verification_ends_with_the_bundle(
    api: ScriptedApi, client: KubeClient
) -> None:
    api_service(api, V2, insecureSkipTLSVerify=True)
    await publish(client, "scaler", "ops", b"pem")
    spec = api.objects[ROOT][V2]["spec"]
    assert "insecureSkipTLSVerify" not in spec
    assert base64.b64decode(spec["caBundle"]) == b"pem"
    writes = api.count("PATCH")
    await publish(client, "scaler", "ops", b"pem")
    assert api.count("PATCH") == writes, "nothing changed, nothing written"


async def test_an_api_service_that_changes_hands_meanwhile_is_not_overwritten(
    api: ScriptedApi, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = client.patch

    async def late(path: str, body: Any, within: float = 3.0) -> Any:
        api_service(api, V2, service="prometheus-adapter")
        return await patch(path, body, within)

    monkeypatch.setattr(client, "patch", late)
    found = await publish(client, "scaler", "ops", b"pem")
    assert "has been modified" in found.problems[0]
    assert "caBundle" not in api.objects[ROOT][V2]["spec"]
