"""`profile` as typed: what goes where, and with which exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli.profile import command
from tests.conftest import RECORDINGS, ROOT
from tests.unit.policy.test_profile_tools import GPU, INFERENCE, genai_run

H200 = str(RECORDINGS / "h200-bert-large-1gpu" / "perf.csv")
RATES = str(RECORDINGS / "h200-bert-large-4gpu" / "rates.csv")
BY_LOAD = str(ROOT / "tests/data/profiles/h200-bert-large-by-load.csv")


def profile(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument"),
        ([H200], "within what? Give --sla p99=100ms"),
        ([H200, "--sla", "p99"], "write PERCENTILE=DURATION"),
        ([H200, "--sla", "p99=100"], "a duration needs a unit: write 100s"),
        ([H200, "--sla", "p100=1s"], "'p100' is not a percentile"),
        ([H200, "--sla", "99=1s"], "'99' is not a percentile: write for example p99"),
        ([H200, "--sla", "p0=1s"], "not a percentile"),
        ([H200, "--sla", "p99=0s"], "0s is no time at all"),
        ([H200, "--sla", "p99=1s", "--sla", "p99=2s"], "a percentile is given twice"),
        ([H200, "--sla", "p99=1s", "--headroom", "100%"], "leaves nothing to serve with"),
        ([H200, "--sla", "p99=1s", "--batch", "0"], "Invalid value for '--batch'"),
        ([H200, "--sla", "p99=1s", "--gpu-hour", "0"], "Invalid value for '--gpu-hour'"),
        ([H200, "--sla", "p99=1s", "-o", "yaml"], "--target NAMESPACE/NAME"),
        ([H200, "--sla", "p99=1s", "-o", "yaml", "--target", "flower"], "NAMESPACE/NAME"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], words: str) -> None:
    result = profile(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_which_file_is_what_is_talk_and_the_answer_is_data() -> None:
    result = profile(H200, "--sla=p99=50ms", "--gpu-hour=11.06")
    assert result.exit_code == 0
    assert result.stderr == f"{H200}: perf_analyzer\n"
    head, row, *_ = result.stdout.splitlines()
    assert head.split() == ["SWEEP", "LOOP", "LOADS", "BATCH", "REQ/S", "DUTY", "$/MILLION"]
    assert row.split() == ["perf.csv", "closed", "6", "1", "1,669", "-", "1.84"]
    assert "With 20% kept free a million requests cost 2.3." in result.stdout
    assert profile(H200, "--sla=p99=50ms", "--no-headers").stdout.startswith("perf.csv")


def test_a_file_that_fails_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("Concurrency,Inferences/Second,p99 latency\n1,100\n")
    result = profile(str(bad), H200, str(tmp_path / "none.csv"), "--sla=p99=50ms")
    assert result.exit_code == 1
    assert "1,669 requests/s" in result.stdout
    assert f"{bad}:2:1: error[profile-unreadable]: has 2 of 3 fields in line 2" in result.stderr
    assert "    2 | 1,100\n" in result.stderr
    assert "none.csv:1:1: error[profile-unreadable]: cannot be read: No such file" in result.stderr


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"PK\x03\x04\x80"], ids=["utf-16", "archive"])
def test_what_is_no_text_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    result = profile(str(tmp_path / "a.csv"), "--sla=p99=50ms")
    assert result.exit_code == 1
    assert "is not UTF-8 text" in result.stderr


def test_a_promise_that_no_load_keeps_ends_with_1_at_the_line() -> None:
    result = profile(H200, "--sla=p99=5ms")
    assert result.exit_code == 1
    assert f"{H200}:2:1: error[profile-sla-not-met]: even its lowest load takes" in result.stderr
    assert profile(H200, "--sla=p99=5ms", "-o", "yaml", "--target=a/b").stdout == ""


def test_files_are_configurations_to_compare(tmp_path: Path) -> None:
    for instances, rate in ((1, 100), (2, 190), (3, 170)):
        text = f"Concurrency,Inferences/Second,p50 latency,p99 latency\n1,{rate / 2},9000,9900\n"
        text += f"8,{rate},{8e6 / rate:.0f},{9e6 / rate:.0f}\n"
        (tmp_path / f"flower-{instances}i.csv").write_text(text)
    files = [str(path) for path in sorted(tmp_path.glob("*.csv"))]
    result = profile(*files, "--sla=p99=100ms")
    rows = [line.split()[0] for line in result.stdout.splitlines() if "closed" in line]
    assert rows == ["flower-2i.csv", "flower-3i.csv", "flower-1i.csv"]
    assert "190 requests/s: the highest measured" in result.stdout


def test_closed_and_open_loops_beside_each_other_are_warned_of() -> None:
    assert (
        "closed and open loops are not comparable" in profile(H200, RATES, "--sla=p95=50ms").stdout
    )


def test_a_policy_does_not_choose_the_loop_that_flatters() -> None:
    result = profile(H200, RATES, "--sla=p95=50ms", "-o", "yaml", "--target=default/bert")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give only the rate sweeps" in result.stderr


def test_runs_of_one_load_join_to_a_sweep(tmp_path: Path) -> None:
    for concurrency, rate in ((1, 2.0), (8, 10.0)):
        run = genai_run(concurrency, rate, 1000.0 + 75 * concurrency)
        (tmp_path / f"{concurrency}.json").write_text(run)
    files = [str(path) for path in sorted(tmp_path.glob("*.json"))]
    apart = profile(*files, "--sla=p99=1300ms")
    assert (apart.exit_code, "holds one load only" in apart.stderr) == (1, True)
    joined = profile(*files, "--sla=p99=1300ms", "--join")
    assert joined.exit_code == 0, joined.stderr
    assert re.search(r"^1\.json and 1 more gpt2\s+closed\s+2 ", joined.stdout, re.MULTILINE)


def test_the_table_of_gpus_alone_asks_for_the_other(tmp_path: Path) -> None:
    (tmp_path / "gpu.csv").write_text(GPU)
    (tmp_path / "inference.csv").write_text(INFERENCE)
    alone = profile(str(tmp_path / "gpu.csv"), "--sla=p99=20ms")
    assert alone.exit_code == 1
    assert "give metrics-model-inference.csv with it" in alone.stderr
    both = profile(str(tmp_path / "gpu.csv"), str(tmp_path / "inference.csv"), "--sla=p99=12ms")
    assert both.exit_code == 0
    assert "Most by instances: 1: 150/s, 2: 503/s." in both.stdout


def test_json_has_every_point_with_its_units_and_place() -> None:
    result = profile(BY_LOAD, "--sla=p99=50ms", "--queue-time=20ms", "-o", "json")
    found = json.loads(result.stdout)
    assert found["sla"] == {"latency": {"p99": 0.05}, "queueTime": 0.02}
    (one,) = found["profiles"]
    assert one["requestsPerSecond"] == pytest.approx(1511.1, abs=0.1)
    assert one["dutyCycle"]["averageUtilization"] == 0.71
    assert (one["loop"], one["how"], one["endedBy"]) == ("open", "interpolated", "p99 50ms")
    assert one["points"][0] == {
        "load": 480.0,
        "requestsPerSecond": 480.0,
        "latency": {"p50": 0.015, "p99": pytest.approx(0.021)},
        "meanLatency": None,
        "queueTime": pytest.approx(0.0072),
        "gpuUtilization": 0.37,
        "line": 2,
    }


def test_a_policy_is_for_one_model(tmp_path: Path) -> None:
    file = tmp_path / "two.csv"
    file.write_text(INFERENCE + INFERENCE.replace("flower", "rose"))
    arguments = [str(file), "--sla=p99=20ms", "-o", "yaml", "--target=default/flower"]
    result = profile(*arguments)
    assert (result.exit_code, "give --model, one of flower, rose" in result.stderr) == (2, True)
    result = profile(*arguments, "--model=rose")
    assert result.exit_code == 0
    assert "requestsPerSecond: 700" in result.stdout
    assert "--model=rose" in result.stdout


def test_the_plot_opens_from_disk_and_asks_no_network(tmp_path: Path) -> None:
    plot = tmp_path / "new" / "plot.html"
    result = profile(H200, RATES, BY_LOAD, "--sla=p99=50ms", f"--plot={plot}")
    assert result.exit_code == 0
    page = plot.read_text()
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|src=|url\(|@import", page)
    assert "1,669 requests/s within the SLA" in page
    assert page.count('class="panel"') == 6  # latency, queue, GPU; then a paragraph a sweep
    assert 'title="concurrency 48: 1,631 requests/s, 39.3 ms"' in page


def test_a_plot_that_cannot_be_written_is_a_runtime_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = profile(H200, "--sla=p99=50ms", f"--plot={tmp_path}/file/plot.html")
    assert result.exit_code == 3
    assert "cannot be written" in result.stderr


def test_hostile_names_do_not_reach_the_page_or_the_terminal(tmp_path: Path) -> None:
    text = INFERENCE.replace("flower_config_0", "<script>\x1b[31m")
    (tmp_path / "a.csv").write_text(text)
    plot = tmp_path / "plot.html"
    result = profile(str(tmp_path / "a.csv"), "--sla=p99=20ms", f"--plot={plot}", "-o", "wide")
    assert result.exit_code == 0
    assert "<script>" not in plot.read_text()
    assert "\N{REPLACEMENT CHARACTER}[31m (1 instance, max batch 8)" in result.stdout
