"""What fields mean together; the one-fault files in policies/ hold the plain cases."""

from __future__ import annotations

import pytest

from autoscaler.policy import load_texts
from tests.unit.policy.texts import checks, load_text, policy_text


@pytest.mark.parametrize(("target", "warns"), [("85%", True), ("0.8", True), ("79%", False)])
def test_keda_7538_copied_gpu_thresholds_are_questioned(target: str, warns: bool) -> None:
    text = policy_text(f"objectives: [demand, {{dutyCycle: {{averageUtilization: {target}}}}}]")
    assert checks(load_text(text)) == (["duty-cycle-unreachable"] if warns else [])


def test_triton_k8s_onprem_the_50_microseconds_are_questioned() -> None:
    assert checks(load_text(policy_text(sla="{queueTime: 50us}"))) == ["queue-time-too-small"]


def test_triton_8979_the_published_queue_time_rule_is_questioned_twice() -> None:
    query = (
        "avg(delta(nv_inference_queue_duration_us[30s])"
        " / (1 + delta(nv_inference_request_success[30s])))"
    )
    text = policy_text(f"objectives:\n  - metric: {{query: '{query}', averageValue: 50}}")
    assert checks(load_text(text)) == ["promql-counter", "queue-time-proportional"]


def test_keda_6844_a_long_cooldown_upward_is_questioned() -> None:
    assert checks(load_text(policy_text("cooldown: {scaleUp: 5m}"))) == []
    assert checks(load_text(policy_text("cooldown: {scaleUp: 5m1s}"))) == ["cooldown-defeats-sla"]


def metric(query: str, target: str = "averageValue: 40") -> str:
    return policy_text(f"objectives:\n  - metric:\n      query: {query}\n      {target}")


@pytest.mark.parametrize(
    "query",
    [
        "'sum(rate(x[2m]))'",
        "time()",
        "'3'",
        "'(-(up))'",
        "'max_over_time(rate(x[1m])[5m:10s])'",
        "'count(up{pod=~\"[5s]\"})'  # a range only in a label",
        "|\n        sum(rate(x[1m])) # [3s]\n        / 2",
    ],
)
def test_queries_that_return_one_number_pass(query: str) -> None:
    assert checks(load_text(metric(query))) == []


@pytest.mark.parametrize(
    ("query", "check"),
    [
        ("'rate(x)'", "promql-syntax"),
        ("'x['", "promql-syntax"),
        ("x offset NaN", "promql-syntax"),  # the native parser panics on it
        ("'(x[2m])'", "promql-type"),
        ("'rate(x[1m])[5m:1m]'", "promql-type"),
        ("'\"text\"'", "promql-type"),
        ("'rate(x[29s])'", "promql-window"),
        ("'rate(x{a=\"]\"}[1s500ms])'", "promql-window"),
    ],
)
def test_queries_that_cannot_work_are_told_offline(query: str, check: str) -> None:
    assert checks(load_text(metric(query))) == [check]


@pytest.mark.parametrize("query", ["(" * 100_000, "-" * 100_000 + "x", "x+" * 50_000 + "x"])
def test_a_query_that_would_overflow_the_parsers_stack_is_refused_unread(query: str) -> None:
    # promql-parser is recursive native code: 10,000 brackets end the whole process
    assert checks(load_text(metric(f"'{query}'"))) == ["promql-syntax"]


def test_a_query_may_have_4000_characters() -> None:
    query = "x" + " " * 3999
    assert checks(load_text(metric(f"'{query}'"))) == []
    assert checks(load_text(metric(f"'{query} '"))) == ["promql-syntax"]


def test_two_scrapes_are_measured_by_the_scrape_interval_in_force() -> None:
    text = {"a.yaml": metric("'rate(x[59s])'")}
    assert checks(load_texts(text, scrape_interval=30.0)) == ["promql-window"]
    assert checks(load_texts(text, scrape_interval=29.0)) == []


def test_demand_and_duty_cycle_twice_are_one_too_many_but_queries_and_schedules_repeat() -> None:
    schedule = "{schedule: {cron: '0 8 * * *', duration: 1h, min: 2}}"
    text = policy_text(
        f"objectives: [demand, {{metric: {{query: up, value: 1}}}}, "
        f"{{metric: {{query: up, value: 2}}}}, {schedule}, {schedule}]"
    )
    assert checks(load_text(text)) == []


@pytest.mark.parametrize(
    "zone", ["America", "../../etc/passwd", "CST", "asia/taipei", "/etc", "\\0"]
)
def test_a_time_zone_is_region_and_city(zone: str) -> None:
    text = policy_text(
        f"objectives: [demand, {{schedule: {{cron: '0 8 * * *', duration: 1h, min: 2, "
        f"timezone: '{zone}'}}}}]"
    )
    assert checks(load_text(text)) == ["unknown-timezone"]


