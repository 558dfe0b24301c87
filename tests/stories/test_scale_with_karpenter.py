"""Mode scale on a real control plane: our daemon writes the replicas, the real Karpenter brings the
nodes, a second daemon takes over from the first, and all goes down again in the safe order.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.two_daemons import Daemon
from tests.contract.writing import within
from tests.stories.hpa_world import Timeline, until
from tests.stories.shared_load import SharedLoad
from tests.testbed.api import Object
from tests.testbed.control_plane import ControlPlane
from tests.testbed.karpenter import Karpenter
from tests.testbed.kwok import GPU, READY_AFTER
from tests.testbed.parts import PrometheusBinaries
from tests.testbed.prometheus_server import PrometheusServer
from tests.unit.manifests.shipped import MANIFESTS

pytestmark = pytest.mark.real

OURS = "triton-autoscaler"
TULIP = "/apis/apps/v1/namespaces/default/deployments/tulip"
BUFFER = "/apis/autoscaling.x-k8s.io/v1beta1/namespaces/default/capacitybuffers/tulip-spare"
COOLDOWN_S = 20
POLICY = f"""\
apiVersion: triton-autoscaler/v1alpha1
kind: ScalingPolicy
metadata: {{name: tulip}}
spec:
  target: {{name: tulip}}
  mode: scale
  replicas: {{min: 1, max: 6}}
  sla: {{queueTime: 50ms}}
  capacity: {{requestsPerSecond: 100}}
  behavior:
    scaleDown: {{stabilizationWindow: 5s, policies: [{{type: Pods, value: 2, period: 5s}}]}}
  cooldown: {{scaleUp: 0s, scaleDown: {COOLDOWN_S}s}}
  nodes: {{gpusPerReplica: 1, spare: 1, driver: {{capacityBuffer: {{}}}}}}
"""


class Story:
    """One Deployment on nodes of Karpenter's, and what is seen of it."""

    def __init__(
        self, plane: ControlPlane, karpenter: Karpenter, pool: str, told: Timeline
    ) -> None:
        self.plane, self.karpenter, self.pool, self.told = plane, karpenter, pool, told
        self._nodes = -1

    def look(self) -> tuple[int, int, int]:
        """Replicas asked for, Ready pods, nodes; what is new is told."""
        target = self.plane.api.get(TULIP)
        wanted, nodes = target["spec"]["replicas"], len(self.karpenter.nodes(self.pool))
        self.told.size(wanted, f"{nodes} nodes")
        if nodes != self._nodes:
            self.told.note(f"nodes {nodes}")
            self._nodes = nodes
        return wanted, target.get("status", {}).get("readyReplicas", 0), nodes

    def until(self, check: Callable[[int, int, int], object], what: str, within_s: float) -> None:
        until(lambda: check(*self.look()), what, within_s=within_s)

    def ready(self) -> list[str]:
        pods = self.plane.api.get("/api/v1/namespaces/default/pods", labelSelector="app=tulip")
        return [
            pod["metadata"]["name"]
            for pod in pods["items"]
            if "deletionTimestamp" not in pod["metadata"]
            and any(
                (one["type"], one["status"]) == ("Ready", "True")
                for one in pod["status"].get("conditions", ())
            )
        ]


@pytest.fixture
def story(
    control_plane: ControlPlane, karpenter: Karpenter, timeline: Timeline, tmp_path: Path
) -> Iterator[Story]:
    pool = "tulips"
    karpenter.add_pool(pool, node_after="2s")
    for one in shipped_roles(control_plane, tmp_path):
        control_plane.apply(json.dumps(one))
    control_plane.apply(json.dumps(deployment(karpenter.placement(pool))))
    found = Story(control_plane, karpenter, pool, timeline)
    found.until(lambda _, ready, __: ready == 1, "one Ready replica", 60)
    yield found
    control_plane.kubectl("delete", "deployment", "tulip", "-n=default", "--wait=false")
    until(lambda: not found.ready(), "no tulip is left", within_s=60)
    karpenter.remove_pool(pool)


def shipped_roles(plane: ControlPlane, folder: Path) -> list[Object]:
    """Of the overlay `scale` with the driver's component, as a reader puts them together."""
    here = folder / "overlay"
    here.mkdir()
    manifests = Path(os.path.relpath(MANIFESTS, here))
    parts = [manifests / "components/nodepools", manifests / "components/nodepools/capacity-buffer"]
    text = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(manifests / "overlays/scale")],
        "components": [str(part) for part in parts],
    }
    (here / "kustomization.yaml").write_text(json.dumps(text))
    kinds = {"Namespace", "ServiceAccount"}
    kinds |= {f"{scope}{kind}" for scope in ("", "Cluster") for kind in ("Role", "RoleBinding")}
    built = yaml.safe_load_all(plane.kubectl("kustomize", str(here)))
    return [one for one in built if one["kind"] in kinds]


