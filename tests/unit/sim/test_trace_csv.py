"""Each bad file: its line, the reason, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.sim.trace_csv import TraceError, parse_trace, read_trace
from tests.conftest import RECORDINGS


def test_counts():
    trace = parse_trace("timestamp_s,requests\n0,5\n15,7\n30,0\n", "web.csv")
    assert (trace.start, trace.bin, trace.counts, trace.name) == (0, 15, (5, 7, 0), "web")


def test_rates_become_counts():
    trace = parse_trace("timestamp,requests_per_second\n1795248926,2\n1795248941,4\n")
    assert (trace.start, trace.counts) == (1795248926, (30, 60))


def test_iso_times_other_columns_blank_lines_and_a_byte_order_mark(tmp_path: Path):
    path = tmp_path / "shop.csv"
    text = "\ufeff\nTime,user,Requests\n2026-11-21T08:00:00Z,a,1\n\n2026-11-21T09:00:15+01:00,b,2\n"
    path.write_text(text, encoding="utf-8")
    trace = read_trace(path)
    assert (trace.start, trace.bin, trace.counts) == (1795248000, 15, (1, 2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "t.csv: is empty"),
        ("\n \n", "t.csv: is empty"),
        ("timestamp_s,requests\n", "has a header and no rows"),
        ("timestamp_s,requests\n0,5\n", "has one row"),
        ("timestamp_s,requests\n0,0\n1,0\n", "has no requests in it"),
        ("a,b\n1,2\n", "t.csv:1: has no time among its columns (a, b)"),
        ("timestamp_s,b\n1,2\n", "neither requests nor requests_per_second among its columns"),
        ("timestamp_s,requests\n0,1\n1\n2,1\n", "t.csv:3: has 1 fields where the header has 2"),
        ("timestamp_s,requests\nsoon,1\n", "t.csv:2: 'soon' is no time. Write seconds"),
        ("timestamp_s,requests\nnan,1\n", "t.csv:2: 'nan' is no time"),
        ("timestamp_s,requests\n1795248926000,1\n", "t.csv:2: 1795248926000 are not seconds"),
        ("timestamp_s,requests\n0,-1\n1,1\n", "t.csv:2: '-1' is no number of requests"),
        ("timestamp_s,requests\n0,\n1,1\n", "t.csv:2: '' is no number of requests"),
        ("timestamp_s,requests\n0,inf\n1,1\n", "t.csv:2: 'inf' is no number of requests"),
        ("timestamp_s,requests\n0,1\n2,1\n1,1\n3,1\n", "t.csv:4: time 1 is not after the row"),
        ("timestamp_s,requests\n0,1\n1,1\n1,1\n2,1\n", "t.csv:4: time 1 is not after the row"),
        (
            "timestamp_s,requests\n0,1\n15,1\n30,1\n75,1\n90,1\n",
            "t.csv:5: 45 s without a row where the step is 15 s (2 missing)",
        ),
        ("timestamp_s,requests\n0,1\n15,1\n30,1\n31,1\n", "a step of 1 s where the others are 15"),
        (
            "timestamp_s,requests,requests_per_second\n0,60,60\n60,60,60\n",
            "counts and rates that disagree: 120 requests in all, and the rates make 7,200",
        ),
        (
            "Concurrency,Inferences/Second,Client Send\n1,2,3\n",
            "t.csv:1: is no trace but a load sweep of perf_analyzer, which `profile` reads",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_line_the_reason_and_what_to_do(text, words):
    with pytest.raises(TraceError) as found:
        parse_trace(text, "t.csv")
    assert words in str(found.value)
    assert found.value.remedy[0].isupper()
    assert found.value.remedy[-1] == "."


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(TraceError, match="cannot be read: No such file"):
        read_trace(tmp_path / "none.csv")
    binary = tmp_path / "x.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="is no text in UTF-8"):
        read_trace(binary)


def test_a_load_sweep_is_no_trace():
    with pytest.raises(TraceError, match="load sweep of perf_analyzer"):
        read_trace(RECORDINGS / "h200-bert-large-1gpu/perf.csv")


def test_real_traces(reference_data: Path):
    found = {path.stem: read_trace(path) for path in (reference_data / "traces").glob("*.csv")}
    azure, nasa = found["azure_llm_2023_conv"], found["nasa_http_1995_60s"]
    assert azure.mean == pytest.approx(5.53, abs=0.01)
    assert (nasa.bin, nasa.total) == (60, 3_461_596)
    assert found["servegen_m-large_600s"].duration == 14 * 86400
