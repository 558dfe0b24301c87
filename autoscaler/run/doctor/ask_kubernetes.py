"""Reading the cluster for the checks. Nothing is written: access reviews are questions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from autoscaler.model import Policy, Target
from autoscaler.observe.cluster import PLURALS, KubernetesCluster
from autoscaler.run.doctor.checks.access import needed
from autoscaler.run.doctor.evidence import (
    ClusterEvidence,
    Object,
    Objects,
    Right,
    Unread,
)
from autoscaler.serve.access.api_service import NAMES as API_SERVICES
from autoscaler.serve.metrics_api.catalog import CUSTOM, EXTERNAL

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
OPERATOR = "/apis/monitoring.coreos.com/v1"
GROUP_VERSIONS = (f"{CUSTOM}/v1beta1", f"{CUSTOM}/v1beta2", f"{EXTERNAL}/v1beta1")
PAGE = "500"
# Pages of 500: 50,000 HPAs are more than a control plane serves.
MOST_PAGES = 100


async def ask_kubernetes(
    client: KubeClient,
    policies: Sequence[Policy],
    service_account: str | None,
    now: float,
    deadline: float,
) -> ClusterEvidence | Unread:
    """Everything about the cluster; each call within a quarter of `deadline` seconds.

    `service_account` is `namespace:name`: whose rights to ask about, ours where None.
    """
    reader = _Reader(client, deadline / 4)
    version = await reader.get("/version")
    if isinstance(version, Unread):
        return version
    targets = sorted({policy.target for policy in policies}, key=str)
    namespaces = sorted({target.namespace for target in targets})
    async with asyncio.TaskGroup() as group:
        start = group.create_task
        everywhere = partial(reader.everywhere, namespaces=namespaces)
        who = start(reader.who(service_account))
        scales = start(KubernetesCluster(client).read(targets, now, deadline / 2))
        workloads = start(reader.workloads(targets))
        autoscalers = start(everywhere("/apis/autoscaling/v2", "horizontalpodautoscalers"))
        scaled_objects = start(everywhere("/apis/keda.sh/v1alpha1", "scaledobjects"))
        services, resources = start(reader.api_services()), start(reader.resources())
        rights = start(reader.rights(needed(policies), service_account))
        monitors = start(everywhere(OPERATOR, "podmonitors"))
        prometheuses = start(everywhere(OPERATOR, "prometheuses"))
    return ClusterEvidence(
        client.host,
        (_number(version.get("major")), _number(version.get("minor"))),
        who.result(),
        scales.result(),
        workloads.result(),
        autoscalers.result(),
        scaled_objects.result(),
        services.result(),
        resources.result(),
        rights.result(),
        monitors.result(),
        prometheuses.result(),
    )


class _Reader:
    def __init__(self, client: KubeClient, within: float) -> None:
        self._client = client
        self._within = within

    async def get(self, path: str, **query: str) -> Any:
        return await self._ask("GET", path, query or None, None)

    async def _ask(self, method: str, path: str, query: dict[str, str] | None, body: Any) -> Any:
        """Decoded JSON, an object; or Unread."""
        from autoscaler.kube.client import KubeError

        try:
            answer = await self._client.request(
                method, path, query=query, body=body, within=self._within
            )
        except KubeError as error:
            return Unread(str(error), error.status)
        return answer if isinstance(answer, dict) else Unread(f"{path} answers no object")

    async def list(self, path: str) -> Objects:
        """All pages."""
        items: list[Object] = []
        query = {"limit": PAGE}
        for _ in range(MOST_PAGES):
            page = await self.get(path, **query)
            if isinstance(page, Unread):
                return page
            items += page.get("items") or ()
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return tuple(items)
            query["continue"] = more
        return Unread(f"{path} has over {MOST_PAGES * int(PAGE)} items")

    async def everywhere(self, root: str, plural: str, namespaces: Iterable[str]) -> Objects:
        """In all namespaces; where that is forbidden, in those of the targets."""
        found = await self.list(f"{root}/{plural}")
        if not isinstance(found, Unread) or found.status != 403:
            return found
        each = [await self.list(f"{root}/namespaces/{name}/{plural}") for name in namespaces]
        read = [items for items in each if not isinstance(items, Unread)]
        if not read:
            return found
        return tuple(item for items in read for item in items)

    async def workloads(self, targets: Sequence[Target]) -> Mapping[Target, Object | Unread]:
        found = await asyncio.gather(*(self._workload(target) for target in targets))
        return dict(zip(targets, found, strict=True))

    async def _workload(self, target: Target) -> Object | Unread:
        plural = PLURALS.get((target.api_version, target.kind))
        if plural is None:
            return Unread(f"{target.kind} has a shape of its own")
        where = f"/apis/{target.api_version}/namespaces/{target.namespace}"
        found: Object | Unread = await self.get(f"{where}/{plural}/{target.name}")
        return found

    async def api_services(self) -> Mapping[str, Object | Unread]:
        root = "/apis/apiregistration.k8s.io/v1/apiservices"
        found = await asyncio.gather(*(self.get(f"{root}/{name}") for name in API_SERVICES))
        return dict(zip(API_SERVICES, found, strict=True))

    async def resources(self) -> Mapping[str, tuple[str, ...] | Unread]:
        """Names of metrics by discovery: `pods/avg_time_queue_us` → avg_time_queue_us."""
        found = await asyncio.gather(*(self.get(f"/apis/{one}") for one in GROUP_VERSIONS))
        return {
            version: answer
            if isinstance(answer, Unread)
            else tuple(
                str(resource["name"]).rpartition("/")[2]
                for resource in answer.get("resources") or ()
            )
            for version, answer in zip(GROUP_VERSIONS, found, strict=True)
        }

    async def who(self, service_account: str | None) -> str:
        if service_account is not None:
            return f"system:serviceaccount:{service_account}"
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await self._ask("POST", path, None, body)
        if isinstance(answer, Unread):
            return "you"
        return str(answer["status"]["userInfo"]["username"])

    async def rights(
        self, wanted: Sequence[Right], service_account: str | None
    ) -> Mapping[Right, bool | Unread]:
        found = await asyncio.gather(*(self._may(right, service_account) for right in wanted))
        return dict(zip(wanted, found, strict=True))

    async def _may(self, right: Right, service_account: str | None) -> bool | Unread:
        """A SelfSubjectAccessReview, or about the account a SubjectAccessReview: an answer to a
        question, nothing is kept."""
        resource, _, sub = right.resource.partition("/")
        attributes = {
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": sub,
            "namespace": right.namespace or "",
            "name": right.name or "",
        }
        kind = "SelfSubjectAccessReview"
        spec: dict[str, Any] = {"resourceAttributes": attributes}
        if service_account is not None:
            namespace = service_account.partition(":")[0]
            groups = ["serviceaccounts", f"serviceaccounts:{namespace}", "authenticated"]
            spec |= {
                "user": f"system:serviceaccount:{service_account}",
                "groups": [f"system:{group}" for group in groups],
            }
            kind = "SubjectAccessReview"
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        answer = await self._ask("POST", f"{AUTHORIZATION}/{kind.lower()}s", None, body)
        if isinstance(answer, Unread):
            return answer
        return bool((answer.get("status") or {}).get("allowed"))


def _number(text: object) -> int:
    """`35+`, as some clouds write their minor version, is 35."""
    found = re.match(r"\d+", str(text))
    return int(found[0]) if found else 0
