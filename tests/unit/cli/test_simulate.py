"""`simulate` as typed: what goes where, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli.simulate import NAMES, command
from autoscaler.sim.workloads import WORKLOADS
from tests.conftest import RECORDINGS

PERF = str(RECORDINGS / "h200-bert-large-1gpu" / "perf.csv")
POLICY = """\
apiVersion: triton-autoscaler/v1alpha1
kind: ScalingPolicy
metadata: {name: web}
spec:
  target: {namespace: default, name: web}
  replicas: {min: 1, max: 4}
  sla: {queueTime: 50ms}
"""
SIZED = POLICY + "  capacity: {requestsPerSecond: 340}\n  cost: {gpuHour: 2, currency: EUR}\n"
SHORT = ("--days", "0.05")  # 72 minutes


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "web.yaml"
    path.write_text(SIZED)
    return str(path)


def trace(tmp_path: Path, rate: float, minutes: int = 60) -> str:
    path = tmp_path / "shop.csv"
    rows = "".join(f"{60 * at},{60 * rate}\n" for at in range(minutes))
    path.write_text(f"timestamp_s,requests\n{rows}")
    return str(path)


def test_the_workloads_are_those_there_are():
    assert tuple(WORKLOADS) == NAMES


def test_a_table_on_stdout_and_talk_on_stderr(policy):
    result = simulate("-f", policy, "--workload", "steps", *SHORT)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("steps: 1h12m, ")
    assert "of 340 requests/s on average" in lines[0]
    assert "cold start 1m; seed 1" in lines[0]
    assert lines[1].split()[:2] == ["MISSED", "MIN"]
    name, missed, minutes = lines[2].split()[:3]
    assert (name, minutes) == ("web", "72")
    assert int(missed) < 72
    assert "EUR" in lines[2]
    assert lines[3].startswith("always ")
    assert "the simulated server has the times of a recorded BERT-large" in result.stderr


def test_json_has_the_same_figures(policy, tmp_path):
    table = simulate("-f", policy, "--trace", trace(tmp_path, 300), "--seed", "3").stdout
    result = simulate("-f", policy, "--trace", trace(tmp_path, 300), "--seed", "3", "-o", "json")
    found = json.loads(result.stdout)
    assert found["policy"] == "default/web"
    assert found["trace"]["name"] == "shop"
    assert found["scenario"]["late"] == 0.05
    assert found["scenario"]["requestsPerSecond"] == pytest.approx(340)
    run = found["outcome"]
    assert run["minutes"] == 60
    assert run["cost"] == pytest.approx(2 * run["gpuHours"])
    assert run["requests"] == pytest.approx(300 * 3600, rel=0.05)
    cells = table.splitlines()[2].split()
    assert [int(cells[1]), int(cells[2])] == [run["missMinutes"], 60]
    assert len(found["missed"]) <= run["missMinutes"]


def test_a_traces_load_is_as_it_is_unless_scaled(policy, tmp_path):
    path = trace(tmp_path, 300)
    asked = ("-f", policy, "--trace", path, "-o", "json")
    assert json.loads(simulate(*asked).stdout)["trace"]["mean"] == pytest.approx(300)
    scaled = json.loads(simulate(*asked, "--mean", "2").stdout)
    assert scaled["trace"]["mean"] == pytest.approx(680)
    short = json.loads(simulate(*asked, "--days", "0.02").stdout)
    assert short["trace"]["seconds"] == 29 * 60  # the bins that begin in 28.8 minutes


def test_a_server_of_a_profile(tmp_path):
    path = tmp_path / "web.yaml"
    path.write_text(POLICY)
    result = simulate("-f", str(path), "--profile", PERF, *SHORT, "-o", "json")
    found = json.loads(result.stdout)
    assert found["scenario"]["requestsPerSecond"] == pytest.approx(0.985 * 1692, rel=0.01)
    assert found["notes"] == []


def test_what_makes_the_answer_worth_less_is_said(policy, tmp_path):
    bare = tmp_path / "bare.yaml"
    bare.write_text(POLICY)
    said = simulate("-f", str(bare), *SHORT).stderr
    assert "the policy gives no capacity" in said
    said = simulate("-f", policy, "--trace", trace(tmp_path, 3000)).stderr
    assert "the peak is 8.8 replicas' worth and the policy's maximum is 4" in said
    said = simulate("-f", policy, "--trace", trace(tmp_path, 2)).stderr
    assert "the load is 0.006 replicas' worth on average" in said
    asks = SIZED + "  objectives:\n    - metric: {query: sum(x), averageValue: '1'}\n"
    bare.write_text(asks)
    said = simulate("-f", str(bare), *SHORT).stderr
    assert "the queries of metric-1 cannot be asked of a simulation" in said


def test_the_report_opens_from_disk(policy, tmp_path):
    path = tmp_path / "out" / "run.html"
    result = simulate("-f", policy, "--workload", "flash", *SHORT, "--html", str(path))
    assert result.exit_code == 0
    assert f"Report: {path.as_uri()}" in result.stderr
    text = path.read_text(encoding="utf-8")
    assert "default/web on flash" in text
    for panel in ("Load and capacity", "Replicas", "Queue time", "Late, refused or lost"):
        assert f"<h2>{panel}" in text
    assert "EUR in 30 days" in text


def test_the_frontier(policy, tmp_path):
    path = tmp_path / "frontier.html"
    result = simulate(
        "-f", policy, "--days", "0.02", "--frontier", "--jobs", "2", "--html", str(path)
    )
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert sum("headroom" in line for line in lines) == 14
    assert sum("(the policy)" in line for line in lines) == 1
    assert any(line.startswith("* headroom") for line in lines)
    assert "Cost and misses" in path.read_text(encoding="utf-8")
    one = simulate("-f", policy, "--days", "0.02", "--frontier", "--jobs", "1", "-o", "json")
    points = json.loads(one.stdout)["frontier"]
    assert len(points) == 14
    assert sum(point["policy"] for point in points) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--trace", "x.csv", "--workload", "flash"], "give one of --trace and --workload"),
        (["--workload", "sine"], "'sine' is not one of"),
        (["--days", "0"], "Invalid value for '--days'"),
        (["--policy", "other"], "which policy? Give --policy, one of default/web"),
        (["--interval", "500ms"], "whole seconds in a simulation"),
        (["--scrape-interval", "1.5s"], "whole seconds in a simulation"),
    ],
)
def test_wrong_usage(policy, arguments, words):
    result = simulate("-f", policy, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        ("", "is empty. A trace is a CSV with the columns"),
        ("timestamp_s,requests\n0,1\n60,1\n60,1\n", ":4: time 60 is not after the row before"),
    ],
)
def test_a_trace_that_is_none(policy, tmp_path, content, words):
    path = tmp_path / "trace.csv"
    if content is not None:
        path.write_text(content)
    result = simulate("-f", policy, "--trace", str(path))
    assert result.exit_code == 3
    assert words in result.stderr


def test_a_profile_that_is_none(policy, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("a,b\n1,2\n")
    result = simulate("-f", policy, "--profile", str(path))
    assert result.exit_code == 3
    assert str(path) in result.stderr
    assert simulate("-f", policy, "--profile", str(tmp_path / "none.csv")).exit_code == 3


def test_policies_that_cannot_be_simulated(tmp_path):
    path = tmp_path / "web.yaml"
    path.write_text(POLICY + "  capacity: {models: {a: 10, b: 20}}\n")
    result = simulate("-f", str(path), *SHORT)
    assert result.exit_code == 2
    assert "default/web has several models in a pod, and one model is simulated" in result.stderr
    path.write_text(POLICY + "  colour: red\n")
    result = simulate("-f", str(path))
    assert result.exit_code == 1
    assert "colour" in result.stderr


def test_where_nothing_can_be_written(policy, tmp_path):
    (tmp_path / "file").write_text("")
    result = simulate("-f", policy, *SHORT, "--html", str(tmp_path / "file" / "x.html"))
    assert result.exit_code == 3
    assert "cannot be written" in result.stderr
