"""Fields, types and units: what is refused, and what the refusal says."""

from __future__ import annotations

import pytest

from autoscaler.policy import Problem
from autoscaler.policy.scalars import yaml11_reading
from tests.unit.policy.texts import HEAD, checks, compiled, load_text, policy_text


def only(text: str) -> Problem:
    (problem,) = load_text(text).problems
    return problem


@pytest.mark.parametrize(
    ("plain", "reading"),
    [
        ("on", "true"),
        ("NO", "false"),
        ("Yes", "true"),
        ("1:30", "90"),
        ("12:30:00", "45000"),
        ("014", "12"),
        ("1_000", "1000"),
        ("0x1F", "31"),
        ("2026-01-01", "2026-01-01"),
        ("true", None),
        ("12", None),
        ("-3", None),
        ("0.5", None),
        ("1e3", None),
        ("flower", None),
        ("", None),
    ],
)
def test_what_yaml_1_1_would_have_made_of_it(plain: str, reading: str | None) -> None:
    assert yaml11_reading(plain) == reading


@pytest.mark.parametrize("word", ["on", "NO", "1:30", "014", "1_000"])
def test_a_yaml_1_1_surprise_is_named_wherever_another_type_is_needed(word: str) -> None:
    for line in (
        f"paused: {word}",
        f"cooldown: {{scaleUp: {word}}}",
        f"capacity: {{headroom: {word}}}",
        f"capacity: {{requestsPerSecond: {word}}}",
    ):
        assert checks(load_text(policy_text(line))) == ["yaml11-surprise"], line


def test_the_norwegian_currency_is_a_text_like_any_other() -> None:
    found = load_text(policy_text("cost: {gpuHour: 0.54, currency: NO}"))
    assert checks(found) == []


@pytest.mark.parametrize(
    ("field", "remedy"),
    [
        ("queuetime: 5ms", "did you mean queueTime?"),
        ("queue_time: 5ms", "did you mean queueTime?"),
        ("latancy: {p99: 5ms}", "did you mean latency?"),
        ("profile: a.csv", "it belongs at spec.capacity.profile"),
        ("minReplicas: 1", "here it is spec.replicas.min"),
        ("zzz: 1", "known here: latency, queueTime, rejected"),
    ],
)
def test_an_unknown_field_says_what_was_probably_meant(field: str, remedy: str) -> None:
    problem = only(policy_text(sla=f"{{queueTime: 50ms, {field}}}"))
    assert (problem.check, problem.remedy) == ("unknown-field", remedy)


def test_dynamo_13565_every_field_is_checked_at_every_depth() -> None:
    text = policy_text(
        "objectives:\n  - metric: {query: up, value: 1, extra: 1}\n"
        "  - schedule: {cron: '0 8 * * *', duration: 1, min: 2}\n"
        "behavior:\n  scaleUp:\n    policies: [{type: Pod, value: 0, period: 15}]"
    )
    assert checks(load_text(text)) == [
        "unknown-field",
        "duration-without-unit",
        "bad-choice",
        "out-of-range",
        "duration-without-unit",
    ]


def test_a_missing_field_is_reported_at_its_parent() -> None:
    problem = only(policy_text().replace("  replicas: {min: 1, max: 7}\n", ""))
    assert (problem.check, problem.line) == ("missing-field", 4)
    assert "spec.replicas is missing" in problem.message


def test_a_bare_number_says_how_to_write_seconds() -> None:
    problem = only(policy_text("cooldown: {scaleDown: 300}"))
    assert problem.check == "duration-without-unit"
    assert "300s" in problem.remedy


@pytest.mark.parametrize("text", ["'300'", "5 m", "10m5h", "1h1h", "-5s", "5M", "m", "1,5s", "٣s"])
def test_a_duration_is_digits_and_units_from_large_to_small(text: str) -> None:
    (check,) = checks(load_text(policy_text(f"cooldown:\n  scaleDown: {text}")))
    assert check in {"bad-duration", "duration-without-unit"}


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "NaN", "'inf'", "Infinity"])
@pytest.mark.parametrize("field", ["requestsPerSecond", "headroom"])
def test_nan_and_infinity_are_not_numbers(field: str, number: str) -> None:
    found = load_text(policy_text(f"capacity: {{{field}: {number}}}"))
    assert checks(found) == ["not-finite"]


@pytest.mark.parametrize("digits", ["9" * 5000, "99999999999", "2147483648"])
def test_a_number_of_replicas_beyond_32_bits_is_refused(digits: str) -> None:
    text = policy_text().replace("max: 7", f"max: {digits}")
    assert checks(load_text(text)) == ["out-of-range"]


@pytest.mark.parametrize("quantity", ["0", "-1", "1e999", "1e15", "9" * 400])
def test_a_capacity_is_a_positive_finite_number(quantity: str) -> None:
    (check,) = checks(load_text(policy_text(f"capacity: {{requestsPerSecond: {quantity}}}")))
    assert check in {"out-of-range", "bad-quantity"}


@pytest.mark.parametrize(
    "body", ["- demand", "- demand:", "- demand: {}", "- demand: {drainWithin: 60s}"]
)
def test_demand_may_be_bare(body: str) -> None:
    assert compiled(f"objectives:\n  {body}").objectives == compiled("mode: observe").objectives[:1]


def test_an_objective_that_needs_fields_cannot_be_bare() -> None:
    found = load_text(policy_text("objectives:\n  - demand\n  - dutyCycle:\n  - schedule"))
    assert checks(found) == ["empty-value", *["missing-field"] * 3]


def test_objectives_as_a_map_are_told_to_be_a_list() -> None:
    problem = only(policy_text("objectives:\n  demand: {}"))
    assert problem.check == "wrong-type"
    assert "- " in problem.remedy


def test_a_foreign_manifest_is_one_problem_not_one_for_each_field() -> None:
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 3}\n"
    assert checks(load_text(text)) == ["api-version"]


def test_a_document_without_anything_names_all_that_is_missing() -> None:
    found = load_text(HEAD)
    assert checks(found) == ["missing-field", "missing-field"]


def test_kubectls_empty_timestamp_is_an_unknown_field() -> None:
    text = policy_text().replace(
        "{name: flower}\nspec", "{name: flower, creationTimestamp: null}\nspec"
    )
    assert checks(load_text(text)) == ["unknown-field"]


@pytest.mark.parametrize("name", ["Flower", "flower_1", "-flower", "flower-", "a" * 254, "flöwer"])
def test_names_are_those_of_kubernetes(name: str) -> None:
    text = policy_text().replace("metadata: {name: flower}", f"metadata: {{name: {name}}}")
    assert checks(load_text(text)) == ["bad-name"]


@pytest.mark.parametrize("percentile", ["99", "p0", "p100", "P99", "p99.9999", "mean"])
def test_percentiles_are_written_as_in_a_profile(percentile: str) -> None:
    text = policy_text(
        "capacity: {requestsPerSecond: 9}", sla=f"{{latency: {{{percentile}: 9ms}}}}"
    )
    assert checks(load_text(text)) == ["bad-percentile"]
