"""The shipped component `scale`: with its rights all works, and each right is used."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscaler.act.events import EventRecorder
from autoscaler.act.executor import ActionError
from autoscaler.act.live import LiveExecutor
from autoscaler.act.nodepools.emptied import DELETE_MACHINE
from autoscaler.clock import SystemClock
from autoscaler.kube.client import KubeClient
from autoscaler.model import (
    Action,
    CapacityBuffer,
    Driver,
    Missing,
    Nodes,
    PlaceholderPods,
    PoolWish,
    ScaledPool,
    Target,
)
from autoscaler.observe.pools import KubernetesPools
from tests.contract.scaling_daemon import OURS, daemon, policy
from tests.contract.writing import connected, deployment, path_of, size, within
from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.kwok import Kwok
from tests.testbed.parts import ControlPlaneBinaries
from tests.unit.act.decisions import decided
from tests.unit.decide.fleets import POLICY
from tests.unit.manifests.shipped import MANIFESTS, Object, build

pytestmark = pytest.mark.real

ACCOUNT = f"system:serviceaccount:{OURS}:{OURS}"
NAMESPACE = "default"


@dataclass(frozen=True)
class Installed:
    plane: ControlPlane
    kubeconfig: Path
    audit: Path
    objects: list[Object]


@pytest.fixture(scope="module")
def installed(
    control_plane_binaries: ControlPlaneBinaries,
    kwok_binary: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installed]:
    """A control plane that writes down who asked for what, with the overlay's roles."""
    folder = tmp_path_factory.mktemp("audit")
    rules = [{"level": "Metadata", "users": [ACCOUNT]}, {"level": "None"}]
    kind = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
    (folder / "policy.yaml").write_text(json.dumps({**kind, "rules": rules}))
    audit = folder / "audit.jsonl"
    args = [f"--audit-policy-file={folder / 'policy.yaml'}", f"--audit-log-path={audit}"]
    with (
        ControlPlane(control_plane_binaries, apiserver_args=args) as plane,
        Kwok(kwok_binary, plane) as kwok,
    ):
        kwok.add_gpu_nodes(1)
        for group, plural, kind, version, scope in KINDS:
            plane.apply(json.dumps(definition(group, plural, kind, version, scope)))
            established = ("--for=condition=Established", "--timeout=30s")
            plane.kubectl("wait", *established, f"crd/{plural}.{group}")
        roles = roles_of(with_drivers(plane, folder))
        plane.apply("\n---\n".join(json.dumps(one) for one in roles))
        kubeconfig = plane.kubeconfig_for(service_account=f"{OURS}/{OURS}")
        yield Installed(plane, within(kubeconfig, OURS), audit, roles)


KINDS = (
    ("keda.sh", "scaledobjects", "ScaledObject", "v1alpha1", "Namespaced"),
    ("autoscaling.x-k8s.io", "capacitybuffers", "CapacityBuffer", "v1beta1", "Namespaced"),
    ("karpenter.sh", "nodepools", "NodePool", "v1", "Cluster"),
    ("karpenter.sh", "nodeclaims", "NodeClaim", "v1", "Cluster"),
    ("cluster.x-k8s.io", "machinedeployments", "MachineDeployment", "v1beta1", "Namespaced"),
    ("cluster.x-k8s.io", "machines", "Machine", "v1beta1", "Namespaced"),
)
DRIVERS = ("capacity-buffer", "placeholder-pods", "karpenter-static", "cluster-api")
BINDINGS = {"RoleBinding", "ClusterRoleBinding"}


def definition(group: str, plural: str, kind: str, version: str, scope: str) -> Object:
    """As much of others' CRDs as rights on them need."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    served = {"name": version, "served": True, "storage": True, "subresources": {"scale": scale}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # Without it the API server keeps the groups of the community to itself.
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "scope": scope,
            "names": names,
            "versions": [served | {"schema": {"openAPIV3Schema": schema}}],
        },
    }


def with_drivers(plane: ControlPlane, folder: Path) -> list[Object]:
    """The overlay `scale` and every driver's component, as a reader would put them together."""
    here = folder / "overlay"
    here.mkdir()
    manifests = Path(os.path.relpath(MANIFESTS, here))
    parts = [manifests / "components/nodepools"]
    parts += [manifests / "components/nodepools" / driver for driver in DRIVERS]
    kind = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    text = {
        **kind,
        "resources": [str(manifests / "overlays/scale")],
        "components": [str(part) for part in parts],
    }
    (here / "kustomization.yaml").write_text(json.dumps(text))
    return list(yaml.safe_load_all(plane.kubectl("kustomize", str(here))))


