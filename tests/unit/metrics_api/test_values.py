"""What the metrics are: true means, true times, and nothing where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.model import Missing, Pod, Replicas, Sample
from tests.unit.decide.fleets import POLICY, model
from tests.unit.metrics_api.served import (
    CUSTOM,
    EXTERNAL,
    NOW,
    OLD,
    OWN,
    PODS,
    QUEUE,
    Served,
    fleet,
    flower,
    named,
    pod,
    silent,
)

NS = f"{CUSTOM}/namespaces/default"
TARGET = f"{NS}/deployments.apps/flower"
STALLED = "none of 40 pending has completed: wait unknown"


async def test_the_seeds_request_idle_reads_zero(api: Served) -> None:
    """kubectl get --raw /apis/custom.metrics.k8s.io/v1beta1/namespaces/default/pods/*/avg_time_…"""
    idle = pod("flower-5cf8b78894-jng2g", model(NOW - 7, 0.0))
    api.tick(fleet("flower", idle))
    answer = await api.get(
        f"{OLD}/namespaces/default/pods/*/{QUEUE}", Accept="application/json, */*"
    )
    (item,) = answer.json["items"]
    assert item["describedObject"]["name"] == "flower-5cf8b78894-jng2g"
    assert (item["metricName"], item["value"]) == ("avg_time_queue_us", "0")


async def test_queue_time_is_a_ratio_of_sums_over_the_models_of_a_pod(flowers: Served) -> None:
    # flower-b: (30 x 2 ms + 10 x 10 ms) / 40 = 4 ms, where the mean of the means were 6
    assert (await flowers.get(PODS)).values == {"flower-a": "1500", "flower-b": "4k"}


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("gpu_duty_cycle", {"flower-a": "73100m", "flower-b": "73100m"}),
        ("gpu_power_ratio", {"flower-a": "620m", "flower-b": "620m"}),
        ("pending_requests", {"flower-a": "2", "flower-b": "0"}),
        ("request_rate", {"flower-a": "30", "flower-b": "40"}),
        ("rejected_ratio", {"flower-a": "0", "flower-b": "0"}),
    ],
)
async def test_each_metric_of_a_pod(flowers: Served, metric: str, values: dict[str, str]) -> None:
    assert (await flowers.get(f"{NS}/pods/*/{metric}")).values == values


async def test_rejected_requests_are_a_share_of_those_that_arrived(api: Served) -> None:
    api.tick(fleet("flower", pod("flower-a", model(NOW, 40.0, rejected=10.0))))
    assert (await api.get(f"{NS}/pods/*/rejected_ratio")).values == {"flower-a": "250m"}


async def test_metric_label_selector_picks_the_model(flowers: Served) -> None:
    answer = await flowers.get(f"{PODS}?metricLabelSelector=model%3Dbert")
    assert answer.values == {"flower-b": "10k"}  # flower-a holds no bert
    (item,) = answer.json["items"]
    assert item["metric"]["selector"] == {"matchLabels": {"model": "bert"}}


async def test_a_model_that_nobody_holds_is_404_and_names_those_that_there_are(
    flowers: Served,
) -> None:
    answer = await flowers.get(f"{PODS}?metricLabelSelector=model%3Dvgg")
    assert answer.status == 404
    assert answer.message.endswith("with model=vgg: its models are bert, resnet50")


# --- what is not known -------------------------------------------------------------------------


async def test_a_silent_pod_is_left_out_for_the_hpa_to_count_as_missing(api: Served) -> None:
    api.tick(fleet("flower", pod("flower-a", model(NOW, 30.0)), silent("flower-b", STALLED)))
    assert (await api.get(PODS)).values == {"flower-a": "8k"}


async def test_all_pods_silent_is_503_with_the_reason_never_zero(api: Served) -> None:
    """prometheus-adapter answered "0" to all-NaN, and the HPA scaled to the minimum."""
    api.tick(fleet("flower", silent("flower-a", STALLED), silent("flower-b", STALLED)))
    answer = await api.get(PODS)
    assert answer.status == 503
    assert answer.message == f"{QUEUE} is not known now: {STALLED}"


