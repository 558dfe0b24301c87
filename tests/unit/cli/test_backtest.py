"""`backtest` as typed: usage, exit codes, what is data and what is talk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli import main
from autoscaler.cli.backtest import command
from autoscaler.observe.triton import QUEUE
from tests.unit.sim.backtest.past import START, pod, prometheus, recorded

HOUR = 3600
TIMES = (f"--from={START}", f"--to={START + HOUR}")
POLICY = """
apiVersion: triton-autoscaler/v1alpha1
kind: ScalingPolicy
metadata: {name: bert, namespace: default}
spec:
  target: {name: TARGET}
  replicas: {min: 1, max: 8}
  sla: {queueTime: 25ms}
  capacity: {requestsPerSecond: 1000}
  cost: {gpuHour: 2.5}
"""


@pytest.fixture
def url() -> Iterator[str]:
    many = [*pod("bert-0", 700, -330, HOUR), *pod("bert-1", 700, -330, HOUR)]
    with prometheus(recorded(many)) as (address, _):
        yield address


def policy(folder: Path, name: str = "policy.yaml", target: str = "bert") -> str:
    path = folder / name
    path.write_text(POLICY.replace("TARGET", target))
    return str(path)


def backtest(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["--no-cache", *arguments])


def test_a_table_is_data_and_what_to_mind_is_talk(url: str, tmp_path: Path) -> None:
    result = backtest(f"--prometheus={url}", *TIMES, "-f", policy(tmp_path))
    assert result.exit_code == 0, result.output
    head, missed, hours, money, *_ = result.stdout.splitlines()
    assert head.split("  ")[-1].strip() == "BERT, MODEL"
    assert missed.startswith("SLA-miss minutes  0 of 60 (0 certain)")
    assert hours.split()[:2] == ["GPU-hours", "2"]
    assert money.split()[:3] == ["money", "5.00", "USD"]
    assert "Mind: replicas: no kube-state-metrics series" in result.stderr
    assert "queries (0 answers from disk)" in result.stderr


def test_json_and_page(url: str, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    result = backtest(
        f"--prometheus={url}", *TIMES, "-f", policy(tmp_path), "-o", "json", f"--html={page}"
    )
    document = json.loads(result.stdout)
    assert document["ran"]["recorded"]["gpuHours"] == 2
    assert document["from"] == "2023-11-14T00:00:00Z"
    assert page.read_text().startswith("<!doctype html>")


def test_a_step_of_its_own(url: str, tmp_path: Path) -> None:
    result = backtest(
        f"--prometheus={url}", *TIMES, "-f", policy(tmp_path), "--step=1m", "-o", "json"
    )
    document = json.loads(result.stdout)
    assert (document["step"], document["policies"][0]["said"]["ticks"]) == (60, 61)


def test_two_of_one_name_are_told_apart_by_their_files(url: str, tmp_path: Path) -> None:
    files = policy(tmp_path, "now.yaml"), policy(tmp_path, "then.yaml")
    result = backtest(f"--prometheus={url}", *TIMES, "--compare", *files)
    assert result.stdout.splitlines()[0].split("  ")[-2:] == ["NOW, MODEL", "THEN, MODEL"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing option '--prometheus'"),
        (["--prometheus=localhost:9090", "-f", "POLICY"], "is no URL"),
        (["--prometheus=http://p", "-f", "nowhere.yaml"], "no such file or folder: nowhere.yaml"),
        (["--prometheus=http://p", "-f", "POLICY", "--policy=other"], "no policy other in"),
        (
            ["--prometheus=http://p", "-f", "POLICY", "--compare", "POLICY", "POLICY"],
            "leave out -f",
        ),
        (["--prometheus=http://p", "--compare", "POLICY", "OTHER"], "policies of one target"),
        (["--prometheus=http://p", "--compare", "POLICY", "EUROS"], "both prices in one currency"),
        (["--prometheus=http://p", "-f", "POLICY", "--from=100", "--last=1h"], "give one"),
        (["--prometheus=http://p", "-f", "POLICY", "--from=100", "--to=50"], "is not after"),
        (
            ["--prometheus=http://p", "-f", "POLICY", "--prometheus-header=team"],
            "'team': write NAME=VALUE",
        ),
        (["--prometheus=http://p", "-f", "BOTH"], "2 policies in"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    both = tmp_path / "both.yaml"
    text = POLICY.replace("TARGET", "bert")
    both.write_text(text + "---" + text.replace("name: bert", "name: cell"))
    euros = tmp_path / "euros.yaml"
    euros.write_text(text.replace("gpuHour: 2.5", "gpuHour: 2.5, currency: EUR"))
    files = {
        "EUROS": str(euros),
        "POLICY": policy(tmp_path),
        "OTHER": policy(tmp_path, "other.yaml", "other"),
        "BOTH": str(both),
    }
    result = backtest(*(files.get(argument, argument) for argument in arguments))
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_a_faulty_policy_is_shown_as_validate_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(POLICY.replace("max: 8", "max: 0"))
    result = backtest("--prometheus=http://127.0.0.1:9", "-f", str(path))
    assert result.exit_code == 1
    assert "bad.yaml:" in result.stderr


def test_a_prometheus_that_is_away_ends_with_3_and_the_reason(tmp_path: Path) -> None:
    result = backtest("--prometheus=http://127.0.0.1:9", *TIMES, "-f", policy(tmp_path))
    assert result.exit_code == 3
    assert "no connection to http://127.0.0.1:9" in result.stderr
    assert "check --prometheus" in result.stderr


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_half_way_it_goes_on_where_it_was(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C cuts a query that hangs, and says what is kept; SIGKILL tidies nothing up."""
    history = recorded(pod("bert-0", 700, -330, HOUR))
    stuck, release = threading.Event(), threading.Event()

    def answer(query: str, start: int, end: int, step: int) -> tuple[int, bytes]:
        if query.startswith(QUEUE) and not release.is_set():
            stuck.set()
            release.wait(60)
        return history(query, start, end, step)

    with prometheus(answer) as (url, asked):
        command_line = [sys.executable, "-m", "autoscaler.cli", "backtest", f"--prometheus={url}"]
        command_line += ["-f", policy(tmp_path), *TIMES, f"--cache={tmp_path / 'cache'}"]
        # A shell that starts the tests in the background has SIGINT ignored, and so would these.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        first = subprocess.Popen(command_line, stderr=subprocess.PIPE, text=True)
        signal.signal(signal.SIGINT, handler)
        try:
            assert stuck.wait(60)
            first.send_signal(how)
            _, talk = first.communicate(timeout=30)
        finally:
            release.set()
            first.kill()
            first.communicate()
        assert ("What was pulled is kept in" in talk) == (how == signal.SIGINT)
        assert first.returncode == (-9 if how == signal.SIGKILL else 130)
        before, count = set(asked.queries), len(asked.queries)
        again = subprocess.run(
            command_line, capture_output=True, text=True, timeout=120, check=False
        )
    assert again.returncode == 0, again.stderr
    assert "SLA-miss minutes" in again.stdout
    twice = set(asked.queries[count:]) & before
    assert 0 < len(twice) <= 4  # those under way, one for each worker
    assert len(before) - len(twice) >= 7


def test_a_profile_that_is_none_ends_with_3(url: str, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.csv"
    sweep.write_text("a,b\n1,2\n")
    result = backtest(f"--prometheus={url}", *TIMES, "-f", policy(tmp_path), f"--profile={sweep}")
    assert result.exit_code == 3
    assert "sweep.csv" in result.stderr


def test_it_is_a_command_of_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", "--help"]) == 0
    assert "What would a policy have done, beside what really ran?" in capsys.readouterr().out
