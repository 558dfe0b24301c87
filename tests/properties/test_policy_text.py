"""Whatever is written into a policy file: problems with a place, never an exception."""

from __future__ import annotations

from typing import Any

import jsonschema
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.model import Policy
from autoscaler.policy import PolicySet, load_texts, schema
from autoscaler.policy.registry import CHECKS
from autoscaler.policy.report import render
from autoscaler.wire import from_json, to_json
from tests.unit.policy.texts import policy_text

RICH = policy_text(
    "mode: scale",
    "capacity: {models: {a: 340, b: 45}, headroom: 30%}",
    "objectives:",
    "  - demand: {drainWithin: 2m}",
    "  - queueTime: {raiseAbove: 50ms, lowerBelow: 10ms, for: 1m30s}",
    "  - metric: {query: 'sum(rate(x[2m]))', averageValue: '40'}",
    "  - schedule: {cron: '0 8 * * MON-FRI', duration: 12h, timezone: Asia/Taipei, min: 3}",
    "behavior: {scaleUp: {policies: [{type: Pods, value: 1, period: 1m}]}}",
    "whenBlind: {hold: 5m, then: {replicas: 4}}",
)
# fmt: off
SCRAPS = st.sampled_from([
    ":", "- ", "{", "}", "[", "]", "'", '"', "&a", "*a", "<<: ", "!!x", "|", ">", "\n", "\t", "#",
    "---\n", "~", "on", "014", "1:30", ".nan", "é", "\x00", "\ufeff", "%", "? ", "\n  ", "99999999",
])
NAMES = st.sampled_from([
    "sla", "target", "replicas", "objectives", "behavior", "scaleUp", "policies", "whenBlind",
    "then", "capacity", "models", "metric", "query", "value", "queueTime", "latency", "p99",
    "name", "min", "max", "demand", "schedule", "nodes", "driver", "cost", "mode", "zzz",
])
# fmt: on


def seemly(found: PolicySet) -> None:
    """What holds of every outcome."""
    for problem in found.problems:
        assert problem.check in CHECKS
        assert problem.line >= 1
        assert 1 <= problem.column < problem.end_column
        assert problem.message
        assert problem.remedy
    assert found.ok or not found.policies
    for form in ("text", "json", "github"):
        render(found.problems, found.sources, form)  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    seemly(load_texts({"a.yaml": text}))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(RICH)), st.integers(0, 9), SCRAPS), max_size=4))
def test_a_mangled_policy_is_read_or_refused(edits: list[tuple[int, int, str]]) -> None:
    text = RICH
    for at, cut, scrap in edits:
        text = text[:at] + scrap + text[at + cut :]
    seemly(load_texts({"a.yaml": text}))


def leaves() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 2**40),
        st.floats(),
        st.sampled_from(["", "5m", "20%", "x", "p99", "hold", "Max", "Pods", "demand", "sum(up)"]),
    )


TREES = st.recursive(
    leaves(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, TREES, max_size=6))
def test_any_values_in_any_fields_are_read_or_refused(spec: dict[str, Any]) -> None:
    document = yaml.safe_load(RICH)
    document["spec"] |= spec
    seemly(load_texts({"a.yaml": yaml.safe_dump(document)}))


DURATIONS = st.sampled_from(["0s", "50ms", "90s", "1h30m", "10m"])
LONG = st.sampled_from(["50ms", "90s", "1h30m", "10m"])
SHARES = st.sampled_from(["20%", 0.2, 0, "0.55", "70%"])
QUANTITIES = st.sampled_from(["40", 1, 3.5, "1500m", "2k"])
OBJECTIVES = st.one_of(
    st.just("demand"),
    st.just({"demand": None}),
    st.fixed_dictionaries({"demand": st.fixed_dictionaries({}, optional={"drainWithin": LONG})}),
    st.fixed_dictionaries(
        {
            "queueTime": st.fixed_dictionaries(
                {}, optional={"raiseAbove": LONG, "lowerBelow": st.just("1ms"), "for": DURATIONS}
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "dutyCycle": st.fixed_dictionaries(
                {"averageUtilization": st.sampled_from(["70%", 0.5])},
                optional={"tolerance": SHARES},
            )
        }
    ),
    st.fixed_dictionaries(
        {"metric": st.fixed_dictionaries({"query": st.just("up"), "averageValue": QUANTITIES})}
    ),
    st.fixed_dictionaries(
        {
            "schedule": st.fixed_dictionaries(
                {"cron": st.just("0 8 * * *"), "duration": LONG, "min": st.integers(1, 7)}
            )
        }
    ),
)


def kind(item: Any) -> str:
    return item if isinstance(item, str) else str(next(iter(item)))


RULES = st.fixed_dictionaries(
    {},
    optional={
        "stabilizationWindow": st.sampled_from(["0s", "5m", "1h"]),
        "selectPolicy": st.sampled_from(["Max", "Min", "Disabled"]),
        "policies": st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.sampled_from(["Pods", "Percent"]),
                    "value": st.integers(1, 2**31 - 1),
                    "period": st.sampled_from(["1s", "15s", "30m"]),
                }
            ),
            min_size=1,
            max_size=3,
        ),
        "tolerance": SHARES,
    },
)
SPECS = st.fixed_dictionaries(
    {
        "target": st.just({"name": "flower"}),
        "replicas": st.just({"min": 1, "max": 7}),
        "sla": st.fixed_dictionaries(
            {"queueTime": LONG}, optional={"rejected": SHARES, "latency": st.just({"p99": "1s"})}
        ),
        "capacity": st.one_of(
            st.fixed_dictionaries({"requestsPerSecond": QUANTITIES, "headroom": SHARES}),
            st.fixed_dictionaries(
                {"models": st.dictionaries(st.just("a"), QUANTITIES, min_size=1)}
            ),
        ),
    },
    optional={
        "mode": st.sampled_from(["observe", "recommend", "scale"]),
        "paused": st.booleans(),
        "objectives": st.lists(OBJECTIVES, min_size=1, max_size=4, unique_by=kind),
        "behavior": st.fixed_dictionaries({}, optional={"scaleUp": RULES, "scaleDown": RULES}),
        "cooldown": st.fixed_dictionaries({}, optional={"scaleUp": DURATIONS}),
        "whenBlind": st.fixed_dictionaries(
            {}, optional={"then": st.one_of(st.just("hold"), st.just({"replicas": 3}))}
        ),
    },
)
VALIDATOR = jsonschema.Draft202012Validator(schema())


@settings(deadline=None)
@given(SPECS)
def test_a_right_policy_compiles_goes_over_the_wire_and_pleases_the_schema(
    spec: dict[str, Any],
) -> None:
    document = yaml.safe_load(policy_text()) | {"spec": spec}
    found = load_texts({"a.yaml": yaml.safe_dump(document, sort_keys=False)})
    seemly(found)
    assert found.ok, found.problems
    (policy,) = found.policies
    assert from_json(Policy, to_json(policy)) == policy
    assert list(VALIDATOR.iter_errors(document)) == []
