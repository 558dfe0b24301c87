"""A real HPA amid what misleads others: each time it gets the truth, or the reason and holds."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest

from tests.stories.hpa_bed import TARGET, Bed, at_target, canary, hasty, reads
from tests.stories.hpa_direct import HPA_USER, Direct, sampled_at
from tests.stories.hpa_pages import IDLE, Load
from tests.stories.hpa_world import (
    CUSTOM,
    EXTERNAL,
    GROUP_VERSIONS,
    MANIFESTS,
    PODS,
    QUEUE,
    HpaWorld,
    Timeline,
    stays,
    until,
)
from tests.testbed.api import ApiRefused, Object
from tests.testbed.kwok import DRAIN_FOR

pytestmark = pytest.mark.real

POLICY = "/v1/policies/default/flower"
BERT = "labelSelector=model%3Dbert%2Cpolicy%3Dflower"
MODEL_BERT = {"policy": "flower", "model": "bert"}
PENDING = f"{EXTERNAL}/namespaces/default/pending_requests"


def test_an_external_metric_of_one_model_drives_the_hpa(bed: Bed, timeline: Timeline) -> None:
    """Its neighbour resnet50, with 500 waiting, has no part in it."""
    world = bed.world
    metric = {"name": "pending_requests", "selector": {"matchLabels": MODEL_BERT}}
    target = {"type": "AverageValue", "averageValue": "8"}
    metrics = [{"type": "External", "external": {"metric": metric, "target": target}}]
    bed.pages.usual = {"bert": Load(), "resnet50": Load()}
    with bed.flower(1):
        (first,) = names(world.pods())
        stays_last = {"controller.kubernetes.io/pod-deletion-cost": "100"}
        world.plane.api.patch(f"{PODS}/{first}", {"metadata": {"annotations": stays_last}})
        with world.applied(hasty(world, metrics=metrics)):
            for bert, replicas in ((3, 1), (20, 3), (44, 6), (3, 1)):
                loads = {"bert": Load(20.0, pending=bert), "resnet50": Load(pending=500.0)}
                bed.pages.special = {first: loads}
                until(lambda n=replicas: world.wanted() == n, f"{replicas} pods", within_s=90)  # type: ignore[misc]
                served = [(MODEL_BERT, str(bert))]
                until(lambda one=served: external(world) == one, str(served), within_s=60)  # type: ignore[misc]
                timeline.size(replicas, f"pending_requests {served}")
            reads(world)


def external(world: HpaWorld) -> list[tuple[dict[str, str], str]]:
    answer = world.asked(f"{PENDING}?{BERT}")
    items = answer["items"] if isinstance(answer, dict) else ()
    return [(item["metricLabels"], item["value"]) for item in items]


def test_the_dead_the_dying_and_strangers_never_count(bed: Bed, timeline: Timeline) -> None:
    """Each of them has series of 9 s, any of which would send three pods to seven."""
    world, awful = bed.world, {"flowers": Load(rate=20.0, queue_us=9e6)}
    bed.pages.usual = at_target()
    bed.pages.special = {"flower-5cf8b78894-ghost": awful}
    with bed.flower(3, canary(world)):
        until(lambda: len(world.pods()) == 4, "the canary, with the same label")
        dying = next(name for name in names(world.pods()) if "canary" not in name)
        stranger = next(name for name in names(world.pods()) if "canary" in name)
        bed.pages.special |= {dying: awful, stranger: awful}
        drains = {"metadata": {"annotations": {DRAIN_FOR: "10m"}}}
        world.plane.api.patch(f"{PODS}/{dying}", drains)
        world.plane.api.delete(f"{PODS}/{dying}")
        try:
            live = {one for one in names(replaced(world)) if one not in (dying, stranger)}
            known = {"flower-5cf8b78894-ghost", dying, stranger, *live}
            until(lambda: known <= in_prometheus(bed), "series of them all")
            until(lambda: set(world.queue_times()) == live, "nobody but the living", within_s=60)
            timeline.note(f"Prometheus knows {len(known)} pods, we serve {len(live)}")
            with world.applied(hasty(world)):
                reads(world)
                until(lambda: world.average() == f"{TARGET // 1000}k", "their average", within_s=60)
                stays(world, 3)
                assert set(world.queue_times()) == live
                timeline.note(f"the HPA reads {world.average()} and stays at 3")
        finally:
            world.plane.api.delete(f"{PODS}/{dying}", {"gracePeriodSeconds": 0})


def names(pods: list[Object]) -> list[str]:
    return [pod["metadata"]["name"] for pod in pods]


def replaced(world: HpaWorld) -> list[Object]:
    """Three, the canary and the one that is dying."""
    until(lambda: len(world.pods()) == 5 and world.ready() == 3, "one more", within_s=60)
    return world.pods()


def in_prometheus(bed: Bed) -> set[str]:
    found = bed.prometheus.query("nv_inference_request_success")
    return {sample.labels["pod"] for sample in found}


def test_prometheus_adapter_serves_nan_as_zero_here_it_is_503_and_the_hpa_holds(
    bed: Bed, timeline: Timeline
) -> None:
    """Measured there: value "0", and the HPA scaled the Deployment to its minimum."""
    world = bed.world
    bed.pages.usual = at_target()
    with bed.flower(4), world.applied(hasty(world)):
        reads(world)
        timeline.size(world.wanted(), f"avg_time_queue_us: {world.average()}")
        bed.pages.nan_counters = True
        until(lambda: not served_or_zero(world), "no value any more", within_s=60)
        refusal = world.asked(QUEUE)
        timeline.note(f"all counters are NaN: {refusal}"[:300])
        assert isinstance(refusal, ApiRefused)
        assert refusal.status == 503
        until(lambda: world.reason()[0] == "FailedGetPodsMetric", "its complaint", within_s=60)
        timeline.note(f"the HPA holds: {world.reason()[1]}"[:300])
        stays(world, 4)  # twice the window after which it would shrink
        stays(world, 4)
        assert not served_or_zero(world)
        bed.pages.usual, bed.pages.nan_counters = IDLE, False
        until(lambda: world.wanted() == 1, "one pod, as nobody waits", within_s=90)
        timeline.size(world.wanted(), "numbers again, and they are 0")


def served_or_zero(world: HpaWorld) -> bool:
    """Whether there are values; fails at once where one was made of NaN."""
    values = set(world.queue_times().values())
    assert "0" not in values
    return bool(values)


def test_a_scaler_that_polls_http_shows_a_token_and_nobody_is_believed_by_a_header(
    bed: Bed,
) -> None:
    """KEDA's metrics-api trigger, say: straight to the Service, the decision as plain JSON."""
    world, stranger = bed.world, Direct(bed.world, as_proxy=False)
    assert stranger.get("/livez") == (200, "ok")
    for path in (POLICY, QUEUE, CUSTOM):
        assert stranger.get(path)[0] == 401
        forged = {"X_Remote_User": "system:admin", "X_Remote_Group": "system:masters"}
        assert stranger.get(path, **forged)[0] == 401
        assert stranger.get(path, Authorization="Bearer made.up.token")[0] == 401
    status, document = stranger.get(POLICY, **bearer(world, "default/default"))
    assert status == 403
    assert 'policies.custom.metrics.k8s.io "flower" is forbidden' in document["message"]
    world.plane.apply(who_may_poll())
    token = bearer(world, "default/polls-flower")
    with bed.flower(2):
        until(lambda: stranger.get(POLICY, **token)[0] == 200, "what it may read", within_s=60)
        until(lambda: stranger.get(POLICY, **token)[1]["current"] == 2, "its two", within_s=60)
        assert stranger.get(POLICY, **token)[1]["desired"] == 2
        assert stranger.get(QUEUE, **token)[0] == 403


