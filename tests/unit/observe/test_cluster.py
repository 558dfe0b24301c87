"""Replicas and pods from an API server, over HTTP, and what is said when it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from autoscaler.kube.client import KubeClient, KubeError
from autoscaler.model import Missing, Replicas, Target
from autoscaler.observe.cluster import KubernetesCluster, TargetReading
from tests.unit.observe.fake_kubernetes import FakeKubernetes, pod

FLOWER = Target("default", "flower")
NOW = 1_795_248_926.0
A, B, C, D, E = (
    f"flower-5cf8b78894-{end}" for end in ("2qqz8", "g679c", "xswwj", "5znzt", "gwgm6")
)


@pytest.fixture
async def api() -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes().serving() as server:
        yield server


@pytest.fixture
async def client(api: FakeKubernetes, tmp_path: Path) -> AsyncIterator[KubeClient]:
    client = await KubeClient.connect(api.kubeconfig(tmp_path))
    yield client
    await client.close()


async def read(
    client: KubeClient, target: Target = FLOWER, deadline: float = 5.0
) -> TargetReading | Missing:
    reading = await KubernetesCluster(client).read([target], NOW, deadline)
    return reading.targets[target]


async def refused(client: KubeClient, target: Target = FLOWER, deadline: float = 5.0) -> str:
    reading = await read(client, target, deadline)
    assert isinstance(reading, Missing), reading
    return reading.missing


async def test_replicas_and_pods_of_a_deployment(api: FakeKubernetes, client: KubeClient) -> None:
    gone = {"deletionTimestamp": "2026-11-21T08:10:00Z"}
    api.add("flower", 3, pod(A), pod(B, ready=False, phase="Pending"), pod(C, metadata=gone))
    reading = await read(client)
    assert isinstance(reading, TargetReading)
    assert reading.replicas == Replicas(3, 1, "kubernetes", "41")
    assert [(p.name, p.ready, p.terminating, p.phase) for p in reading.pods] == [
        (A, True, False, "Running"),
        (B, False, False, "Pending"),
        (C, True, True, "Running"),
    ]
    assert reading.pods[0].node == "node-1"
    assert reading.pods[0].created_at == 1795248000.0
    assert reading.selector == "app=flower"


async def test_all_pages_are_read(api: FakeKubernetes, client: KubeClient) -> None:
    api.add("flower", 5, *(pod(name) for name in (A, B, C, D, E)))
    reading = await read(client)
    assert isinstance(reading, TargetReading)
    assert [p.name for p in reading.pods] == [A, B, C, D, E]
    assert sum("labelSelector=app%3Dflower" in path for path in api.asked) == 3


async def test_zero_replicas_are_left_out_of_a_scale(
    api: FakeKubernetes, client: KubeClient
) -> None:
    api.add("flower", 0)
    reading = await read(client)
    assert isinstance(reading, TargetReading)
    assert reading.replicas.desired == 0


async def test_a_canary_with_the_same_labels_is_not_ours(
    api: FakeKubernetes, client: KubeClient
) -> None:
    canary = pod("flower-canary-5cf8b78894-2qqz8", owner=("ReplicaSet", "flower-canary-5cf8b78894"))
    job = pod("flower-batch-x", owner=("Job", "flower-batch"))
    bare = pod("flower-bare", owner=("", ""))
    api.add("flower", 1, pod(A), canary, job, bare)
    reading = await read(client)
    assert isinstance(reading, TargetReading)
    assert [p.name for p in reading.pods] == [A, "flower-bare"]


async def test_another_kind_is_found_through_discovery(
    api: FakeKubernetes, client: KubeClient
) -> None:
    rollout = Target("default", "flower", "argoproj.io/v1alpha1", "Rollout")
    api.add("flower", 2, pod(A))
    api.scales["default/rollouts/flower"] = api.scales.pop("default/deployments/flower")
    reading = await read(client, rollout)
    assert isinstance(reading, TargetReading)
    assert reading.replicas.desired == 2
    missing = await refused(client, Target("default", "x", "argoproj.io/v1alpha1", "Rolout"))
    assert "has no kind Rolout" in missing


async def test_403_says_what_to_type(api: FakeKubernetes, client: KubeClient) -> None:
    api.add("flower", 1, pod(A))
    api.refusals["/scale"] = (403, "deployments.apps is forbidden")
    reason = await refused(client)
    assert "not allowed to get deployments/scale in namespace default" in reason
    assert "deployments.apps is forbidden" in reason
    assert "--verb=get --resource=deployments/scale" in reason
    api.refusals = {"/pods": (403, "pods is forbidden")}
    assert "--verb=list --resource=pods" in await refused(client)


async def test_404_says_where_to_look(api: FakeKubernetes, client: KubeClient) -> None:
    reason = await refused(client)
    assert reason.startswith("no Deployment flower in namespace default")
    assert "`kubectl get deployments -n default`" in reason


async def test_a_5xx_keeps_the_servers_words(api: FakeKubernetes, client: KubeClient) -> None:
    api.refusals["/scale"] = (500, "etcdserver: request timed out")
    assert (await refused(client)).endswith("HTTP 500: etcdserver: request timed out")
    api.refusals["/scale"] = (502, "<html>")
    assert "HTTP 502" in await refused(client)


async def test_one_target_that_hangs_costs_only_itself(
    api: FakeKubernetes, client: KubeClient
) -> None:
    api.add("flower", 1, pod(A))
    api.add("slow", 1)
    api.hanging.add("/slow/")
    slow = Target("default", "slow")
    reading = await KubernetesCluster(client).read([FLOWER, slow], NOW, 0.4)
    assert isinstance(reading.targets[FLOWER], TargetReading)
    missing = reading.targets[slow]
    assert missing == Missing("Kubernetes gave no answer on slow within 400ms")


async def test_a_token_that_was_renewed_is_read_again(
    api: FakeKubernetes, client: KubeClient, tmp_path: Path
) -> None:
    api.add("flower", 1, pod(A))
    assert isinstance(await read(client), TargetReading)
    api.token = "second"
    assert "Kubernetes does not know us" in await refused(client)
    (tmp_path / "token").write_text("second")
    assert isinstance(await read(client), TargetReading)


async def test_nothing_listens(tmp_path: Path) -> None:
    api = FakeKubernetes()
    api.url = "http://127.0.0.1:1"
    client = await KubeClient.connect(api.kubeconfig(tmp_path))
    reason = await refused(client)
    await client.close()
    assert "http://127.0.0.1:1 cannot be reached" in reason


async def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeError, match=r"no usable Kubernetes configuration in .*/none"):
        await KubeClient.connect(tmp_path / "none")


async def test_the_contexts_namespace_is_known(client: KubeClient) -> None:
    assert client.namespace == "team"


def test_kubernetes_is_imported_on_first_use_only() -> None:
    """The package takes 0.9 s and 59 MB: `validate` must never pay for it."""
    code = (
        "import sys, autoscaler.kube.client, autoscaler.observe.cluster, "
        "autoscaler.observe.snapshot; sys.exit('kubernetes' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
