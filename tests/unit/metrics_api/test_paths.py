"""Every path there is, what RBAC is asked about it, and every way to ask wrongly."""

from __future__ import annotations

import pytest

from autoscaler.serve.board import Verdict
from autoscaler.serve.metrics_api.ports import Attributes
from tests.unit.metrics_api.served import CUSTOM, EXTERNAL, OLD, PODS, QUEUE, Served, flower

HPA = "application/vnd.kubernetes.protobuf, */*"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
GROUP = "custom.metrics.k8s.io"


@pytest.mark.parametrize(
    ("target", "attributes"),
    [
        (
            f"{CUSTOM}/namespaces/default/pods/%2A/{QUEUE}",
            Attributes(GROUP, "v1beta2", "pods", QUEUE, "*", "default", "get"),
        ),
        (
            f"{OLD}/namespaces/default/pods/flower-a/{QUEUE}",
            Attributes(GROUP, "v1beta1", "pods", QUEUE, "flower-a", "default", "get"),
        ),
        (
            f"{CUSTOM}/namespaces/default/deployments.apps/flower/desired_replicas",
            Attributes(
                GROUP,
                "v1beta2",
                "deployments.apps",
                "desired_replicas",
                "flower",
                "default",
                "get",
            ),
        ),
        (
            f"{CUSTOM}/namespaces/default/metrics/request_rate",
            Attributes(GROUP, "v1beta2", "metrics", "", "request_rate", "default", "get"),
        ),
        (
            f"{EXTERNAL}/namespaces/default/request_rate",
            Attributes(
                "external.metrics.k8s.io", "v1beta1", "request_rate", "", "", "default", "list"
            ),
        ),
        (
            "/v1/policies/default/flower",
            Attributes(GROUP, "v1beta2", "policies", "", "flower", "default", "get"),
        ),
        ("/apis", None),
        (f"/apis/{GROUP}", None),
        (CUSTOM, None),
        (EXTERNAL, None),
    ],
)
async def test_the_gate_is_asked_what_the_api_server_would_ask(
    flowers: Served, target: str, attributes: Attributes | None
) -> None:
    answer = await flowers.get(target, Accept=HPA)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert flowers.gate.asked == [attributes]


