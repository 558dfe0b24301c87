"""What the drivers leave alone, and how they say what is missing, on a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from autoscaler.act.executor import ActionError
from autoscaler.model import CapacityBuffer, Driver, PlaceholderPods, ScaledPool, Target
from tests.contract.pools import gpu_deployment, priority_class, resize, wish
from tests.testbed.api import ApiRefused
from tests.testbed.control_plane import ControlPlane, eventually
from tests.testbed.kwok import OWN_KUBELET

pytestmark = pytest.mark.real

BUFFER = CapacityBuffer("flower-spare")
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def placeholders(priority: str = "low-of-the-test") -> PlaceholderPods:
    return PlaceholderPods("flower-spare", priority, "registry.k8s.io/pause:3.10")


@contextmanager
def kind_of(
    plane: ControlPlane, group: str, kind: str, version: str, *, namespaced: bool = True
) -> Iterator[None]:
    """A stand-in for somebody's CRD: any fields, and a scale subresource."""
    plural, schema = f"{kind.lower()}s", {"type": "object"}
    paths = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema | {"x-kubernetes-preserve-unknown-fields": True}},
        "subresources": {"status": {}, "scale": paths},
    }
    spec = {
        "group": group,
        "scope": "Namespaced" if namespaced else "Cluster",
        "names": {"plural": plural, "kind": kind},
        "versions": [served],
    }
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    name = f"{plural}.{group}"
    plane.apply(json.dumps({**crd, "metadata": {"name": name}, "spec": spec}))
    plane.kubectl("wait", "--for=condition=Established", "--timeout=20s", f"crd/{name}")
    eventually(lambda: _serves(plane, f"/apis/{group}/{version}/{plural}"), name)
    try:
        yield
    finally:
        plane.kubectl("delete", "crd", name)
        eventually(lambda: not _serves(plane, f"/apis/{group}/{version}/{plural}"), "no kind")


def _serves(plane: ControlPlane, path: str) -> bool:
    try:
        plane.api.get(path)
    except ApiRefused:
        return False
    return True


@pytest.fixture
def buffers(control_plane: ControlPlane) -> Iterator[None]:
    with kind_of(control_plane, "autoscaling.x-k8s.io", "CapacityBuffer", "v1beta1"):
        yield


@pytest.fixture
def low(control_plane: ControlPlane) -> Iterator[None]:
    control_plane.apply(priority_class("low-of-the-test", -1))
    yield
    control_plane.kubectl("delete", "priorityclass", "low-of-the-test")


def object_of(plane: ControlPlane, namespace: str, driver: Driver) -> dict[str, Any]:
    group = (
        "autoscaling.x-k8s.io/v1beta1/namespaces/{}/capacitybuffers"
        if isinstance(driver, CapacityBuffer)
        else "apps/v1/namespaces/{}/deployments"
    )
    return plane.api.get(f"/apis/{group.format(namespace)}/flower-spare")


async def refused(plane: ControlPlane, namespace: str, driver: Driver, *sizes: int) -> str:
    before, after = sizes or (0, 1)
    with pytest.raises(ActionError) as caught:
        await resize(plane.kubeconfig, wish(namespace, driver, before, after))
    return str(caught.value)


