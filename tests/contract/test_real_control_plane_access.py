"""Access and the watch cache against a real API server, with no more than the roles named here."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from autoscaler.clock import SystemClock
from autoscaler.kube.client import KubeClient
from autoscaler.model import Missing, Target
from autoscaler.observe.cluster import TargetReading
from autoscaler.observe.watched import WatchedCluster
from autoscaler.serve.access.api_service import NAMES
from autoscaler.serve.access.assembly import Access, SelfSigned
from autoscaler.serve.access.front_proxy import WatchedTrust
from autoscaler.serve.access.peer import authorities, peer_certificate
from autoscaler.serve.access.reviews import Reviews
from autoscaler.serve.access.users import User
from autoscaler.serve.metrics_api.ports import Attributes, Denied
from tests.testbed.control_plane import ControlPlane, KubectlFailed
from tests.testbed.loopback import free_address
from tests.testbed.parts import ControlPlaneBinaries

pytestmark = pytest.mark.real

GROUP, VERSION = "custom.metrics.k8s.io", "v1beta2"
API_SERVICE = f"{VERSION}.{GROUP}"
HPA = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
PORT = 6443
RBAC = "rbac.authorization.k8s.io"


def rule(groups: str, resources: str, verbs: str, *names: str) -> dict[str, Any]:
    found = {"apiGroups": groups.split(), "resources": resources.split(), "verbs": verbs.split()}
    return {key: value or [""] for key, value in found.items()} | (
        {"resourceNames": list(names)} if names else {}
    )


def grant(plane: ControlPlane, namespace: str) -> None:
    """What the daemon may do; its account is `scaler`."""
    account = {"kind": "ServiceAccount", "name": "scaler", "namespace": namespace}

    def bind(kind: str, name: str, role: str, role_kind: str, where: str = "") -> dict[str, Any]:
        metadata = {"name": name} | ({"namespace": where} if where else {})
        ref = {"apiGroup": RBAC, "kind": role_kind, "name": role}
        return manifest(kind, metadata, roleRef=ref, subjects=[account])

    def manifest(kind: str, metadata: dict[str, str], **fields: Any) -> dict[str, Any]:
        return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata} | fields

    own = [
        rule("", "pods", "get list watch"),
        rule("apps", "deployments", "get list watch"),
        rule("", "secrets", "create"),
        rule("", "secrets", "get patch", "scaler-tls"),
    ]
    services = [rule("apiregistration.k8s.io", "apiservices", "get patch", *NAMES)]
    cluster = f"scaler-{namespace}"
    reader = "extension-apiserver-authentication-reader"
    items = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "scaler", "namespace": namespace},
        },
        manifest("Role", {"name": "scaler", "namespace": namespace}, rules=own),
        bind("RoleBinding", "scaler", "scaler", "Role", namespace),
        bind("RoleBinding", cluster, reader, "Role", "kube-system"),
        bind("ClusterRoleBinding", f"{cluster}-reviews", "system:auth-delegator", "ClusterRole"),
        manifest("ClusterRole", {"name": cluster}, rules=services),
        bind("ClusterRoleBinding", cluster, cluster, "ClusterRole"),
    ]
    plane.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


async def eventually(check: Callable[[], object], what: str, within: float = 120.0) -> None:
    try:
        async with asyncio.timeout(within):
            while not check():  # noqa: ASYNC110 -- any condition
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{what}: not seen within {within:g} s") from None


async def connect(plane: ControlPlane, namespace: str) -> KubeClient:
    grant(plane, namespace)
    kubeconfig = plane.kubeconfig_for(service_account=f"{namespace}/scaler")
    return await KubeClient.connect(kubeconfig)


@pytest.fixture
async def client(control_plane: ControlPlane, fresh_namespace: str) -> AsyncIterator[KubeClient]:
    client = await connect(control_plane, fresh_namespace)
    yield client
    await client.close()


def deploy(plane: ControlPlane, namespace: str, replicas: int) -> None:
    labels = {"app": "flower"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "triton", "image": "triton"}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "flower", "namespace": namespace, "labels": {"team": "vision"}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    plane.apply(json.dumps(body))


async def test_the_watch_cache_follows_a_deployment(
    control_plane: ControlPlane, fresh_namespace: str, client: KubeClient
) -> None:
    deploy(control_plane, fresh_namespace, 2)
    target = Target(fresh_namespace, "flower")
    cluster = WatchedCluster(client, SystemClock())
    try:
        await cluster.read([target], 0.0, 5.0)
        watching = cluster._namespaces[fresh_namespace]
        await eventually(lambda: len(watching.pods.items) == 2, "two pods")
        found = (await cluster.read([target], 0.0, 5.0)).targets[target]
        assert isinstance(found, TargetReading), found
        assert found.replicas.desired == 2
        assert found.selector == "app=flower"
        assert found.labels == {"team": "vision"}
        assert all(labels["app"] == "flower" for labels in found.pod_labels.values())
        scale_path = f"/apis/apps/v1/namespaces/{fresh_namespace}/deployments/flower/scale"
        assert control_plane.api.get(scale_path)["spec"]["replicas"] == 2
        control_plane.api.patch(scale_path, {"spec": {"replicas": 3}})
        await eventually(lambda: len(watching.pods.items) == 3, "the third pod")
        control_plane.kubectl("delete", "deployment", "flower", "-n", fresh_namespace)
        await eventually(lambda: not watching.targets("Deployment").items, "the deletion")
        assert isinstance((await cluster.read([target], 0.0, 5.0)).targets[target], Missing)
        for cache in (watching.pods, watching.targets("Deployment")):
            assert cache.problem is None
            assert cache.unreadable == 0
    finally:
        await cluster.close()


async def test_whose_token_it_is(
    control_plane: ControlPlane, fresh_namespace: str, client: KubeClient
) -> None:
    reviews = Reviews(client, SystemClock())
    user = await reviews.user_of(control_plane.token(f"{fresh_namespace}/default"))
    assert user is not None
    assert user.name == f"system:serviceaccount:{fresh_namespace}:default"
    assert "system:authenticated" in user.groups
    assert user.uid
    assert await reviews.user_of("made up") is None


async def test_what_a_user_may_do(
    control_plane: ControlPlane, fresh_namespace: str, client: KubeClient
) -> None:
    asked = Attributes(GROUP, VERSION, "pods", "queue_us", "*", fresh_namespace, "get")
    stranger = User("stranger", groups=("system:authenticated",))
    first = Reviews(client, SystemClock())
    assert not (await first.verdict(stranger, asked)).allowed
    hpa = User(HPA, groups=("system:serviceaccounts", "system:authenticated"))
    assert (await first.verdict(hpa, asked)).allowed, "built in for custom metrics"
    allow_reading(control_plane, fresh_namespace, "stranger")
    async with asyncio.timeout(10):
        while not (await Reviews(client, SystemClock()).verdict(stranger, asked)).allowed:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def allow_reading(plane: ControlPlane, namespace: str, user: str) -> None:
    metadata = {"name": f"metrics-{user}", "namespace": namespace}
    role = {"rules": [rule(GROUP, "pods/queue_us", "get")]}
    binding = {
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": metadata["name"]},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }
    for kind, fields in (("Role", role), ("RoleBinding", binding)):
        whole = {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata} | fields
        plane.apply(json.dumps(whole))


async def test_the_authentication_config_map(
    control_plane: ControlPlane, client: KubeClient
) -> None:
    trust = WatchedTrust(client, SystemClock())
    following = asyncio.create_task(trust.cache.run())
    try:
        assert await trust.cache.first_answer(10.0), trust.problem
        assert trust.problem is None
        published = control_plane.front_proxy_ca.read_text()
        assert trust.now.front_proxy == authorities(published)
        assert trust.now.allowed_names == ("front-proxy-client",)
        assert trust.now.username_headers == ("X-Remote-User",)
        assert trust.now.group_headers == ("X-Remote-Group",)
        assert trust.now.extra_prefixes == ("X-Remote-Extra-",)
        assert trust.now.clients
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


# --- the whole: a self-signed backend behind the real aggregator ------------------------------


def register(plane: ControlPlane, namespace: str, host: str) -> None:
    """As the manifests do: without a caBundle, which is ours to bring."""
    plane.route_service(f"{namespace}/scaler", host=host, port=PORT)
    service = {"namespace": namespace, "name": "scaler", "port": PORT}
    spec = {
        "group": GROUP,
        "version": VERSION,
        "groupPriorityMinimum": 100,
        "versionPriority": 200,
        "service": service,
    }
    kind = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}
    plane.apply(json.dumps(kind | {"metadata": {"name": API_SERVICE}, "spec": spec}))


@asynccontextmanager
async def backend(
    plane: ControlPlane, namespace: str, client: KubeClient, asked_by: list[bytes]
) -> AsyncIterator[Access]:
    """Says who asked, to whom may know; `asked_by` collects the authorities of who brought it."""
    host = free_address(PORT)
    said: list[str] = []
    access = Access(client, SystemClock(), SelfSigned("scaler", namespace), said.append)

    async def answer(request: web.Request) -> web.Response:
        parts = request.path.strip("/").split("/")
        attributes = None
        if len(parts) == 8:
            _, group, version, _, namespace, resource, name, metric = parts
            attributes = Attributes(group, version, resource, metric, name, namespace, "get")
        try:
            await access.gate.admit(request, attributes)
            user = await access.gate.user(request)
        except Denied as denied:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
            body = status | {"message": denied.message, "code": denied.status}
            return web.json_response(body, status=denied.status)
        if attributes is None:
            version = {"groupVersion": f"{GROUP}/{VERSION}", "resources": []}
            return web.json_response(
                {"kind": "APIResourceList", "apiVersion": "v1"} | version,
                status=200 if len(parts) == 3 else 404,
            )
        shown = peer_certificate(request)
        proxy = shown is not None and shown.issued_by(access.trust.now.front_proxy)
        asked_by.append(shown.chain[-1] if shown and proxy else b"")
        return web.json_response({"user": user.name, "groups": user.groups})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await asyncio.to_thread(register, plane, namespace, host)
    try:
        await access.open()
        await runner.setup()
        await web.TCPSite(runner, host, PORT, ssl_context=access.tls.context).start()
        yield access
    finally:
        await runner.cleanup()
        await access.close()
        await asyncio.to_thread(plane.kubectl, "delete", "apiservice", API_SERVICE)


def raw(plane: ControlPlane, namespace: str, kubeconfig: Path | None = None) -> dict[str, Any]:
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/pods/*/queue_us"
    found: dict[str, Any] = json.loads(plane.kubectl("get", "--raw", path, kubeconfig=kubeconfig))
    return found


async def test_self_signed_behind_the_real_aggregator(
    control_plane: ControlPlane, fresh_namespace: str, client: KubeClient
) -> None:
    plane = control_plane
    async with backend(plane, fresh_namespace, client, []) as access:
        assert access.problems == ()
        await asyncio.to_thread(plane.await_apiservice, f"{GROUP}/{VERSION}")
        spec = plane.api.get(f"/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}")["spec"]
        assert spec["caBundle"]
        assert not spec.get("insecureSkipTLSVerify")
        seen = await asyncio.to_thread(raw, plane, fresh_namespace)
        assert seen["user"] == "testbed-admin"
        assert "system:masters" in seen["groups"]
        jane = plane.kubeconfig_for(user="jane", groups=["sre"])
        with pytest.raises(KubectlFailed, match=r'User "jane" cannot get resource "pods/queue_us"'):
            await asyncio.to_thread(raw, plane, fresh_namespace, jane)
        allow_reading(plane, fresh_namespace, "joe")
        joe = plane.kubeconfig_for(user="joe", groups=["sre"])
        seen = await asyncio.to_thread(raw, plane, fresh_namespace, joe)
        assert seen == {"user": "joe", "groups": ["sre", "system:authenticated"]}


@pytest.fixture
def own_plane(control_plane_binaries: ControlPlaneBinaries) -> Iterator[ControlPlane]:
    with ControlPlane(control_plane_binaries) as running:
        yield running


async def test_a_rotated_front_proxy_authority_is_followed(own_plane: ControlPlane) -> None:
    """Without a restart of ours. The API server signs on with the new one only, yet it leaves the
    old one in the ConfigMap until that expires.
    """
    own_plane.create_namespace("ops")
    client = await connect(own_plane, "ops")
    try:
        asked_by: list[bytes] = []
        async with backend(own_plane, "ops", client, asked_by) as access:
            await asyncio.to_thread(own_plane.await_apiservice, f"{GROUP}/{VERSION}")
            await asyncio.to_thread(raw, own_plane, "ops")
            before = access.trust.now.front_proxy
            assert asked_by[-1] in before
            await asyncio.to_thread(own_plane.rotate_front_proxy_ca, keep_old=False)
            async with asyncio.timeout(90):
                while asked_by[-1] in before:
                    await asyncio.sleep(0.2)
                    with contextlib.suppress(KubectlFailed):  # 503 between the two rotations
                        await asyncio.to_thread(raw, own_plane, "ops")
            assert before < access.trust.now.front_proxy
            assert (await asyncio.to_thread(raw, own_plane, "ops"))["user"] == "testbed-admin"
    finally:
        await client.close()