def deployment(placement: dict[str, Any]) -> Object:
    labels = {"app": "tulip"}
    triton = {"name": "triton", "image": "triton", "resources": {"limits": {GPU: 1}}}
    template = {
        "metadata": {"labels": labels, "annotations": {READY_AFTER: "2s"}},
        "spec": {"containers": [triton], **placement},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": "default", "name": "tulip"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }


@contextmanager
def two_daemons(story: Story, prometheus: str, folder: Path) -> Iterator[list[Daemon]]:
    """With exactly the shipped rights. The first leads, the second stands by."""
    (folder / "tulip.yaml").write_text(POLICY)
    login = within(story.plane.kubeconfig_for(service_account=f"{OURS}/{OURS}"), OURS)
    with ExitStack() as running:
        daemons = []
        for name in ("first", "second"):
            daemon = Daemon(
                name,
                folder / name,
                *("run", "-f", folder / "tulip.yaml", "--kubeconfig", login),
                *("--prometheus", prometheus, "--interval", "1s"),
                *("--leader-elect", "--lease", f"{OURS}/{OURS}"),
                *("--state", f"configmap:{OURS}/triton-autoscaler-state"),
                *("--journal", folder / name / "journal.jsonl"),
                *("--listen", "127.0.0.1:0", "--log-format", "json"),
            )
            running.callback(daemon.program.__exit__)
            daemons.append(daemon)
            until(lambda: daemons[0].leads, "the first leads", within_s=60)
        until(lambda: daemons[1].ticks > 2, "the second looks on", within_s=60)
        assert not daemons[1].leads
        yield daemons


def changes(journal: Path) -> list[tuple[int, int]]:
    """(before, after) of each decision that asks for another size, in order, each once."""
    found: list[tuple[int, int]] = []
    for line in journal.read_text().splitlines():
        decision = json.loads(line)["decision"]
        change = (decision["current"], decision["desired"])
        if None not in change and change[0] != change[1] and found[-1:] != [change]:
            found.append(change)
    return found


def told_by_events(plane: ControlPlane) -> list[str]:
    """The notes of our events on the Deployment that tell of a change of size, oldest first."""
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    ours = [
        one
        for one in plane.api.get(path)["items"]
        if one.get("regarding", {}).get("name") == "tulip"
        and one.get("reportingController", "").startswith(OURS)
        and one["reason"].startswith("Scaled")
    ]
    return [one["note"] for one in sorted(ours, key=lambda one: str(one.get("eventTime")))]


def test_one_to_n_to_one_with_karpenters_nodes_through_the_death_of_the_leader(
    story: Story, prometheus_binaries: PrometheusBinaries, tmp_path: Path
) -> None:
    with (
        SharedLoad(story.ready).serving() as clients,
        PrometheusServer(prometheus_binaries, scrape_configs=[clients.scrape_config]) as prometheus,
    ):
        clients.total = 50.0
        with two_daemons(story, prometheus.url, tmp_path) as (first, second):
            story.until(lambda _, __, nodes: nodes == 2, "a warm node before it is needed", 90)
            for load, enough in ((90.0, 2), (170.0, 3), (250.0, 4)):
                story.told.note(f"the load rises to {load:.0f} requests/s")
                clients.total = load
                story.until(lambda wanted, ready, _: wanted == ready >= enough, "grown", 90)  # noqa: B023
            story.until(lambda wanted, _, nodes: nodes > wanted, "a spare node again", 90)
            top = story.look()[0]
            first.program.process.send_signal(signal.SIGKILL)
            first.program.process.wait()
            story.told.note("the leader is killed, and the load ends")
            clients.total = 10.0
            until(lambda: second.leads, "the second leads", within_s=30)
            story.told.note("the second leads")
            story.until(lambda wanted, _, __: wanted < top, "the first step down", 240)
            assert story.look()[2] >= story.look()[1]
            story.until(lambda wanted, ready, _: wanted == ready == 1, "one replica", 240)
            story.until(lambda _, __, nodes: nodes == 2, "its node and the warm one", 120)
            assert story.plane.api.get(BUFFER)["spec"]["replicas"] == 1
        journaled = changes(tmp_path / "first/journal.jsonl")
        journaled += changes(tmp_path / "second/journal.jsonl")
        notes = told_by_events(story.plane)
        for note in notes:
            story.told.note(f"event: {note}")
        sizes = list(zip(story.told.sizes, story.told.sizes[1:], strict=False))
        assert sizes
        assert story.told.sizes[0] == story.told.sizes[-1] == 1
        for before, after in sizes:
            assert (before, after) in journaled
            assert any(f"{before} → {after}" in note for note in notes)
        assert_no_cooldown_was_forgotten(tmp_path)


def assert_no_cooldown_was_forgotten(folder: Path) -> None:
    """The new leader counts the cooldown from the dead one's last change."""
    raised: list[float] = []
    lowered: list[float] = []
    for name in ("first", "second"):
        for line in (folder / name / "journal.jsonl").read_text().splitlines():
            decision = json.loads(line)["decision"]
            current, desired = decision["current"], decision["desired"]
            if None not in (current, desired) and current != desired:
                (raised if desired > current else lowered).append(decision["at"])
    assert min(lowered) - max(raised) >= COOLDOWN_S
