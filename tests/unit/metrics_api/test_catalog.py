"""Names of metrics: a prometheus-adapter user keeps theirs."""

from __future__ import annotations

import pytest

from autoscaler.serve.metrics_api.catalog import KEYS, Catalog, CatalogError, parse_names


def test_without_arguments_each_metric_has_its_own_name() -> None:
    assert [one.name for one in Catalog().served()] == sorted(KEYS)


def test_a_renamed_metric_is_found_by_its_new_name_only() -> None:
    catalog = parse_names(["avg_time_queue_us=triton:queue_us", "metric-2=tokens_per_s"])
    found = catalog.find("triton:queue_us")
    assert found is not None
    assert found.key == "avg_time_queue_us"
    assert catalog.find("avg_time_queue_us") is None
    own = catalog.find("tokens_per_s")
    assert own is not None
    assert own.key == "metric-2"
    assert catalog.find("metric-2") is None
    assert catalog.find("metric-1") is not None
    assert "tokens_per_s" in [one.name for one in catalog.served(["metric-2"])]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["queue"], "write METRIC=NAME"),
        (["avg_time_queue_us="], "write METRIC=NAME"),
        (["avg_time_queue_us=a/b"], "write METRIC=NAME"),
        (["avg_queue=x"], "no metric 'avg_queue': there are avg_time_queue_us"),
        (["metric-0=x"], "no metric 'metric-0'"),
        (["gpu_duty_cycle=x", "request_rate=x"], "two metrics would be called 'x'"),
        (["gpu_duty_cycle=request_rate"], "two metrics would be called 'request_rate'"),
    ],
)
def test_a_bad_name_says_what_to_write(arguments: list[str], words: str) -> None:
    with pytest.raises(CatalogError) as caught:
        parse_names(arguments)
    assert words in str(caught.value)


def test_two_names_can_be_swapped() -> None:
    catalog = parse_names(["gpu_duty_cycle=request_rate", "request_rate=gpu_duty_cycle"])
    found = catalog.find("request_rate")
    assert found is not None
    assert found.key == "gpu_duty_cycle"