def roles_of(objects: list[Object]) -> list[Object]:
    """With a binding to the machines of Cluster API, as its component asks for."""
    kinds = {"Namespace", "ServiceAccount", "Role", "ClusterRole"} | BINDINGS
    found = [one for one in objects if one["kind"] in kinds]
    name = "triton-autoscaler-resizes-machine-deployments"
    (like,) = [
        one
        for one in found
        if one["metadata"]["name"] == "triton-autoscaler-scales-targets"
        and one["kind"] == "RoleBinding"
    ]
    metadata = like["metadata"] | {"name": name}
    return [*found, like | {"metadata": metadata, "roleRef": like["roleRef"] | {"name": name}}]


def events(plane: ControlPlane, reason: str) -> list[Object]:
    path = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"
    found = plane.api.get(path)["items"]
    return [one for one in found if one.get("reason") == reason]


def test_a_fleet_is_scaled_up_and_down_with_no_more_than_the_shipped_roles(
    installed: Installed, tmp_path: Path
) -> None:
    plane = installed.plane
    deployments, sets = path_of(NAMESPACE), path_of(NAMESPACE, "statefulsets", "rose")
    plane.apply(deployment(NAMESPACE, 1))
    plane.apply(deployment(NAMESPACE, 1, kind="StatefulSet").replace("flower", "rose"))

    async def story() -> None:
        async with daemon(
            plane,
            tmp_path,
            NAMESPACE,
            policy(NAMESPACE),
            policy(NAMESPACE, name="rose", kind="StatefulSet"),
            kubeconfig=installed.kubeconfig,
        ) as running:
            await running.until(lambda: running.ticks and running.ticks[-1].led, "it leads")
            running.source.load = 220.0  # 220 / (100 × 0.8) = 2.75
            for path in (deployments, sets):
                await running.until(lambda path=path: size(plane, path) == 3, "three replicas")
            await running.until(lambda: events(plane, "ScaledUp"), "an Event for it")
            running.source.load = 40.0
            for path in (deployments, sets):
                await running.until(lambda path=path: size(plane, path) == 1, "one replica")
            await running.until(lambda: len(events(plane, "ScaledDown")) >= 2, "Events for it")

    asyncio.run(story())
    described = plane.kubectl("describe", "deployment/flower", "-n", NAMESPACE)
    assert "ScaledUp" in described, "kubectl describe finds an Event by the target's uid"
    assert "Scale up 1 → 3: demand: " in described
    assert "triton-autoscaler" in described


def test_an_hpa_on_the_target_holds_it_and_an_event_says_who_it_is(
    installed: Installed, tmp_path: Path
) -> None:
    plane = installed.plane
    plane.apply(deployment(NAMESPACE, 1))
    plane.kubectl("scale", "deployment/flower", "-n", NAMESPACE, "--replicas=1")
    plane.kubectl("autoscale", "deployment/flower", "-n", NAMESPACE, "--min=1", "--max=9")

    async def story() -> None:
        async with daemon(
            plane,
            tmp_path,
            NAMESPACE,
            policy(NAMESPACE),
            kubeconfig=installed.kubeconfig,
            load=220.0,
        ) as running:
            await running.until(lambda: events(plane, "Held"), "an Event")
            said = [one["note"] for one in events(plane, "Held")]
            assert any("HorizontalPodAutoscaler default/flower" in note for note in said), said
            assert size(plane, path_of(NAMESPACE)) == 1
            ticks = len(running.ticks)
            await running.until(lambda: len(running.ticks) > ticks + 10, "ten more ticks")
            held = [one for one in events(plane, "Held") if "HorizontalPodAuto" in one["note"]]
            assert len(held) == 1, "ten ticks of one reason are one Event"

    try:
        asyncio.run(story())
    finally:
        plane.kubectl("delete", "hpa", "flower", "-n", NAMESPACE)


