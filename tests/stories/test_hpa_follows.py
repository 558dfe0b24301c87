"""A real HPA on a real control plane follows us, with the shipped roles and nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stories.hpa_pages import Pages
from tests.stories.hpa_world import (
    CUSTOM,
    MANIFESTS,
    QUEUE,
    HpaWorld,
    Timeline,
    load,
    mig_nodes,
    quick,
    stays,
    until,
)
from tests.stories.kubectl_page import documented, shape
from tests.testbed.api import ApiRefused, Object
from tests.testbed.discovery import pod_discovery
from tests.testbed.kubelet import Kubelet
from tests.testbed.kwok import Kwok
from tests.testbed.parts import PrometheusBinaries, TritonInstall
from tests.testbed.prometheus_server import PrometheusServer
from tests.testbed.triton_pods import MODELS, TritonPods
from tests.testbed.triton_server import ToyModel, model_repository

pytestmark = pytest.mark.real

DECISION = f"{CUSTOM}/namespaces/default/deployments.apps/flower/desired_replicas"
LOAD = f"{CUSTOM}/namespaces/default/deployments.apps/flower/metric-1"
# Exactly one replica for each ten units of load: no window, no tolerance, no cooldown.
TO_THE_LETTER = """
apiVersion: triton-autoscaler/v1alpha1
kind: ScalingPolicy
metadata: {name: flower}
spec:
  target: {namespace: default, name: flower}
  mode: recommend
  replicas: {min: 1, max: 40}
  sla: {queueTime: 50ms}
  objectives:
    - metric: {query: sum(fleet_load), averageValue: "10", tolerance: 0%}
  behavior:
    scaleUp: {stabilizationWindow: 0s}
    scaleDown: {stabilizationWindow: 0s}
  cooldown: {scaleDown: 0s}
