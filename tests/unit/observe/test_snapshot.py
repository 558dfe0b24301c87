"""The join: which pods are the target's, which of them live, and what is known of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.model import (
    Bounds,
    Capacity,
    Demand,
    Metric,
    Missing,
    ModelSignals,
    Observation,
    Pod,
    Policy,
    Replicas,
    Sample,
    Sla,
    Target,
    Windows,
)
from autoscaler.observe.cluster import ClusterReading, TargetReading
from autoscaler.observe.names import Owners
from autoscaler.observe.port import PodReading, Readings
from autoscaler.observe.snapshot import join

NOW = 1_795_248_926.0
FLOWER = Target("default", "flower")
QUERY = "sum(x)"
A, B, C = (f"flower-5cf8b78894-{end}" for end in ("2qqz8", "g679c", "xswwj"))


def policy(target: Target = FLOWER, **changes: Any) -> Policy:
    made = Policy(target.namespace, target.name, target, Bounds(1, 7), Sla(0.05), (Demand(),))
    return replace(made, **changes)


def reading(age: float = 3.0, model: str = "bert", **changes: Any) -> PodReading:
    at = NOW - age
    signals = ModelSignals(model, arrivals=Sample(20.0, at, 60.0))
    return replace(PodReading(at, (signals,), Sample(0.6, at), Sample(0.5, at)), **changes)


def readings(pods: dict[str, PodReading], **changes: Any) -> Readings:
    by_key = {("default", name): pod for name, pod in pods.items()}
    return replace(Readings(NOW, Windows(60.0, 300.0), "prometheus", by_key), **changes)


def cluster(*pods: Pod, desired: int = 3, target: Target = FLOWER) -> ClusterReading:
    ready = sum(pod.ready for pod in pods)
    return ClusterReading({target: TargetReading(Replicas(desired, ready), pods, "app=flower")})


def one(*arguments: Any, **changes: Any) -> Observation:
    (observation,) = join([policy(**changes)], *arguments, NOW).values()
    return observation


def names(observation: Observation) -> list[str]:
    return [pod.name for pod in observation.pods]


def test_live_pods_get_their_signals() -> None:
    seen = one(readings({A: reading(), B: reading()}), cluster(Pod(A), Pod(B), desired=2))
    assert names(seen) == [A, B]
    assert seen.replicas == Replicas(2, 2)
    assert seen.pods[0].models[0].arrivals == Sample(20.0, NOW - 3, 60.0)
    assert seen.pods[0].duty_cycle == Sample(0.6, NOW - 3)
    assert seen.notes == ()
    assert (seen.at, seen.source, seen.windows) == (NOW, "prometheus", Windows(60.0, 300.0))


def test_kube_metrics_adapter_97_ghosts_are_left_out_and_counted() -> None:
    ghosts = {f"flower-5cf8b78894-dead{n}": reading() for n in range(5)}
    seen = one(readings({A: reading()} | ghosts), cluster(Pod(A)))
    assert names(seen) == [A]
    (note,) = seen.notes
    assert note.startswith("5 pods gone but for their series, left out: flower-5cf8b78894-dead0, ")
    assert note.endswith("dead2, …")


def test_a_terminating_pod_is_seen_for_its_gpus_and_its_load_is_not() -> None:
    pods = (Pod(A), Pod(B, terminating=True, node="g-1", gpus=2))
    seen = one(readings({A: reading(), B: reading()}), cluster(*pods))
    assert names(seen) == [A, B]
    assert seen.pods[1] == pods[1], "its node and GPUs, and no signals"
    assert seen.notes == (f"1 pod terminating, still on their GPUs: {B}",)


def test_finished_pods_are_left_out_even_where_a_finalizer_keeps_them() -> None:
    pods = (
        Pod(A),
        Pod(B, terminating=True, phase="Succeeded"),
        Pod(C, ready=False, phase="Failed"),
    )
    seen = one(readings({A: reading(), B: reading(), C: reading()}), cluster(*pods))
    assert names(seen) == [A]
    assert seen.notes == (f"2 pods over (failed or completed), left out: {B}, {C}",)


def test_other_deployments_pods_are_nobody_of_ours() -> None:
    other = "canary-5cf8b78894-2qqz8"
    seen = one(readings({A: reading(), other: reading()}), cluster(Pod(A)))
    assert names(seen) == [A]
    assert seen.notes == ()


def test_a_ready_pod_without_series_is_missing_not_idle() -> None:
    """For every model that its siblings hold: a sum over pods must not read it as 0."""
    seen = one(readings({A: reading()}), cluster(Pod(A), Pod(B)))
    silent = seen.pods[1].models
    assert [signals.model for signals in silent] == ["bert"]
    assert silent[0].arrivals == Missing("prometheus knows no series of it")
    assert isinstance(seen.pods[1].duty_cycle, Missing)


def test_a_silent_fleet_is_missing_for_the_models_that_the_policy_names() -> None:
    seen = one(readings({}), cluster(Pod(A)), capacity=Capacity("given", models={"bert": 45.0}))
    assert [signals.model for signals in seen.pods[0].models] == ["bert"]
    unnamed = one(readings({}), cluster(Pod(A)))
    assert [signals.model for signals in unnamed.pods[0].models] == ["*"]


def test_aibrix_617_one_unready_pod_is_told_apart_and_stalls_nothing() -> None:
    seen = one(readings({A: reading()}), cluster(Pod(A), Pod(B, ready=False)))
    assert [pod.ready for pod in seen.pods] == [True, False]
    assert seen.pods[0].models[0].arrivals == Sample(20.0, NOW - 3, 60.0)
    assert seen.pods[1].duty_cycle == Missing("not Ready, and no series yet")
    assert seen.notes == (f"1 pod not Ready: {B}",)


def test_a_sample_is_fresh_for_three_scrapes_and_five_seconds() -> None:
    fresh = one(readings({A: reading(50.0)}), cluster(Pod(A)))
    assert isinstance(fresh.pods[0].models[0].arrivals, Sample)
    stale = one(readings({A: reading(51.0)}), cluster(Pod(A)))
    assert stale.pods[0].models[0].arrivals == Missing("last sample 51s ago, over 50s")
    quick = one(readings({A: reading(9.0)}, scrape_interval=1.0), cluster(Pod(A)))
    assert quick.pods[0].models[0].arrivals == Missing("last sample 9s ago, over 8s")


def test_the_reason_of_a_failed_scrape_is_kept() -> None:
    dead = reading(60.0, failed="http://10.0.0.7:8002: the page is cut off")
    never = reading(float("inf"), failed="no page", models=())
    seen = one(readings({A: dead, B: never}), cluster(Pod(A), Pod(B)))
    assert "60" in str(seen.pods[0].duty_cycle) or "1m" in str(seen.pods[0].duty_cycle)
    assert "(http://10.0.0.7:8002: the page is cut off)" in str(seen.pods[0].duty_cycle)
    assert seen.pods[1].duty_cycle == Missing("no page")


def test_a_slow_tick_does_not_age_its_readings_but_an_old_one_does() -> None:
    target = cluster(Pod(A))
    late = join([policy()], readings({A: reading(45.0)}), target, NOW + 20)
    assert isinstance(late["default/flower"].pods[0].duty_cycle, Sample)
    old = join([policy()], readings({A: reading(45.0)}), target, NOW + 60)
    assert isinstance(old["default/flower"].pods[0].duty_cycle, Missing)


def test_a_source_that_failed_leaves_replicas_and_names_its_reason() -> None:
    failed = readings({}, failed="Prometheus: HTTP 502")
    seen = one(failed, cluster(Pod(A)), objectives=(Metric("metric-1", QUERY, value=1.0),))
    assert seen.replicas == Replicas(3, 1)
    assert seen.pods[0].models[0].pending == Missing("Prometheus: HTTP 502")
    assert seen.metrics == {"metric-1": Missing("Prometheus: HTTP 502")}
    blind = one(failed, None)
    assert blind.replicas == Missing("Prometheus: HTTP 502")
    assert blind.pods == ()


def test_a_target_that_cannot_be_read_has_unknown_replicas() -> None:
    forbidden = Missing("not allowed to get deployments/scale")
    seen = one(readings({A: reading()}), ClusterReading({FLOWER: forbidden}))
    assert seen.replicas == forbidden
    assert seen.notes == ("not allowed to get deployments/scale",)
    assert isinstance(one(readings({}), ClusterReading({})).replicas, Missing)


def test_a_policys_own_query_is_found_by_its_objective() -> None:
    answered = readings({A: reading()}, metrics={QUERY: Sample(80.0, NOW)})
    objectives = (Metric("metric-1", QUERY, value=1.0), Metric("metric-2", "other", value=1.0))
    seen = one(answered, cluster(Pod(A)), objectives=objectives)
    assert seen.metrics["metric-1"] == Sample(80.0, NOW)
    assert isinstance(seen.metrics["metric-2"], Missing)


# --- without Kubernetes ----------------------------------------------------------------------


def test_pods_are_inferred_by_name_and_said_so() -> None:
    seen = one(readings({A: reading(), B: reading(), "other-0": reading()}), None)
    assert names(seen) == [A, B]
    assert seen.replicas == Replicas(2, 2, source="series")
    assert seen.notes == ("pods inferred from series, by their names: no access to Kubernetes",)


def test_a_crashed_pods_last_samples_do_not_count() -> None:
    seen = one(readings({A: reading(), B: reading(51.0)}), None)
    assert names(seen) == [A]
    assert seen.replicas == Replicas(1, 1, source="series")
    assert seen.notes[1] == f"1 pod silent for over 50s, left out: {B}"


def test_no_fresh_pod_is_unknown_and_not_none() -> None:
    for gone in ({}, {A: reading(400.0)}):
        assert "no pod of flower in namespace default has fresh series" in str(
            one(readings(gone), None).replicas
        )


def test_two_policies_on_one_target_both_see_it() -> None:
    both = [policy(), policy(name="again")]
    seen = join(both, readings({A: reading()}), None, NOW)
    assert list(seen) == ["default/flower", "default/again"]
    assert names(seen["default/flower"]) == names(seen["default/again"]) == [A]


@pytest.mark.parametrize(
    ("pod", "owner"),
    [
        ("flower-5cf8b78894-2qqz8", "flower"),
        ("flower-0", "flower"),
        ("flower-12", "flower"),
        ("flower-large-5cf8b78894-2qqz8", "flower-large"),
        ("flower-large-0", "flower-large"),
        ("flower-v2-00000", "flower-v2"),  # number 0 of flower-v2 rather than flower's own
        ("flower-5cf8b78894-2qqz", None),
        ("flower-5cf8b78894abc-2qqz8", None),
        ("sunflower-5cf8b78894-2qqz8", None),
        ("flower", None),
        ("flower-", None),
        ("", None),
    ],
)
def test_whose_pod_it_is_by_name(pod: str, owner: str | None) -> None:
    owners = Owners(Target("default", name) for name in ("flower", "flower-large", "flower-v2"))
    found = owners.of("default", pod)
    assert (found.name if found else None) == owner
    assert owners.of("elsewhere", pod) is None


def test_an_endpoint_that_was_named_is_a_pod_even_when_it_is_silent() -> None:
    """Of two pages given by hand one does not answer: two replicas, one of them unknown."""
    told = readings({A: reading(), B: reading(age=9999.0)}, source="scrape")
    seen = one(told, None)
    assert seen.replicas == Replicas(2, 2, source="series")
    assert [isinstance(p.models[0].arrivals, Missing) for p in seen.pods] == [False, True]