def test_what_only_now_and_then_is_written_may_be_written(installed: Installed) -> None:
    """Deletion costs, and an Event that is told again."""
    plane = installed.plane
    plane.apply(deployment(NAMESPACE, 1))
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    eventually(lambda: plane.api.get(path)["items"], "a pod")
    pod = plane.api.get(path)["items"][0]["metadata"]["name"]
    flower = Target(NAMESPACE, "flower")

    async def story() -> None:
        async with connected(installed.kubeconfig) as client:
            executor = LiveExecutor(client, lambda: 10.0)
            cost = Action("deletionCost", flower, 1, 1, "…", "default/flower")
            await executor.execute(replace(cost, deletion_costs={pod: -3, "gone": -2}))
            for _ in range(2):  # two leaders, one after the other
                recorder = EventRecorder(client, SystemClock())
                recorder.tell([decided("frozen: by hand")], [], {})
                await recorder.close()
                assert recorder.problem is None

    asyncio.run(story())
    annotations = plane.api.get(f"{path}/{pod}")["metadata"]["annotations"]
    assert annotations["controller.kubernetes.io/pod-deletion-cost"] == "-3"
    (held,) = [one for one in events(plane, "Held") if "frozen" in one["note"]]
    assert held["series"]["count"] == 2


BUFFER = CapacityBuffer("spare")
HOLDERS = PlaceholderPods("holders", "holders", "registry.k8s.io/pause:3.10")
STATIC = ScaledPool("karpenter.sh/v1", "NodePool", "static")
MACHINES = ScaledPool(
    "cluster.x-k8s.io/v1beta1",
    "MachineDeployment",
    "gpu",
    namespace=NAMESPACE,
    node_selector={"pool": "gpu"},
)


def scaled_pool(driver: ScaledPool) -> str:
    metadata = {"name": driver.name}
    metadata |= {"namespace": driver.namespace} if driver.namespace else {}
    kind = {"apiVersion": driver.api_version, "kind": driver.kind, "metadata": metadata}
    return json.dumps(kind | {"spec": {"replicas": 1}})


@pytest.mark.parametrize(
    ("driver", "kind"),
    [
        (BUFFER, "Deployment"),
        (replace(BUFFER, name="spare-roses"), "StatefulSet"),
        (HOLDERS, "Deployment"),
        (STATIC, "Deployment"),
        (MACHINES, "Deployment"),
    ],
)
def test_each_drivers_component_suffices_to_see_and_to_resize_its_pool(
    installed: Installed, driver: Driver, kind: str
) -> None:
    plane = installed.plane
    plane.apply(gpu_target(kind))
    if isinstance(driver, ScaledPool):
        plane.apply(scaled_pool(driver))
    holders = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": -1}
    plane.apply(json.dumps(holders | {"metadata": {"name": "holders"}}))
    target = Target(NAMESPACE, "flower", kind=kind)
    flower = replace(POLICY, mode="scale", target=target, nodes=Nodes(driver))

    async def resized(client: KubeClient, pools: KubernetesPools) -> bool:
        """One tick's try; on a busy machine a look may come late, as any look may."""
        seen = (await pools.read([flower], 0.0, 10.0)).pools[flower.key]
        if isinstance(seen, Missing):
            assert "not allowed" not in seen.missing, seen
            return False
        wish = PoolWish(driver, "nodes", seen.size, seen.size + 1, "…")
        act = Action("pool", target, wish.before, wish.after, "…", flower.key, pool=wish)
        try:
            await LiveExecutor(client, lambda: 10.0).execute(act)
        except ActionError as error:
            if "next tick" not in str(error):
                raise
            return False
        return True

    async def story() -> None:
        async with connected(installed.kubeconfig) as client:
            pools = KubernetesPools(client, SystemClock())
            try:
                async with asyncio.timeout(60.0):
                    while not await resized(client, pools):  # noqa: ASYNC110 -- ticks
                        await asyncio.sleep(0.5)
                await asyncio.sleep(0.5)  # the watch begins after the list
            finally:
                await pools.close()

    asyncio.run(story())


