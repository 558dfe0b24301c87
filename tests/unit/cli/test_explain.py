"""`explain`: from the journal or a pipe, in sentences; and again with --replay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli import cli
from autoscaler.decide import decide
from autoscaler.model import Metric, Missing, Sample, State
from autoscaler.run.hold import hold
from autoscaler.wire import JournalLine, to_json
from tests.unit.decide.fleets import POLICY, Story, blind


def line(now: float, rate: float, name: str = "flower", hold_why: str = "") -> bytes:
    policy = replace(POLICY, name=name)
    seen = replace(Story(current=2, now=now).observation(rate, rate), policy=policy.key)
    decision, _ = decide(policy, seen, State(), now)
    if hold_why:
        decision = hold(policy, seen, now, hold_why)
    return to_json(JournalLine(policy=policy, observation=seen, state=State(), decision=decision))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal"
    lines = [line(1000, 100), line(1005, 155), line(1010, 90, "iris"), line(1015, 30)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def explain(*args: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli, ["explain", *map(str, args)], input=stdin)


def test_the_last_decision_in_sentences(journal: Path) -> None:
    shown = explain(journal)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(
        "default/flower at 1970-01-01T00:16:55Z, mode observe, for Deployment default/flower\n"
    )
    for part in ("Each objective", "demand wants", "Each stage", "combine: ", "Figures", "Signals"):
        assert part in shown.stdout
    assert "pod flower-0 (ready; resnet50): samples 0s old" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 100


def test_the_decision_in_force_at_a_time_of_one_policy(journal: Path) -> None:
    shown = explain(journal, "--policy", "default/flower", "--at", "1970-01-01T00:16:52Z")
    assert "Scale up 2 → 4" in shown.stdout
    assert "iris" not in shown.stdout
    assert explain(journal, "-p", "default/iris").stdout.startswith("default/iris at")


def test_a_standbys_decision_is_marked(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.write_bytes(line(1000, 155).replace(b'"standby":false', b'"standby":true') + b"\n")
    assert "By a standby: another daemon led" in explain(journal).stdout
    journal.write_bytes(line(1000, 155) + b"\n")
    assert "standby" not in explain(journal).stdout


def test_the_last_few(journal: Path) -> None:
    assert explain(journal, "--last", 3).stdout.count("Each stage") == 3


def test_a_bare_decision_from_a_pipe() -> None:
    decision, _ = decide(POLICY, Story(current=2).observation(155, 155), State(), 1_000_000.0)
    shown = explain(stdin=to_json(decision) + b"\n")
    assert "Scale up 2 → 4" in shown.stdout
    assert explain("--replay", stdin=to_json(decision)).exit_code == 2


def test_what_is_missing_is_said_with_its_reason() -> None:
    ask = Metric("metric-1", "sum(x)", average_value=1.0)
    policy = replace(POLICY, objectives=(ask,))
    seen = replace(
        blind(Story(current=2), "the server was restarted"),
        metrics={"metric-1": Missing("the query gave 3 series")},
    )
    decision, _ = decide(policy, seen, State(), seen.at)
    kept = JournalLine(policy=policy, observation=seen, state=State(), decision=decision)
    shown = explain(stdin=to_json(kept))
    assert "metric-1: missing: the query gave 3 series" in shown.stdout
    assert "metric-1 has no say" in shown.stdout


def test_nothing_found_is_an_error_that_names_the_place(journal: Path) -> None:
    shown = explain(journal, "--policy", "default/rose")
    assert shown.exit_code == 3
    assert "no decision of policy default/rose in" in shown.stderr
    assert explain(journal, "--at", "10").exit_code == 3
    assert explain("/nowhere/journal").exit_code == 3


def test_half_a_line_at_the_end_is_left_out_loudly(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes() + b'{"policy":{"name"')
    shown = explain(journal)
    assert shown.exit_code == 0
    assert "line 5 is left out" in shown.stderr


def test_a_replay_is_identical(journal: Path) -> None:
    shown = explain(journal, "--last", 4, "--replay")
    assert shown.exit_code == 0
    assert shown.stdout.count(": identical") == 4


def test_a_replay_that_differs_says_where() -> None:
    text = line(1000, 155).replace(b'"desired":4', b'"desired":3')
    shown = explain("--replay", stdin=text)
    assert shown.exit_code == 1
    assert "  desired: 3 then, 4 now" in shown.stdout


def test_a_hold_of_the_daemon_is_told_and_not_replayed() -> None:
    text = line(1000, 155, hold_why="state file s cannot be read")
    assert "held at 2: state file s cannot be read" in explain(stdin=text).stdout
    shown = explain("--replay", stdin=text)
    assert (shown.exit_code, "nothing to replay" in shown.stdout) == (0, True)


def test_ages_of_a_policys_own_queries() -> None:
    ask = Metric("metric-1", "sum(x)", average_value=40.0)
    policy = replace(POLICY, objectives=(ask,))
    seen = Story(current=2, now=1000.0).observation(50, 50)
    seen = replace(seen, metrics={"metric-1": Sample(120.0, 990.0)})
    decision, _ = decide(policy, seen, State(), 1000.0)
    kept = JournalLine(policy=policy, observation=seen, state=State(), decision=decision)
    assert "metric-1: 120, 10s old" in explain(stdin=to_json(kept)).stdout