async def test_one_unknown_model_makes_the_pod_unknown(api: Served) -> None:
    """A mean over the idle models alone would hide the hot one that does not answer."""
    stalled = replace(silent("x", STALLED).models[0], model="bert")
    api.tick(fleet("flower", pod("flower-a", model(NOW, 30.0), stalled)))
    assert (await api.get(PODS)).status == 503
    assert (await api.get(f"{PODS}?metricLabelSelector=model%3Dresnet50")).status == 200


async def test_nan_never_reaches_the_list(api: Served) -> None:
    nan = pod("flower-a", duty_cycle=Sample(float("nan"), NOW))
    api.tick(fleet("flower", nan, pod("flower-b"), pod("c", duty_cycle=Sample(9.2e18, NOW))))
    assert (await api.get(f"{NS}/pods/*/gpu_duty_cycle")).values == {"flower-b": "73100m"}


async def test_prometheus_away_is_503_in_its_own_words(api: Served) -> None:
    why = "http://prometheus:9090 refused the connection"
    api.tick(fleet("flower", silent("flower-a", why)))
    assert why in (await api.get(PODS)).message


async def test_kubernetes_away_is_503_and_the_other_target_goes_on(api: Served) -> None:
    why = Missing("Kubernetes did not answer within 4s")
    api.tick(fleet("iris", replicas=why), flower())
    assert (await api.get(f"{PODS}?labelSelector=app%3Dflower")).status == 200
    answer = await api.get(f"{PODS}?labelSelector=app%3Diris")
    assert (answer.status, answer.message) == (503, f"{QUEUE} is not known now: {why.missing}")


# --- time --------------------------------------------------------------------------------------


async def test_timestamps_are_the_samples_never_now(flowers: Served) -> None:
    flowers.clock._now += 20
    (first, _) = (await flowers.get(PODS)).json["items"]
    assert (first["timestamp"], first["windowSeconds"]) == ("2026-11-21T08:09:03Z", 60)


async def test_a_daemon_that_stopped_ticking_says_so_when_its_values_are_old(
    flowers: Served,
) -> None:
    assert (await flowers.get(PODS)).status == 200
    flowers.clock._now += 82.5  # 89.5 s old: trusted up to 1.5 fast windows
    assert (await flowers.get(PODS)).status == 200
    flowers.clock._now += 1
    answer = await flowers.get(PODS)
    assert answer.status == 503
    assert "stale: 1m30s old, trusted up to 1m30s" in answer.message


async def test_pods_go_stale_one_by_one(api: Served) -> None:
    old, new = model(NOW - 80, 30.0), model(NOW, 30.0)
    api.tick(fleet("flower", pod("flower-a", old), pod("flower-b", new)))
    assert set((await api.get(PODS)).values) == {"flower-a", "flower-b"}
    api.clock._now += 11
    assert set((await api.get(PODS)).values) == {"flower-b"}


async def test_before_the_first_tick_it_says_that(api: Served) -> None:
    answer = await api.get(PODS)
    assert (answer.status, answer.json["reason"]) == (503, "ServiceUnavailable")
    assert "first tick" in answer.message


# --- the target, the namespace, the outside ------------------------------------------------------


async def test_the_target_has_what_was_decided(flowers: Served) -> None:
    answer = await flowers.get(f"{TARGET}/desired_replicas")
    (item,) = answer.json["items"]
    assert item["describedObject"] == {
        "kind": "Deployment",
        "namespace": "default",
        "name": "flower",
        "apiVersion": "apps/v1",
    }
    assert (item["value"], item["timestamp"]) == ("3", "2026-11-21T08:09:10Z")


async def test_an_unknown_decision_is_503_with_its_hold(api: Served) -> None:
    api.tick(flower(desired=None))
    answer = await api.get(f"{TARGET}/desired_replicas")
    assert (answer.status, "Prometheus does not answer" in answer.message) == (503, True)


async def test_the_target_adds_its_pods_up(flowers: Served) -> None:
    # (30 x 1.5 + 30 x 2 + 10 x 10) ms / 70 requests = 2.928571 ms
    assert (await flowers.get(f"{TARGET}/{QUEUE}")).values == {"flower": "2928571m"}
    assert (await flowers.get(f"{TARGET}/request_rate")).values == {"flower": "70"}
    assert (await flowers.get(f"{TARGET}/gpu_duty_cycle")).values == {"flower": "73100m"}


