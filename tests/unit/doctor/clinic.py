"""A patient: a small Prometheus and a small API server, healthy until a test says otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from autoscaler.observe.query_api import Access
from autoscaler.observe.triton import scrape_times_query
from autoscaler.run.doctor import Finding, examine
from autoscaler.run.doctor.gather import Where, gather
from tests.unit.observe.fake_kubernetes import FakeKubernetes, pod
from tests.unit.observe.fake_prometheus import NOW, POD, FakePrometheus, busy

Object = dict[str, Any]

POLICY = """\
apiVersion: triton-autoscaler/v1alpha1
kind: ScalingPolicy
metadata: {name: flower}
spec:
  target: {namespace: default, name: flower}
  mode: %s
  replicas: {min: 1, max: 7}
  sla: {queueTime: 50ms}
%s"""
V1BETA1 = "v1beta1.custom.metrics.k8s.io"
SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
HPAS = "/apis/autoscaling/v2/horizontalpodautoscalers"
SCALED = "/apis/keda.sh/v1alpha1/scaledobjects"
MONITORS = "/apis/monitoring.coreos.com/v1/podmonitors"
OPERATORS = "/apis/monitoring.coreos.com/v1/prometheuses"
DISCOVERY = "/apis/custom.metrics.k8s.io/v1beta1"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/flower"


class Prometheus(FakePrometheus):
    """Also tells its version, and how far apart its samples are."""

    def __init__(self) -> None:
        super().__init__(busy())
        self.version: str | None = "3.15.0"
        self.scrape_every(15.0)

    def scrape_every(self, seconds: float) -> None:
        values = [[NOW - k * seconds, "1"] for k in range(4, -1, -1)]
        result = [{"metric": {}, "values": values}]
        data = {"resultType": "matrix", "result": result}
        self.own[scrape_times_query([POD[1]])] = {"status": "success", "data": data}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Prometheus]:
        async def version(_: web.Request) -> web.Response:
            if self.version is None:
                raise web.HTTPNotFound
            return web.json_response({"status": "success", "data": {"version": self.version}})

        app = web.Application()
        app.router.add_get("/api/v1/query", self.answer)
        app.router.add_get("/api/v1/status/buildinfo", version)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = "http://{}:{}".format(*runner.addresses[0][:2])
        try:
            yield self
        finally:
            await runner.cleanup()


class Kubernetes(FakeKubernetes):
    """`objects` by path; access reviews say yes but for `denied` (`verb resource`)."""

    def __init__(self) -> None:
        super().__init__()
        self.minor = "36"
        self.denied: set[str] = set()
        self.reviewed: list[Object] = []
        self.written: list[str] = []
        self.objects: dict[str, Object] = {
            HPAS: {"items": []},
            MONITORS: {"items": []},
            OPERATORS: {"items": []},
            DEPLOYMENT: deployment(),
        }
        self.add("flower", 1, pod(POD[1]))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/version":
            return web.json_response({"major": "1", "minor": self.minor})
        if request.method == "POST" and request.path.endswith("reviews"):
            return web.json_response({"status": self._review(await request.json())})
        if request.method != "GET":
            self.written.append(f"{request.method} {request.path}")
        if request.path in self.objects and not any(p in request.path for p in self.refusals):
            return web.json_response(self.objects[request.path])
        return await super().answer(request)

    def _review(self, body: Object) -> Object:
        if body["kind"] == "SelfSubjectReview":
            return {"userInfo": {"username": "jane"}}
        self.reviewed.append(body)
        asked = body["spec"]["resourceAttributes"]
        name = "/".join(filter(None, (asked["resource"], asked["subresource"])))
        return {"allowed": f"{asked['verb']} {name}" not in self.denied}

    def hpa(self, *hpas: Object) -> None:
        self.objects[HPAS] = {"items": list(hpas)}

    def api_service(self, name: str, service: str, **changes: Any) -> None:
        """Served by `namespace/name`, and available."""
        namespace, backend = service.split("/")
        conditions = [{"type": "Available", "status": "True"}]
        self.objects[f"{SERVICES}/{name}"] = {
            "metadata": {"name": name},
            "spec": {"service": {"namespace": namespace, "name": backend}, "caBundle": "…"}
            | changes.pop("spec", {}),
            "status": {"conditions": changes.pop("conditions", conditions)},
        }

    def served(self, *metrics: str) -> None:
        resources = [{"name": f"pods/{metric}"} for metric in metrics]
        self.objects[DISCOVERY] = {"kind": "APIResourceList", "resources": resources}


def deployment(**metadata: Any) -> Object:
    ports = [{"name": "metrics-triton", "containerPort": 8002}]
    template = {
        "metadata": {"labels": {"app": "flower"}},
        "spec": {"containers": [{"name": "triton", "ports": ports}]},
    }
    return {
        "metadata": {"name": "flower", "namespace": "default"} | metadata,
        "spec": {"replicas": 1, "template": template},
    }


def hpa(name: str = "flower", **changes: Any) -> Object:
    """Follows desired_replicas to the letter."""
    follow = {"stabilizationWindowSeconds": 0, "tolerance": "0", "policies": [WIDE]}
    desired = {
        "describedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "flower"},
        "metric": {"name": "desired_replicas"},
    }
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "flower"},
        "minReplicas": 1,
        "maxReplicas": 7,
        "metrics": [{"type": "Object", "object": desired}],
        "behavior": {"scaleUp": follow, "scaleDown": follow},
    }
    metadata = {"name": name, "namespace": "default"} | changes.pop("metadata", {})
    status = changes.pop("status", {})
    return {"metadata": metadata, "spec": spec | changes, "status": status}


WIDE = {"type": "Pods", "value": 100_000, "periodSeconds": 15}


def pods_metric(name: str) -> list[Object]:
    return [{"type": "Pods", "pods": {"metric": {"name": name}}}]


@dataclass
class Clinic:
    folder: Path
    prometheus: Prometheus = field(default_factory=Prometheus)
    kubernetes: Kubernetes = field(default_factory=Kubernetes)
    mode: str = "observe"
    more: str = ""
    service_account: str | None = None
    with_prometheus: bool = True
    with_kubernetes: bool = True

    def policy(self) -> Path:
        path = self.folder / "flower.yaml"
        path.write_text(POLICY % (self.mode, self.more))
        return path

    async def findings(self) -> tuple[Finding, ...]:
        async with self.prometheus.serving(), self.kubernetes.serving():
            where = Where(
                policies=[self.policy()],
                prometheus=Access(self.prometheus.url) if self.with_prometheus else None,
                kubernetes=self.with_kubernetes,
                kubeconfig=self.kubernetes.kubeconfig(self.folder),
                service_account=self.service_account,
            )
            return examine(await gather(where, NOW, 10.0))

    async def says(self, check: str) -> list[Finding]:
        found = [finding for finding in await self.findings() if finding.check == check]
        assert found, f"{check} said nothing"
        return found

    async def one(self, check: str, status: str) -> Finding:
        """The only thing of this status that the check says."""
        every = await self.says(check)
        found = [finding for finding in every if finding.status == status]
        assert len(found) == 1, every
        return found[0]