@pytest.mark.parametrize(
    "cron", ["0 25 * * *", "* * * *", "0 0 8 * * *", "@daily", "0 8 31 2 *", "x"]
)
def test_a_cron_expression_has_five_fields_and_fires(cron: str) -> None:
    text = policy_text(
        f"objectives: [demand, {{schedule: {{cron: '{cron}', duration: 1h, min: 2}}}}]"
    )
    assert checks(load_text(text)) == ["bad-cron"]


def test_the_same_name_in_two_namespaces_is_two_policies() -> None:
    def text(namespace: str) -> str:
        return policy_text().replace(
            "{name: flower}\nspec", f"{{name: flower, namespace: {namespace}}}\nspec"
        )

    assert load_texts({"a.yaml": text("a"), "b.yaml": text("b")}).ok
    found = load_texts({"a.yaml": text("a"), "b.yaml": text("a")})
    assert checks(found) == ["duplicate-name", "duplicate-target"]
    assert "a.yaml:3" in found.problems[0].message


def test_two_policies_meet_on_one_target_by_whatever_way_it_is_named() -> None:
    first = policy_text()
    second = policy_text(name="tulip").replace(
        "target: {name: tulip}",
        "target: {name: flower, namespace: default, apiVersion: apps/v1, kind: Deployment}",
    )
    assert "duplicate-target" in checks(load_texts({"a.yaml": first, "b.yaml": second}))


def test_the_same_deployment_of_another_api_version_is_the_same_object() -> None:
    def text(name: str, target: str) -> str:
        return policy_text(name=name).replace(f"target: {{name: {name}}}", f"target: {{{target}}}")

    first = text("flower", "namespace: a, name: triton")
    old = text("tulip", "namespace: a, name: triton, apiVersion: apps/v1beta1")
    elsewhere = text("rose", "namespace: b, name: triton")
    assert checks(load_texts({"a.yaml": first, "b.yaml": old})) == ["duplicate-target"]
    assert checks(load_texts({"a.yaml": first, "b.yaml": elsewhere})) == []


def test_a_policys_own_namespace_does_not_hide_that_the_target_is_the_same() -> None:
    def text(name: str, namespace: str) -> str:
        metadata = f"metadata: {{name: {name}, namespace: {namespace}}}"
        target = "target: {namespace: serving, name: triton}"
        return (
            policy_text(name=name)
            .replace(f"metadata: {{name: {name}}}", metadata)
            .replace(f"target: {{name: {name}}}", target)
        )

    found = load_texts({"a.yaml": text("a", "team-a"), "b.yaml": text("b", "team-b")})
    assert checks(found) == ["duplicate-target"]


NODE_POOL = "{scale: {apiVersion: karpenter.sh/v1, kind: NodePool, name: gpu}}"
GKE = "{gke: {project: p, location: l, cluster: c, pool: gpu}}"
BUFFER = "{capacityBuffer: {}}"


@pytest.mark.parametrize(
    ("one", "other", "refused"),
    [
        (f"driver: {NODE_POOL}", f"driver: {NODE_POOL.replace('v1,', 'v1beta1,')}", True),
        (f"driver: {GKE}", f"driver: {BUFFER}, fallback: {GKE}", True),
        (f"driver: {NODE_POOL}", f"driver: {NODE_POOL.replace('gpu', 'other')}", False),
        (f"driver: {GKE}", f"driver: {GKE.replace('cluster: c', 'cluster: d')}", False),
        (f"driver: {BUFFER}", f"driver: {BUFFER}", False),
    ],
    ids=["another version", "the fallback", "another pool", "another cluster", "buffers"],
)
def test_two_policies_do_not_fight_over_the_size_of_one_pool(
    one: str, other: str, refused: bool
) -> None:
    texts = {
        f"{name}.yaml": policy_text(
            "mode: scale", f"nodes: {{spare: 1, gpusPerNode: 4, {nodes}}}", name=name
        )
        for name, nodes in (("flower", one), ("tulip", other))
    }
    assert checks(load_texts(texts)) == (["shared-pool"] if refused else [])


def test_lower_below_is_compared_with_the_sla_where_raise_above_is_left_out() -> None:
    text = policy_text("objectives: [{queueTime: {lowerBelow: 50ms}}]")
    assert checks(load_text(text)) == ["lower-not-below-raise"]


def test_the_int32_wrap_of_the_hpa_is_told_before_the_wrap_itself() -> None:
    def rate(value: int) -> str:
        return policy_text(
            f"behavior: {{scaleUp: {{policies: [{{type: Pods, value: {value}, period: 15s}}]}}}}"
        )

    assert checks(load_text(rate(2147483647 - 6))) == ["int32-wrap"]
    assert checks(load_text(rate(2147483647 - 7))) == []