async def test_a_sum_is_never_silently_partial(api: Served) -> None:
    ready, starting = silent("flower-b", STALLED), silent("flower-b", "no series", ready=False)
    api.tick(fleet("flower", pod("flower-a", model(NOW, 30.0)), ready))
    assert (await api.get(f"{TARGET}/request_rate")).status == 503
    api.tick(fleet("flower", pod("flower-a", model(NOW, 30.0)), starting))
    assert (await api.get(f"{TARGET}/request_rate")).values == {"flower": "30"}


async def test_a_policys_own_query_is_on_the_target_and_the_namespace(api: Served) -> None:
    own = named("flower", objectives=(OWN,))
    api.tick(flower(policy=own, metrics={"metric-1": Sample(-2.5, NOW)}), fleet("iris"))
    assert (await api.get(f"{TARGET}/metric-1")).values == {"flower": "-2500m"}
    assert (await api.get(f"{NS}/metrics/metric-1")).values == {"default": "-2500m"}
    assert (await api.get(f"{NS}/deployments.apps/iris/metric-1")).status == 404
    api.tick(flower(policy=own, metrics={"metric-1": Missing("2 series where one was asked")}))
    assert "2 series where one" in (await api.get(f"{TARGET}/metric-1")).message


async def test_own_queries_of_two_policies_have_no_sum(api: Served) -> None:
    one, two = named("flower", objectives=(OWN,)), named("iris", objectives=(OWN,))
    metrics = {"metric-1": Sample(4.0, NOW)}
    api.tick(flower(policy=one, metrics=metrics), fleet("iris", policy=two, metrics=metrics))
    answer = await api.get(f"{NS}/metrics/metric-1")
    assert (answer.status, "metricLabelSelector=policy=NAME" in answer.message) == (400, True)
    picked = await api.get(f"{NS}/metrics/metric-1?metricLabelSelector=policy%3Diris")
    assert picked.values == {"default": "4"}


async def test_a_namespace_adds_its_policies_up(api: Served) -> None:
    api.tick(flower(), fleet("iris", pod("iris-a", model(NOW, 5.0)), desired=4))
    answer = await api.get(f"{NS}/metrics/desired_replicas")
    (item,) = answer.json["items"]
    assert item["describedObject"] == {"kind": "Namespace", "name": "default", "apiVersion": "/v1"}
    assert item["value"] == "7"
    assert (await api.get(f"{NS}/metrics/request_rate")).values == {"default": "75"}
    assert (await api.get(f"{NS}/request_rate")).values == {"default": "75"}


async def test_external_items_carry_policy_and_model(flowers: Served) -> None:
    answer = await flowers.get(f"{EXTERNAL}/namespaces/default/request_rate")
    assert [(one["metricLabels"], one["value"]) for one in answer.json["items"]] == [
        ({"policy": "flower", "model": "resnet50"}, "60"),
        ({"policy": "flower", "model": "bert"}, "10"),
    ]
    one = await flowers.get(f"{EXTERNAL}/namespaces/default/request_rate?labelSelector=model=bert")
    assert [item["value"] for item in one.json["items"]] == ["10"]


async def test_an_external_mean_is_one_item_because_the_hpa_adds_items_up(flowers: Served) -> None:
    answer = await flowers.get(f"{EXTERNAL}/namespaces/default/{QUEUE}")
    assert [(one["metricLabels"], one["value"]) for one in answer.json["items"]] == [
        ({"policy": "flower"}, "2928571m")
    ]


async def test_one_unknown_policy_voids_an_external_sum_but_not_the_others_own(
    api: Served,
) -> None:
    api.tick(flower(), fleet("iris", silent("iris-a", STALLED)))
    path = f"{EXTERNAL}/namespaces/default/request_rate"
    assert (await api.get(path)).status == 503
    assert (await api.get(f"{path}?labelSelector=policy%3Dflower")).status == 200


# --- whose pods ------------------------------------------------------------------------------