async def test_a_cluster_without_capacity_buffers_says_what_to_install(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(gpu_deployment(fresh_namespace, 1))
    said = await refused(control_plane, fresh_namespace, BUFFER)
    assert "this cluster has no autoscaling.x-k8s.io: install its CRD, or use another" in said


async def test_a_cluster_with_an_older_capacity_buffer_says_which(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(gpu_deployment(fresh_namespace, 1))
    with kind_of(control_plane, "autoscaling.x-k8s.io", "CapacityBuffer", "v1alpha1"):
        said = await refused(control_plane, fresh_namespace, BUFFER)
    assert "serves autoscaling.x-k8s.io in v1alpha1 only, and v1beta1 is needed" in said


@pytest.mark.usefixtures("buffers", "low")
@pytest.mark.parametrize("driver", [BUFFER, placeholders()], ids=["buffer", "placeholders"])
async def test_what_we_made_says_so_and_goes_with_its_target(
    control_plane: ControlPlane, fresh_namespace: str, driver: Driver
) -> None:
    control_plane.apply(gpu_deployment(fresh_namespace, 1))
    await resize(control_plane.kubeconfig, wish(fresh_namespace, driver, 0, 2))
    await resize(control_plane.kubeconfig, wish(fresh_namespace, driver, 2, 1))
    made = object_of(control_plane, fresh_namespace, driver)
    assert made["spec"]["replicas"] == 1
    assert made["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "triton-autoscaler"
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Deployment", "flower")
    assert {one["manager"] for one in made["metadata"]["managedFields"]} >= {"triton-autoscaler"}
    control_plane.kubectl("delete", "deployment", "flower", "-n", fresh_namespace)

    def gone() -> bool:
        try:
            object_of(control_plane, fresh_namespace, driver)
        except ApiRefused as error:
            return error.status == 404
        return False

    eventually(gone, "nothing left of it", within_s=60.0)


@pytest.mark.usefixtures("buffers", "low")
async def test_a_buffer_or_deployment_of_somebody_else_is_never_touched(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(gpu_deployment(fresh_namespace, 1))
    control_plane.apply(gpu_deployment(fresh_namespace, 3, name="flower-spare"))
    kind = {"apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer"}
    metadata = {"namespace": fresh_namespace, "name": "flower-spare"}
    theirs = {**kind, "metadata": metadata, "spec": {"replicas": 3}}
    control_plane.apply(json.dumps(theirs))
    for driver in (BUFFER, placeholders()):
        said = await refused(control_plane, fresh_namespace, driver, 3, 1)
        assert "is not ours" in said
        assert "name another one in nodes.driver." in said
        assert object_of(control_plane, fresh_namespace, driver)["spec"]["replicas"] == 3


@pytest.mark.usefixtures("low")
async def test_two_targets_do_not_share_one_set_of_placeholders(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    for name in ("flower", "rose"):
        control_plane.apply(gpu_deployment(fresh_namespace, 1, name=name))
    await resize(control_plane.kubeconfig, wish(fresh_namespace, placeholders(), 0, 1))
    rose = Target(fresh_namespace, "rose")
    action = wish(fresh_namespace, placeholders(), 1, 2, target=rose)
    with pytest.raises(ActionError, match="is kept for Deployment flower"):
        await resize(control_plane.kubeconfig, action)


@pytest.mark.usefixtures("buffers", "low")
async def test_a_size_that_is_not_as_observed_is_left_to_whoever_set_it(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(gpu_deployment(fresh_namespace, 1))
    for driver in (BUFFER, placeholders()):
        await resize(control_plane.kubeconfig, wish(fresh_namespace, driver, 0, 2))
        said = await refused(control_plane, fresh_namespace, driver, 1, 0)
        assert "was of size 1 when it was observed and is 2 now" in said


@pytest.mark.usefixtures("low")
async def test_placeholders_hold_what_a_replica_would_and_get_none_of_its_traffic(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    resources = {"limits": {"nvidia.com/gpu": 2, "cpu": "8"}, "requests": {"cpu": "4"}}
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists"}
    selector = {"nvidia.com/gpu.product": "NVIDIA-H200"}
    control_plane.apply(
        gpu_deployment(
            fresh_namespace, 1, resources=resources, tolerations=[toleration], nodeSelector=selector
        )
    )
    await resize(control_plane.kubeconfig, wish(fresh_namespace, placeholders(), 0, 1))
    template = object_of(control_plane, fresh_namespace, placeholders())["spec"]["template"]
    spec = template["spec"]
    (container,) = spec["containers"]
    assert container["resources"]["requests"] == {"nvidia.com/gpu": "2", "cpu": "4"}
    assert container["image"] == "registry.k8s.io/pause:3.10"
    assert spec["nodeSelector"] == selector
    assert spec["tolerations"] == [toleration]
    assert spec["terminationGracePeriodSeconds"] == 0
    assert "app" not in template["metadata"]["labels"]


@pytest.mark.usefixtures("buffers")
async def test_the_buffers_template_names_requests_and_none_of_the_targets_secrets(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    secret = {"name": "TOKEN", "value": "hush"}
    container = {"name": "sidecar", "image": "x", "env": [secret], "command": ["sleep"]}
    target = json.loads(gpu_deployment(fresh_namespace, 1))
    target["spec"]["template"]["spec"]["containers"].append(container)
    control_plane.apply(json.dumps(target))
    await resize(control_plane.kubeconfig, wish(fresh_namespace, BUFFER, 0, 1))
    path = f"/api/v1/namespaces/{fresh_namespace}/podtemplates/flower-spare"
    made = control_plane.api.get(path)
    triton, sidecar = made["template"]["spec"]["containers"]
    assert triton["resources"]["requests"] == {"nvidia.com/gpu": "1"}
    assert "env" not in sidecar
    assert "hush" not in json.dumps(made)
    # A change of the target is followed at the next resize.
    control_plane.apply(gpu_deployment(fresh_namespace, 1, resources={"limits": {"cpu": "3"}}))
    await resize(control_plane.kubeconfig, wish(fresh_namespace, BUFFER, 1, 2))
    (only,) = control_plane.api.get(path)["template"]["spec"]["containers"]
    assert only["resources"]["requests"] == {"cpu": "3"}


@pytest.mark.usefixtures("buffers")
async def test_a_target_that_asks_for_nothing_gets_no_buffer(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(gpu_deployment(fresh_namespace, 1, resources={}))
    said = await refused(control_plane, fresh_namespace, BUFFER)
    assert "name nvidia.com/gpu in resources.limits" in said


@pytest.mark.parametrize(
    ("value", "more", "words"),
    [
        (None, {}, "kubectl create priorityclass low-of-the-test --value=-1"),
        (0, {}, "has value 0, and the target's pods 0"),
        (7, {}, "name a class with a value below 0"),
    ],
    ids=["not there", "as high", "higher"],
)
async def test_placeholders_that_no_replica_would_push_out_are_not_made(
    control_plane: ControlPlane, fresh_namespace: str, value: int | None, more: Any, words: str
) -> None:
    control_plane.apply(gpu_deployment(fresh_namespace, 1))
    if value is not None:
        control_plane.apply(priority_class("low-of-the-test", value, **more))
    try:
        said = await refused(control_plane, fresh_namespace, placeholders())
    finally:
        control_plane.kubectl("delete", "priorityclass", "low-of-the-test", "--ignore-not-found")
    assert words in said


async def test_a_target_that_never_preempts_gets_no_placeholders(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(priority_class("polite-of-the-test", 5, preemptionPolicy="Never"))
    control_plane.apply(priority_class("low-of-the-test", 4))
    polite = "polite-of-the-test"
    control_plane.apply(gpu_deployment(fresh_namespace, 1, priorityClassName=polite))
    try:
        said = await refused(control_plane, fresh_namespace, placeholders())
    finally:
        control_plane.kubectl("delete", "priorityclass", "low-of-the-test", "polite-of-the-test")
    assert "preemptionPolicy Never" in said


async def test_the_cluster_autoscaler_ignores_placeholders_of_too_low_a_priority(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(priority_class("low-of-the-test", -100))
    control_plane.apply(gpu_deployment(fresh_namespace, 1))
    try:
        notes = await resize(control_plane.kubeconfig, wish(fresh_namespace, placeholders(), 0, 1))
    finally:
        control_plane.kubectl("delete", "priorityclass", "low-of-the-test")
    assert "the Cluster Autoscaler adds no node for pods below -10" in notes[0]


@pytest.mark.usefixtures("buffers")
@pytest.mark.parametrize(
    ("driver", "granted", "words"),
    [
        (BUFFER, "", "Deployment .*/flower: not allowed to get it"),
        (BUFFER, "get deployments,capacitybuffers,podtemplates", "not allowed to patch it"),
        (placeholders(), "get deployments", "list of PriorityClasses: not allowed to get it"),
        (ScaledPool("karpenter.sh/v1", "NodePool", "gpu"), "", "NodePool gpu: not allowed to get"),
    ],
    ids=["target", "buffer", "priority", "pool"],
)
async def test_rights_that_are_missing_are_named(
    control_plane: ControlPlane, fresh_namespace: str, driver: Driver, granted: str, words: str
) -> None:
    control_plane.apply(gpu_deployment(fresh_namespace, 1))
    if granted:
        verb, kinds = granted.split()
        rules = [f"--verb={verb}", f"--resource={_with_groups(kinds)}"]
        control_plane.kubectl("create", "role", "some", "-n", fresh_namespace, *rules)
        control_plane.kubectl(
            *("create", "rolebinding", "some", "--role=some", "--user=jane", "-n", fresh_namespace)
        )
    jane = control_plane.kubeconfig_for(user="jane")
    with pytest.raises(ActionError, match=words) as caught:
        await resize(jane, wish(fresh_namespace, driver, 0, 1))
    assert "apply manifests/components/nodepools" in str(caught.value)


def _with_groups(kinds: str) -> str:
    return kinds.replace("buffers", "buffers.autoscaling.x-k8s.io").replace("ments", "ments.apps")


async def test_a_pool_that_is_not_there_is_named_with_its_place_in_the_policy(
    control_plane: ControlPlane, fresh_namespace: str
) -> None:
    control_plane.apply(gpu_deployment(fresh_namespace, 1))
    gone = ScaledPool("karpenter.sh/v1", "NodePool", "gpu")
    said = await refused(control_plane, fresh_namespace, gone)
    assert said == (
        "NodePool gpu is not there: correct the name in nodes.driver.scale, or make the pool"
    )
    strange = ScaledPool("example.com/v1", "Rack", "gpu")
    said = await refused(control_plane, fresh_namespace, strange)
    assert "Rack gpu cannot be looked up" in said
    assert "install its CRD" in said


class MachinePool:
    """Cluster API as its objects show it: a MachineDeployment, Machines, and their nodes."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane, self._namespace = plane, namespace
        self.label = f"machines-of={namespace}"
        self.driver = ScaledPool(
            "cluster.x-k8s.io/v1beta1",
            "MachineDeployment",
            "gpu",
            namespace,
            {"machines-of": namespace},
        )

    def make(self, replicas: int, **annotations: str) -> None:
        self._put("MachineDeployment", "gpu", {"replicas": replicas}, annotations)

    def add_node(self, name: str, *, busy: bool, machine: bool = True) -> None:
        full = f"{name}.{self._namespace}"
        known = {
            "cluster.x-k8s.io/machine": name,
            "cluster.x-k8s.io/cluster-namespace": self._namespace,
        }
        # No kubelet, not even kwok's: whatever is bound to it stays as it is.
        labels = {"machines-of": self._namespace, OWN_KUBELET: "true"}
        metadata = {"name": full, "labels": labels, "annotations": known if machine else {}}
        if machine:
            self._put("Machine", name, {}, {})
        self._plane.api.post("/api/v1/nodes", {"metadata": metadata})
        if busy:
            triton = {
                "name": "triton",
                "image": "x",
                "resources": {"limits": {"nvidia.com/gpu": 1}},
            }
            pod = {"metadata": {"name": name}, "spec": {"nodeName": full, "containers": [triton]}}
            self._plane.api.post(f"/api/v1/namespaces/{self._namespace}/pods", pod)

    @property
    def size(self) -> int:
        return int(self._plane.api.get(self._path("MachineDeployment", "gpu"))["spec"]["replicas"])

    def marked(self) -> list[str]:
        found = self._plane.api.get(self._path("Machine", ""))["items"]
        mark = "cluster.x-k8s.io/delete-machine"
        return sorted(
            one["metadata"]["name"]
            for one in found
            if mark in one["metadata"].get("annotations", {})
        )

    def remove(self) -> None:
        self._plane.kubectl("delete", "nodes", "-l", self.label)

    def _path(self, kind: str, name: str) -> str:
        root = f"/apis/cluster.x-k8s.io/v1beta1/namespaces/{self._namespace}/{kind.lower()}s"
        return f"{root}/{name}".rstrip("/")

    def _put(self, kind: str, name: str, spec: Any, annotations: dict[str, str]) -> None:
        metadata = {"namespace": self._namespace, "name": name, "annotations": annotations}
        version = {"apiVersion": "cluster.x-k8s.io/v1beta1", "kind": kind}
        self._plane.apply(json.dumps({**version, "metadata": metadata, "spec": spec}))


@pytest.fixture
def machines(control_plane: ControlPlane, fresh_namespace: str) -> Iterator[MachinePool]:
    group = "cluster.x-k8s.io"
    with (
        kind_of(control_plane, group, "MachineDeployment", "v1beta1"),
        kind_of(control_plane, group, "Machine", "v1beta1"),
    ):
        pool = MachinePool(control_plane, fresh_namespace)
        yield pool
        pool.remove()


async def test_cluster_api_is_told_which_machines_are_empty(
    control_plane: ControlPlane, fresh_namespace: str, machines: MachinePool
) -> None:
    machines.make(3)
    machines.add_node("a", busy=True)
    machines.add_node("b", busy=False)
    machines.add_node("c", busy=True)
    await resize(control_plane.kubeconfig, wish(fresh_namespace, machines.driver, 3, 2))
    assert machines.size == 2
    assert machines.marked() == ["b"]
    said = await refused(control_plane, fresh_namespace, machines.driver, 2, 1)
    assert "2 of its nodes have GPU pods on them, 1 cannot carry them" in said
    assert machines.size == 2


async def test_a_pool_whose_machines_are_not_known_is_not_lowered_under_a_busy_pod(
    control_plane: ControlPlane, fresh_namespace: str, machines: MachinePool
) -> None:
    machines.make(2)
    machines.add_node("one", busy=False, machine=False)
    machines.add_node("two", busy=True, machine=False)
    said = await refused(control_plane, fresh_namespace, machines.driver, 2, 1)
    assert "may take any of its nodes, and 1 of them have GPU pods on them" in said
    assert machines.size == 2
    control_plane.kubectl("delete", "pod", "two", "-n", fresh_namespace, "--force")
    await resize(control_plane.kubeconfig, wish(fresh_namespace, machines.driver, 2, 1))
    assert machines.size == 1


async def test_a_pool_of_the_cluster_autoscaler_is_never_resized(
    control_plane: ControlPlane, fresh_namespace: str, machines: MachinePool
) -> None:
    most = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size"
    machines.make(2, **{most: "9"})
    said = await refused(control_plane, fresh_namespace, machines.driver, 2, 3)
    assert "the Cluster Autoscaler may size it up to 9" in said
    assert machines.size == 2
