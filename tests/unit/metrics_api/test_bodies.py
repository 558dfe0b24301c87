"""Bodies to the byte: those of the wire contract, and Kubernetes' own names for what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from autoscaler.model import Sample, Target
from autoscaler.serve.metrics_api.catalog import parse_names
from autoscaler.serve.metrics_api.ports import Denied
from tests.unit.decide.fleets import model
from tests.unit.metrics_api.served import (
    CUSTOM,
    EXTERNAL,
    OLD,
    OWN,
    Fleet,
    Served,
    fleet,
    named,
    pod,
)

GOLDEN = Path(__file__).parent / "golden"


SELECTED = "?labelSelector=app%3Dflower&metricLabelSelector=model+in+%28resnet50%2Cx%29%2C%21y"


def contract() -> Fleet:
    """One pod whose requests wait 1.5 µs (a value of 1500m), as in the contract's examples."""
    one = pod("p0", model(1_795_248_550.0, 20.0, 1.5e-6))
    policy = named("flower", namespace="ns", target=Target("ns", "flower"), objectives=(OWN,))
    own = Sample(2.5, 1_795_248_550.0, 60.0)
    return fleet("flower", one, metrics={"metric-1": own}, policy=policy)


@pytest.fixture
async def ns() -> AsyncIterator[Served]:
    catalog = parse_names(["avg_time_queue_us=queue_us", "metric-1=q"])
    async with Served(catalog).running() as served:
        served.tick(contract())
        yield served


@pytest.mark.parametrize(
    ("target", "file"),
    [
        (f"{CUSTOM}/namespaces/ns/pods/%2A/queue_us", "pods.v1beta2.json"),
        (f"{OLD}/namespaces/ns/pods/*/queue_us", "pods.v1beta1.json"),
        (f"{OLD}/namespaces/ns/pods/p0/queue_us", "pods.v1beta1.json"),
        (
            f"{CUSTOM}/namespaces/ns/pods/%2A/queue_us{SELECTED}",
            "pods-selected.v1beta2.json",
        ),
        (f"{EXTERNAL}/namespaces/ns/q", "external.v1beta1.json"),
        (f"{CUSTOM}/namespaces/ns/metrics/q", "namespace.v1beta2.json"),
        (f"{CUSTOM}/namespaces/ns/deployments.apps/flower/q", "target.v1beta2.json"),
        (f"{CUSTOM}/namespaces/ns/pods/*/nope", "no-metric.json"),
        (f"{CUSTOM}/namespaces/ns/pods/p0/nope", "no-metric-named.json"),
        ("/apis", "apis.json"),
        ("/apis/custom.metrics.k8s.io", "group.json"),
        (OLD, "resources.v1beta1.json"),
        (EXTERNAL, "resources-external.json"),
    ],
)
async def test_bodies_are_those_on_file(ns: Served, target: str, file: str) -> None:
    expected = (GOLDEN / file).read_bytes().removesuffix(b"\n")
    assert (await ns.get(target)).body == expected


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "Unauthorized"), (403, "Forbidden"), (503, "ServiceUnavailable")],
)
async def test_denials_are_statuses_in_the_gates_words(
    ns: Served, status: int, reason: str
) -> None:
    ns.gate.shut = Denied(status, "pods is forbidden: User nobody cannot get it")
    answer = await ns.get(f"{CUSTOM}/namespaces/ns/pods/*/queue_us")
    assert (answer.status, answer.json["reason"]) == (status, reason)
    assert answer.message == "pods is forbidden: User nobody cannot get it"


async def test_the_old_name_of_a_renamed_metric_is_gone(ns: Served) -> None:
    assert (await ns.get(f"{CUSTOM}/namespaces/ns/pods/*/avg_time_queue_us")).status == 404
    assert (await ns.get(f"{CUSTOM}/namespaces/ns/deployments.apps/flower/metric-1")).status == 404
