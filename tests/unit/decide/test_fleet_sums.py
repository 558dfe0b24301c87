"""What pods add up to: a sum that lacks a pod says which, and is never taken for the whole."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.decide.fleet import Fleet, Trust, gather
from autoscaler.model import Missing, Observation, Pod, Replicas
from tests.unit.decide.fleets import WINDOWS, model

NOW = 1_000_000.0


def fleet(*pods: Pod) -> Fleet:
    seen = Observation("default/flower", NOW, Replicas(len(pods), len(pods)), pods, windows=WINDOWS)
    return gather(seen, Trust(WINDOWS, NOW))


def pod(name: str, rate: float | None = 100, of: str = "resnet50") -> Pod:
    return Pod(name, models=(model(NOW, rate, name=of),))


def test_a_sum_that_lacks_a_pod_names_it() -> None:
    total = fleet(pod("a"), pod("b", None), pod("c", None)).total
    assert (total.arrivals.value, total.arrivals.known) == (100, 1)
    assert total.arrivals.missing == "b: not measured"
    assert total.waited.missing == "b: not measured"


def test_one_model_of_two_that_lacks_a_pod_is_lacking_in_the_whole() -> None:
    both = fleet(pod("a", None, "bert"), pod("b"))
    assert both.total.arrivals.missing == "a: not measured"
    assert both.total.pending.missing == "a: not measured"
    assert both.models["resnet50"].arrivals.complete


def test_a_pod_without_any_model_is_lacking_in_a_fleet_of_one_model() -> None:
    assert fleet(pod("a"), Pod("b")).total.arrivals.missing == "b: no signals"


def test_a_pod_that_is_starting_has_nothing_to_tell_yet() -> None:
    starting = replace(pod("b", None), ready=False)
    assert fleet(pod("a"), starting).total.arrivals.complete


def test_what_a_pod_tells_half_of_is_in_no_ratio_and_in_its_sums() -> None:
    half = replace(pod("b").models[0], queueing=Missing("no queue counter"))
    total = fleet(pod("a"), Pod("b", models=(half,))).total
    assert (total.waited.bottom, total.waited.missing) == (100, "b: no queue counter")
    assert total.arrivals.value == 200
