"""Triton's text, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from autoscaler.observe.pages import WANTED, PageError, PageReader
from tests.unit.observe.triton_pages import page


def read(text: str) -> dict[tuple[str, str], float]:
    return {(name.metric, name.model): value for name, value in PageReader().read(text).items()}


def test_the_wanted_lines_are_read() -> None:
    values = read(page(success=1234, queue_us=5.6e7, pending=3))
    assert values["nv_inference_request_success", "bert"] == 1234
    assert values["nv_inference_queue_duration_us", "bert"] == 5.6e7
    assert values["nv_inference_pending_request_count", "bert"] == 3
    assert values["nv_gpu_utilization", ""] == 0.5


def test_a_page_cut_off_in_mid_number_is_refused() -> None:
    """`…success{…} 12` of 1234 parses; only the missing newline tells."""
    whole = page(success=1234)
    cut = whole[: whole.index("1234") + 2]
    with pytest.raises(PageError, match="cut off"):
        read(cut)


@pytest.mark.parametrize(
    "line",
    [
        "<html>",
        'nv_inference_request_success{model="a",version="1"} twelve',
        'nv_inference_request_success{model="a" 5',
        "nv_inference_request_success{model=a} 5",
        "nv_inference_request_success",
        "nv_inference_request_success{} 1 2 3",
        "...",
    ],
)
def test_a_line_that_does_not_parse_is_named(line: str) -> None:
    with pytest.raises(PageError, match="line 2 of the page does not parse: "):
        read(f"# a comment\n{line}\nnv_cpu_utilization 0.1\n")


def test_an_empty_page_and_somebody_elses() -> None:
    with pytest.raises(PageError, match="empty"):
        read("")
    with pytest.raises(PageError, match="none of Triton's metrics"):
        read("go_goroutines 7\n")


def test_odd_label_values_are_told_apart() -> None:
    text = (
        'nv_inference_request_success{model="a}b",version="1"} 1\n'
        'nv_inference_request_success{model="say \\"x\\"\\\\",version="1"} 2\n'
    )
    assert read(text) == {
        ("nv_inference_request_success", "a}b"): 1,
        ("nv_inference_request_success", 'say "x"\\'): 2,
    }


@pytest.mark.parametrize(
    "name", ["triton_datadog_fixture_t4_summaries.txt", "triton_trtllm_backend_readme.txt"]
)
def test_it_reads_what_the_general_parser_reads(reference_data: Path, name: str) -> None:
    text = (reference_data / "scrapes" / name).read_text()
    text += "" if text.endswith("\n") else "\n"
    expected = {
        (name, sample.labels.get("model", ""), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if (name := sample.name.removesuffix("_total")) in WANTED  # it adds that to counters
    }
    got = {(name.metric, name.model, value) for name, value in PageReader().read(text).items()}
    assert got == expected


def test_an_elided_page_names_its_line(reference_data: Path) -> None:
    text = (reference_data / "scrapes" / "triton_vllm_backend_readme_ELIDED.txt").read_text()
    with pytest.raises(PageError, match=r"line \d+ of the page does not parse: \.\.\."):
        PageReader().read(text)