async def test_other_deployments_pods_never_appear(api: Served) -> None:
    api.tick(flower(), fleet("iris", pod("iris-a", model(NOW, 5.0))))
    assert set((await api.get(f"{PODS}?labelSelector=app%3Dflower")).values) == {
        "flower-a",
        "flower-b",
    }
    both = await api.get(f"{PODS}?labelSelector=app+in+%28flower%2Ciris%29")
    assert set(both.values) == {"flower-a", "flower-b", "iris-a"}


async def test_a_terminating_pod_is_never_served_and_makes_no_sum_unknown(api: Served) -> None:
    leaving = Pod("flower-b", terminating=True)
    api.tick(fleet("flower", pod("flower-a", model(NOW, 30.0)), leaving))
    assert set((await api.get(PODS)).values) == {"flower-a"}
    assert (await api.get(f"{TARGET}/request_rate")).values == {"flower": "30"}
    api.tick(fleet("flower", leaving, replicas=Missing(STALLED)))
    assert (await api.get(PODS)).status == 503


async def test_pods_whose_labels_are_unknown_are_not_guessed(api: Served) -> None:
    api.tick(flower(labels=None))
    answer = await api.get(f"{PODS}?labelSelector=app%3Dflower")
    assert (answer.status, "labels of the pods" in answer.message) == (503, True)
    assert (await api.get(PODS)).status == 200


async def test_mode_observe_serves_nothing_and_says_what_would(api: Served) -> None:
    api.tick(flower(policy=named("flower", mode="observe")))
    answer = await api.get(PODS)
    assert answer.status == 404
    assert "in mode observe and so not served: default/flower" in answer.message
    assert (await api.get("/v1/policies/default/flower")).status == 200


async def test_a_target_scaled_to_zero_has_decisions_but_no_pods(api: Served) -> None:
    api.tick(fleet("flower", desired=1, replicas=Replicas(0, 0)))
    assert (await api.get(f"{TARGET}/desired_replicas")).values == {"flower": "1"}
    assert (await api.get(PODS)).status == 404
    assert (await api.get(f"{TARGET}/request_rate")).status == 503


async def test_the_decision_as_plain_json(flowers: Served) -> None:
    answer = await flowers.get("/v1/policies/default/flower")
    assert (answer.status, answer.json["desired"], answer.json["current"]) == (200, 3, 2)
    assert answer.json["target"]["name"] == POLICY.target.name
    missing = await flowers.get("/v1/policies/default/rose")
    assert (missing.status, missing.message) == (
        404,
        'policies "rose" not found in namespace default',
    )
    flowers.clock._now += 91
    assert (await flowers.get("/v1/policies/default/flower")).status == 503


async def test_a_pod_is_as_old_as_its_oldest_model(api: Served) -> None:
    new, old = model(NOW - 1, 30.0), model(NOW - 40, 10.0, name="bert")
    api.tick(fleet("flower", pod("flower-a", new, old)))
    (item,) = (await api.get(PODS)).json["items"]
    assert item["timestamp"] == "2026-11-21T08:08:30Z"


async def test_more_turned_away_than_arrived_is_all_of_them(api: Served) -> None:
    """Arrivals count a falling backlog as negative: 10/s turned away of 8/s."""
    api.tick(fleet("flower", pod("flower-a", model(NOW, 8.0, rejected=10.0, completed=0.0))))
    assert (await api.get(f"{NS}/pods/*/rejected_ratio")).values == {"flower-a": "1"}


async def test_a_query_whose_value_no_quantity_can_say_is_503(api: Served) -> None:
    own = named("flower", objectives=(OWN,))
    for value in (float("inf"), float("nan"), 1e300):
        api.tick(flower(policy=own, metrics={"metric-1": Sample(value, NOW)}))
        answer = await api.get(f"{TARGET}/metric-1")
        assert (answer.status, "no quantity can say" in answer.message) == (503, True)


async def test_a_pod_whose_models_are_unknown_may_hold_the_one_asked_for(api: Served) -> None:
    unknown = replace(silent("x", "refused the connection").models[0], model="*")
    api.tick(fleet("flower", pod("flower-a", unknown)))
    answer = await api.get(f"{PODS}?metricLabelSelector=model%3Dbert")
    assert (answer.status, "refused the connection" in answer.message) == (503, True)