def bearer(world: HpaWorld, account: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.plane.token(account)}"}


def who_may_poll() -> str:
    """As the page has it."""
    page = (MANIFESTS.parent / "docs" / "how-to" / "poll-with-keda.md").read_text()
    return page.partition("## Who may")[2].partition("```yaml\n")[2].partition("```\n")[0]


def test_prometheus_adapters_groups_are_missing_from_aggregated_discovery_ours_are_there(
    bed: Bed,
) -> None:
    """Its 200 with an empty list unpublishes them; it was watched for 150 s."""
    until(lambda: discovered(bed.world) == set(GROUP_VERSIONS), "all three", within_s=150)


def discovered(world: HpaWorld) -> set[str]:
    """Our versions that the API server itself lists, fresh and with resources."""
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    asked = urllib.request.Request(f"{world.plane.url}/apis", headers={"Accept": accept})
    with world.plane.api._opener.open(asked, timeout=15) as answer:
        groups = json.loads(answer.read())["items"]
    return {
        f"{group['metadata']['name']}/{version['version']}"
        for group in groups
        for version in group["versions"]
        if group["metadata"]["name"].endswith(".metrics.k8s.io")
        and version["freshness"] == "Current"
        and version.get("resources")
    }


def test_the_api_server_is_away_for_a_minute(bed: Bed, timeline: Timeline) -> None:
    world, direct = bed.world, Direct(bed.world)
    bed.pages.usual = at_target()

    def answer(user: str = "admin", group: str = "system:masters") -> tuple[int, Any]:
        return direct.get_for(user, group, QUEUE)

    with bed.flower(2), world.applied(hasty(world)):
        reads(world)
        assert answer()[0] == answer(HPA_USER, "system:authenticated")[0] == 200
        world.plane.stop_apiserver()
        stopped = time.time()
        try:
            timeline.note("the API server is away")
            fresh_then_refused(answer, timeline, stopped)
            time.sleep(max(0.0, stopped + 60.0 - time.time()))
        finally:
            world.plane.start_apiserver()
        timeline.note("the API server is back")
        until(lambda: answer()[0] == 200, "values again", within_s=90)
        until(lambda: len(world.queue_times()) == 2, "through the API server, too", within_s=90)
        timeline.note("values again")
        bed.pages.usual = at_target(2.0)
        until(lambda: world.wanted() == 4, "an HPA that follows again", within_s=120)
        timeline.size(4, "and the HPA follows")
        # Those of its controllers that back off would sit there for another 50 s.
        world.plane.controller_manager.stop(grace_s=3)
        world.plane.controller_manager.start(deadline_s=60)


def fresh_then_refused(answer: Any, timeline: Timeline, stopped: float) -> None:
    """A value is fresh while we know whose pods there are: for a minute after the last word."""

    def measured_since(seconds: float) -> bool:
        status, document = answer()
        assert status == 200, document
        return sampled_at(document) > stopped + seconds

    until(lambda: measured_since(5.0), "values measured since", within_s=60)
    timeline.note(f"{time.time() - stopped:.0f} s later: values measured since")
    until(lambda: answer()[0] == 503, "a refusal", within_s=120)
    message = answer()[1]["message"]
    timeline.note(f"{time.time() - stopped:.0f} s later: {message}"[:300])
    assert "the API server was last heard of" in message
    # What this one may do is asked anew after 10 s, and nobody answers: never a guess.
    status, document = answer(HPA_USER, "system:authenticated")
    timeline.note(f"to the HPA's account: {document['message']}"[:300])
    assert status == 503
    assert f"cannot tell whether {HPA_USER} may do this" in document["message"]
