"""Whatever stands in a profile's file, reading it ends in profiles or in a ProfileError."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.model import Sla
from autoscaler.policy.profile import Choice, Profile, ProfileError, read_profiles
from autoscaler.policy.profile.choose import judge
from tests.unit.policy.test_profile_tools import (
    CONSOLE,
    GPU,
    INFERENCE,
    OF_2019,
    VERBOSE,
    genai_run,
    request_log,
)

FILES = [
    VERBOSE,
    OF_2019,
    INFERENCE,
    GPU + INFERENCE,
    CONSOLE,
    genai_run(1, 2.0, 1000.0),
    json.dumps(request_log(count=3)),
]
SLA = Sla(queue_time=0.01, latency=((0.99, 0.012),))


def read(text: str) -> None:
    found = _read(text)
    if isinstance(found, ProfileError):
        assert found.reason
        assert found.remedy
        assert found.line is None or 1 <= found.line <= text.count("\n") + text.count("\r") + 1
    else:
        judge(found, SLA)


def _read(text: str) -> Sequence[Profile] | ProfileError:
    try:
        return read_profiles(text, Choice(latency_is=0.99)).profiles
    except ProfileError as error:
        return error


@given(st.text())
def test_any_text(text: str) -> None:
    read(text)


@given(st.sampled_from(FILES), st.integers(0, 2000), st.integers(0, 40), st.text(max_size=12))
def test_a_stretch_of_a_right_file_overwritten(text: str, at: int, gone: int, new: str) -> None:
    read(text[:at] + new + text[at + gone :])


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(values, values, values)
def test_json_of_any_shape(one: object, two: object, three: object) -> None:
    experiment = {"mode": "concurrency", "value": one}
    read(json.dumps({"experiments": one}))
    read(json.dumps({"experiments": [{"experiment": experiment, "requests": two}]}))
    requests = [{"timestamp": one, "response_timestamps": two}]
    right = {"mode": "request_rate", "value": 10}
    log = {"experiment": right, "requests": requests, "window_boundaries": three}
    read(json.dumps({"experiments": [log]}))
    run = {"request_throughput": one, "request_latency": two, "input_config": three}
    read(json.dumps(run))
    latency = {"unit": "ms", "avg": one, "p99": two}
    given_load = {"concurrency": three}
    throughput = {"avg": one}
    run = {"request_throughput": throughput, "request_latency": latency, "input_config": given_load}
    read(json.dumps(run))