async def test_a_target_goes_by_its_resource_with_or_without_group(flowers: Served) -> None:
    for resource in ("deployments.apps", "deployments"):
        path = f"{CUSTOM}/namespaces/default/{resource}"
        assert (await flowers.get(f"{path}/flower/desired_replicas")).values == {"flower": "3"}
        assert (await flowers.get(f"{path}/*/desired_replicas")).values == {"flower": "3"}
        team = f"{path}/%2A/desired_replicas?labelSelector=team"
        assert (await flowers.get(f"{team}%3Dvision")).status == 200
        assert (await flowers.get(f"{team}%3Dspeech")).status == 404


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (f"{CUSTOM}/namespaces/default/pods/*/nope", "could not find the metric nope for pods"),
        (f"{CUSTOM}/namespaces/default/pods/a/nope", "could not find the metric nope for pods a"),
        (f"{CUSTOM}/namespaces/default/pods/ghost/{QUEUE}", 'pods "ghost" not found: it is not'),
        (f"{CUSTOM}/namespaces/rose/pods/*/{QUEUE}", "no policy serves metrics of namespace rose"),
        (f"{PODS}?labelSelector=app%3Drose", "no pods of a policy in namespace default matches"),
        (
            f"{CUSTOM}/namespaces/default/deployments.apps/rose/desired_replicas",
            'deployments.apps "rose" not found',
        ),
        (f"{CUSTOM}/namespaces/default/pods/*/desired_replicas", "it is one of the target"),
        (f"{CUSTOM}/namespaces/default/pods/*/metric-1", "it is one of the target, not of pods"),
        (f"{CUSTOM}/nodes/gpu-1/{QUEUE}", "no policy serves metrics of namespace"),
        (f"{EXTERNAL}/namespaces/default/nope", "could not find the metric nope"),
        (f"{EXTERNAL}/namespaces/default/{QUEUE}?labelSelector=policy%3Drose", "policy=rose"),
        (f"{CUSTOM}/namespaces/default/pods/%2A%2F{QUEUE}", "requested resource"),
        (f"{CUSTOM}/namespaces//pods/*/{QUEUE}", "requested resource"),
        (f"{CUSTOM}/namespaces/default/pods/*/{'x' * 300}", "requested resource"),
        ("/", "requested resource"),
        ("/apis/custom.metrics.k8s.io/v1", "requested resource"),
        ("/apis/custom.metrics.k8s.io/v1/namespaces/default/pods/*/x", "requested resource"),
        ("/apis/metrics.k8s.io", "requested resource"),
        ("/api/v1/pods", "requested resource"),
        ("/openapi/v2", "requested resource"),
        ("/openapi/v3", "requested resource"),
        ("/metrics", "requested resource"),
    ],
)
async def test_what_is_not_there_is_a_404_status_with_words_of_its_own(
    flowers: Served, target: str, words: str
) -> None:
    answer = await flowers.get(target)
    assert (answer.status, answer.json["reason"]) == (404, "NotFound")
    assert words in answer.message


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("labelSelector=%21%21", "labelSelector: '!!', column 2: found '!', expected the name"),
        ("labelSelector=app+in+%28flower", "column 15: it ends, expected"),
        ("labelSelector=a%3Db%2C", "column 5: it ends, expected the name of a label"),
        ("metricLabelSelector=model%3D%3D%3Dx", "metricLabelSelector: 'model===x', column 8"),
        ("metricLabelSelector=model%3E5", "write in or ="),
        ("labelSelector=%FF%FE", "column 1"),
        ("&".join("a=1" for _ in range(40)), "more than 16 parameters"),
    ],
)
async def test_prometheus_adapter_500_a_bad_selector_is_400_and_names_the_place(
    flowers: Served, query: str, words: str
) -> None:
    answer = await flowers.get(f"{PODS}?{query}")
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
    assert words in answer.message


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_anything_but_get_is_a_405_status(flowers: Served, method: str) -> None:
    for target in (PODS, "/healthz", "/nowhere"):
        answer = await flowers.get(target, method=method)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
        assert (
            answer.body == b""
            if method == "HEAD"
            else answer.json["reason"] == ("MethodNotAllowed")
        )


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (HPA, 200),
        ("application/json, */*", 200),
        ("application/*;q=0.5", 200),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", 200),
        ("application/vnd.kubernetes.protobuf", 406),
        ("application/json;q=0", 406),
        ("text/html", 406),
    ],
)
async def test_json_or_406(flowers: Served, accept: str, status: int) -> None:
    assert (await flowers.get(PODS, Accept=accept)).status == status


async def test_aggregated_discovery_is_refused_so_that_the_aggregator_reads_the_old_form(
    flowers: Served,
) -> None:
    """prometheus-adapter answers 200 with an empty list, and its group is never published."""
    assert (await flowers.get("/apis", Accept=AGGREGATED)).status == 404
    either = await flowers.get("/apis", Accept=f"{AGGREGATED},application/json")
    assert either.json["kind"] == "APIGroupList"


async def test_discovery_answers_before_the_first_tick(api: Served) -> None:
    for target in ("/apis", f"/apis/{GROUP}", OLD, CUSTOM, EXTERNAL, f"{CUSTOM}/"):
        assert (await api.get(target)).status == 200
    names = [one["name"] for one in (await api.get(OLD)).json["resources"]]
    assert {f"pods/{QUEUE}", f"namespaces/{QUEUE}"} <= set(names)


async def test_a_bad_selector_is_refused_without_asking_the_gate(flowers: Served) -> None:
    await flowers.get(f"{PODS}?labelSelector=%21%21")
    assert flowers.gate.asked == []


async def test_health_is_for_anybody_and_tells_nothing(api: Served) -> None:
    from autoscaler.serve.metrics_api.ports import Denied

    api.gate.shut = Denied(401, "who are you?")
    for probe in ("/healthz", "/livez", "/readyz"):
        assert ((await api.get(probe)).status, (await api.get(probe)).body) == (200, b"ok")
    api.verdict = Verdict(False, "http://prometheus.monitoring:9090 refused the connection")
    answer = await api.get("/readyz")
    assert (answer.status, answer.body) == (503, b"not ok")
    assert (await api.get(OLD)).status == 401


async def test_a_gate_that_breaks_is_a_500_and_is_told(api: Served) -> None:
    async def admit(*_: object) -> None:
        raise KeyError("uid")

    api.gate.admit = admit  # type: ignore[method-assign, assignment]
    api.tick(flower())
    answer = await api.get(PODS)
    assert (answer.status, answer.json["reason"]) == (500, "InternalError")
    assert "uid" not in answer.message
    assert [type(one) for one in api.broken] == [KeyError]