"""
# One request at a time, 50 ms each: 28 clients wait 27 turns at one pod, 3 turns at seven, and
# that is 150 ms. So the load needs all seven to stay above the shipped target of 50 ms.
MODEL = ToyModel("flowers", delay_s=0.05, max_batch_size=1)
CLIENTS = 28


def flower(world: HpaWorld, kubelet: Kubelet) -> Object:
    """The shipped Deployment, MIG slice and all, on the node whose pods are real Tritons."""
    found = world.shipped_one("flower", "Deployment", "flower")
    template = found["spec"]["template"]
    template["metadata"]["annotations"] = {MODELS: "flowers"}
    template["spec"] |= kubelet.placement
    return found


def test_the_mig_story_from_one_to_seven_and_back(
    world: HpaWorld,
    timeline: Timeline,
    prometheus_binaries: PrometheusBinaries,
    triton_install: TritonInstall,
    tmp_path: Path,
) -> None:
    models = model_repository(tmp_path / "models", [MODEL])
    tritons = TritonPods(triton_install, {"flowers": models})
    slices = {"nvidia.com/mig-1g.5gb": "7"}
    policies = MANIFESTS / "overlays" / "flower" / "policies"
    discovery = pod_discovery(world.plane, namespaces=["default"])
    with (
        Kubelet(world.plane, tritons, resources=slices) as kubelet,
        PrometheusServer(prometheus_binaries, scrape_configs=[discovery]) as prometheus,
        world.daemon(policies, prometheus.url, tmp_path),
        world.applied(flower(world, kubelet)),
    ):
        until(lambda: world.ready() == 1, "one Ready Triton", within_s=60)
        until(lambda: [*world.queue_times().values()] == ["0"], "an idle pod's queue time")
        timeline.note("one idle Triton; kubectl get --raw shows what the article shows")
        shows_what_the_seed_shows(world)
        hpa = quick(world.shipped_one("flower", "HorizontalPodAutoscaler", "flower"))
        with world.applied(hpa):
            grows_and_shrinks(world, timeline, prometheus)


def shows_what_the_seed_shows(world: HpaWorld) -> None:
    service = world.plane.api.get(
        "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.custom.metrics.k8s.io"
    )["spec"]
    assert service["caBundle"]
    assert not service.get("insecureSkipTLSVerify")
    found = world.raw(CUSTOM)
    assert (found["kind"], found["groupVersion"]) == (
        "APIResourceList",
        "custom.metrics.k8s.io/v1beta1",
    )
    resources = {one["name"]: one for one in found["resources"]}
    for name, namespaced in (("namespaces", False), ("pods", True)):
        one = resources[f"{name}/avg_time_queue_us"]
        assert (one["namespaced"], one["kind"], one["verbs"]) == (
            namespaced,
            "MetricValueList",
            ["get"],
        )
    answer = world.raw(QUEUE)
    assert (answer["kind"], answer["apiVersion"]) == (
        "MetricValueList",
        "custom.metrics.k8s.io/v1beta1",
    )
    (item,) = answer["items"]
    (pod,) = world.pods()
    assert item["describedObject"]["name"] == pod["metadata"]["name"]
    assert (item["metricName"], item["value"]) == ("avg_time_queue_us", "0")
    assert shape(answer) == shape(documented("idle"))
    assert shape(found) == shape(documented("discovery"))
    assert shape(world.raw(DECISION)) == shape(documented("decision"))


def grows_and_shrinks(world: HpaWorld, timeline: Timeline, prometheus: PrometheusServer) -> None:
    def look() -> int:
        shown = ", ".join(world.queue_times().values())
        timeline.size(size := world.wanted(), f"avg_time_queue_us: {shown or 'none'}")
        return size

    until(lambda: world.reason()[0] == "ValidMetricFound", "an HPA that reads our metric")
    look()
    with load(world, "flowers", clients=CLIENTS, limit_s=90):
        timeline.note(f"{CLIENTS} clients begin")
        until(lambda: look() == 7 and world.ready() == 7, "seven Ready Tritons", within_s=75)
        until(lambda: len(world.queue_times()) == 7, "all seven in the list")
        timeline.note(f"seven are Ready: {', '.join(world.queue_times().values())}")
        prometheus.stop()
        timeline.note(f"Prometheus stops: {refused(world, QUEUE)}"[:300])
        assert world.raw(CUSTOM)["resources"], "discovery needs no Prometheus"
    timeline.note("the clients stop")
    until(lambda: world.reason()[0] == "FailedGetPodsMetric", "the HPA's complaint")
    timeline.note(f"the HPA holds: {world.reason()[1]}"[:300])
    # An HPA that read nothing as 0 would shrink now: its window is 5 s.
    stays(world, 7)
    stays(world, 7)
    prometheus.start()
    timeline.note("Prometheus is back")
    until(lambda: look() == 1 and len(world.pods()) == 1, "one Triton again", within_s=75)
    timeline.note("one is left")
    top = timeline.sizes.index(7)
    assert timeline.sizes[: top + 1] == sorted(timeline.sizes[: top + 1]), timeline.sizes
    assert timeline.sizes[top:] == sorted(timeline.sizes[top:], reverse=True), timeline.sizes


def test_the_hpa_follows_our_decision_to_the_letter(
    world: HpaWorld,
    timeline: Timeline,
    prometheus_binaries: PrometheusBinaries,
    kwok_binary: Path,
    tmp_path: Path,
) -> None:
    policy = tmp_path / "policies" / "flower.yaml"
    policy.parent.mkdir()
    policy.write_text(TO_THE_LETTER)
    deployment = world.shipped_one("flower", "Deployment", "flower")
    deployment["spec"]["replicas"] = 20
    hpa = world.shipped_one("flower-desired-replicas", "HorizontalPodAutoscaler", "flower")
    hpa["spec"]["maxReplicas"] = 40
    with (
        Pages(world, fleet_load=200.0).serving() as pages,
        Kwok(kwok_binary, world.plane) as kwok,
        PrometheusServer(prometheus_binaries, scrape_configs=[pages.scrape_config]) as prometheus,
        mig_nodes(kwok, 2),
        world.applied(deployment),
    ):
        until(lambda: world.ready() == 20, "twenty Ready pods", within_s=60)
        with world.daemon(policy.parent, prometheus.url, tmp_path) as daemon:
            until(lambda: decided(world) == "20", "our decision")
            with world.applied(hpa):
                follows_each_step(world, timeline, pages)
                holds_while_prometheus_is_away(world, timeline, pages, prometheus)
                daemon.stop()
                holds_while_nobody_answers(world, timeline, pages)


def decided(world: HpaWorld) -> str:
    answer = world.asked(DECISION)
    return answer["items"][0]["value"] if isinstance(answer, dict) else str(answer)


def follows_each_step(world: HpaWorld, timeline: Timeline, pages: Pages) -> None:
    until(lambda: world.reason()[0] == "ValidMetricFound", "an HPA that reads our decision")
    timeline.size(world.wanted(), f"we say {decided(world)}")
    # An HPA's own tolerance, a tenth, would swallow 20 -> 21, which is a twentieth, and 35 -> 34.
    # From 34 to 20 we say one less each tick, as the fleet is idle, and it follows each.
    for replicas in (21, 20, 35, 34, 20):
        pages.fleet_load = 10.0 * replicas
        until(lambda n=replicas: world.wanted() == n, f"{replicas} replicas", within_s=60)  # type: ignore[misc]
        timeline.size(world.wanted(), f"we say {decided(world)}")
    assert timeline.sizes == [20, 21, 20, 35, 34, 20]


def holds_while_prometheus_is_away(
    world: HpaWorld, timeline: Timeline, pages: Pages, prometheus: PrometheusServer
) -> None:
    """The decision is still one, to hold; what it was made of is refused with the reason."""
    prometheus.stop()
    timeline.note("Prometheus stops")
    refusal = refused(world, LOAD)
    timeline.note(f"we say {decided(world)}, and of its signal {refusal}"[:300])
    pages.fleet_load = 10.0
    stays(world, 20)
    assert decided(world) == "20"
    prometheus.start()
    timeline.note("Prometheus is back")
    pages.fleet_load = 210.0
    until(lambda: world.wanted() == 21, "21 replicas", within_s=60)
    timeline.size(world.wanted(), f"we say {decided(world)}")


def holds_while_nobody_answers(world: HpaWorld, timeline: Timeline, pages: Pages) -> None:
    timeline.note("the daemon stops")
    pages.fleet_load = 10.0
    until(lambda: world.reason()[0] == "FailedGetObjectMetric", "the HPA's complaint")
    timeline.note(f"the HPA holds: {world.reason()[1]}"[:300])
    stays(world, 21)


def refused(world: HpaWorld, path: str) -> ApiRefused:
    """The 503 that follows, with the reason."""
    until(lambda: isinstance(world.asked(path), ApiRefused), "an answer that says why")
    answer = world.asked(path)
    assert isinstance(answer, ApiRefused)
    assert answer.status == 503, answer
    assert "Prometheus: no connection" in str(answer)
    return answer