def test_the_machine_of_an_empty_node_may_be_marked(installed: Installed) -> None:
    """Or Cluster API would choose which node goes."""
    kind = {"apiVersion": "cluster.x-k8s.io/v1beta1", "kind": "Machine"}
    metadata = {"name": "empty", "namespace": NAMESPACE}
    installed.plane.apply(json.dumps(kind | {"metadata": metadata}))
    path = f"/apis/cluster.x-k8s.io/v1beta1/namespaces/{NAMESPACE}/machines/empty"

    async def story() -> None:
        async with connected(installed.kubeconfig) as client:
            await client.patch(path, {"metadata": {"annotations": {DELETE_MACHINE: "true"}}})

    asyncio.run(story())


def gpu_target(kind: str) -> str:
    found = json.loads(deployment(NAMESPACE, 1, kind=kind))
    (container,) = found["spec"]["template"]["spec"]["containers"]
    container["resources"] = {"limits": {"nvidia.com/gpu": 1}}
    return json.dumps(found)


# --- the audit ----------------------------------------------------------------------------------

Right = tuple[str, str, str]  # verb, group, resource with its subresource


def asked(installed: Installed, *, refused: bool) -> set[Right]:
    """What the account asked for so far, from the API server's own audit log."""
    found = set()
    for line in installed.audit.read_text().splitlines():
        entry = json.loads(line)
        reference = entry.get("objectRef")
        if not reference or "resource" not in reference:
            continue  # discovery: everybody may
        if (entry.get("responseStatus", {}).get("code") == 403) is refused:
            names = (reference["resource"], reference.get("subresource"))
            resource = "/".join(name for name in names if name)
            found.add((entry["verb"], reference.get("apiGroup", ""), resource))
    return found


def granted(objects: list[Object]) -> set[Right]:
    rules: list[dict[str, Any]] = [
        rule for one in objects if one["kind"] in {"Role", "ClusterRole"} for rule in one["rules"]
    ]
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


# Targets of these kinds are rare, and the same code reads them.
OTHER_KINDS = {"replicasets", "replicasets/scale"}
# Asked for by the API server itself where a server-side apply makes what is not there: the audit
# log has that as `patch`.
BY_APPLY = {
    ("create", "autoscaling.x-k8s.io", "capacitybuffers"),
    ("create", "", "podtemplates"),
    ("create", "apps", "deployments"),
}


def test_everything_that_was_asked_for_was_allowed(installed: Installed) -> None:
    assert asked(installed, refused=True) == set()


def test_nothing_more_is_granted_than_was_used(installed: Installed) -> None:
    """The stories above, all together, have used each right of the shipped roles."""
    used = asked(installed, refused=False)
    unused = granted(installed.objects) - used - BY_APPLY
    assert {right for right in unused if right[2] not in OTHER_KINDS} == set()


def test_the_rights_are_these(installed: Installed) -> None:
    """For a reader who wants to know what is given away; an edit of a role shows up here."""
    shipped = yaml.safe_load_all(build(installed.plane.kubectl_binary, "scale"))
    words = sorted(
        f"{verb} {resource}{f'.{group}' if group else ''}"
        for verb, group, resource in granted(list(shipped))
    )
    assert words == [
        "create configmaps",
        "create events.events.k8s.io",
        "create leases.coordination.k8s.io",
        "get configmaps",
        "get deployments/scale.apps",
        "get leases.coordination.k8s.io",
        "get replicasets/scale.apps",
        "get statefulsets/scale.apps",
        "list configmaps",
        "list deployments.apps",
        "list horizontalpodautoscalers.autoscaling",
        "list nodes",
        "list pods",
        "list replicasets.apps",
        "list scaledobjects.keda.sh",
        "list statefulsets.apps",
        "patch events.events.k8s.io",
        "patch pods",
        "update configmaps",
        "update deployments/scale.apps",
        "update leases.coordination.k8s.io",
        "update statefulsets/scale.apps",
        "watch configmaps",
        "watch deployments.apps",
        "watch horizontalpodautoscalers.autoscaling",
        "watch nodes",
        "watch pods",
        "watch replicasets.apps",
        "watch scaledobjects.keda.sh",
        "watch statefulsets.apps",
    ]
