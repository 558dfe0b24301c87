"""`decide`: the brain on a pipe, line in, line out."""

from __future__ import annotations

import json
import select
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli import cli
from autoscaler.model import Decision
from autoscaler.wire import from_json, to_json
from tests.unit.cli.fleet import POLICY, Program
from tests.unit.decide.fleets import Story


def seen(now: float, *rates: float, policy: str = "default/flower") -> bytes:
    story = Story(current=len(rates), now=now)
    return to_json(replace(story.observation(*rates), policy=policy)) + b"\n"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "flower.yaml"
    path.write_text(POLICY)
    return path


def decide(policy: Path, stdin: bytes, *args: object) -> Result:
    return CliRunner().invoke(cli, ["decide", "-f", str(policy), *map(str, args)], input=stdin)


def desired(shown: Result) -> list[int | None]:
    return [from_json(Decision, line).desired for line in shown.stdout.splitlines()]


def test_each_line_in_is_a_line_out_before_the_next_is_read(tmp_path: Path, policy: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    with Program(tmp_path, "decide", "-f", policy, **pipes) as program:
        stdin, stdout = program.process.stdin, program.process.stdout
        assert stdin is not None
        assert stdout is not None
        for now in (1000.0, 1005.0):
            stdin.write(seen(now, 155, 155))
            assert select.select([stdout], [], [], 20)[0], "no line came while stdin was open"
            assert from_json(Decision, stdout.readline()).at == now
        stdin.close()
        assert program.process.wait(20) == 0


def test_state_is_carried_from_line_to_line(policy: Path) -> None:
    """Scale-in waits for the stabilization window: the first line's wish is remembered."""
    lines = [seen(1000, 75, 75, 75, 75), seen(1005, 10, 10, 10, 10), seen(1400, 10, 10, 10, 10)]
    sizes = desired(decide(policy, b"".join(lines)))
    assert sizes[1] == 4
    assert sizes[2] is not None
    assert sizes[2] < 4


def test_a_bad_line_ends_it_after_what_was_decided(policy: Path) -> None:
    bad = seen(1005, 155).replace(b'"desired":1', b'"desired":"one"')
    shown = decide(policy, seen(1000, 155) + bad + seen(1010, 155))
    assert shown.exit_code == 1
    assert len(desired(shown)) == 1
    assert "Error: line 2: not a valid Observation: replicas.Replicas.desired" in shown.stderr


def test_keep_going_skips_bad_lines_and_still_ends_with_1(policy: Path) -> None:
    lines = seen(1000, 155) + b"{\n" + b"\n" + seen(1010, 155)
    shown = decide(policy, lines, "--keep-going")
    assert (shown.exit_code, len(desired(shown))) == (1, 2)
    assert "line 2" in shown.stderr
    assert "line 3" not in shown.stderr  # an empty line is nothing


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (seen(999, 155), "at: 999.0 is before this policy's last line, 1000.0"),
        (seen(1005, 155, policy="default/rose"), "there is none named 'default/rose'"),
        (seen(1005, 155).replace(b'"at"', b'"att"'), "att: "),
        (b"\xff\n", "line 2"),
        (b"[]\n", "line 2"),
    ],
)
def test_what_is_wrong_is_named(policy: Path, second: bytes, says: str) -> None:
    shown = decide(policy, seen(1000, 155) + second)
    assert (shown.exit_code, says in shown.stderr) == (1, True), shown.stderr


def test_states_go_out_and_come_in(policy: Path, tmp_path: Path) -> None:
    states = tmp_path / "states.json"
    low = [seen(now, 10, 10, 10, 10) for now in (1000, 1301)]
    assert desired(decide(policy, low[0], "--state-out", states)) == [4]
    assert set(json.loads(states.read_text())["policies"]) == {"default/flower"}
    assert desired(decide(policy, low[1])) == [4]  # the window only begins
    assert desired(decide(policy, low[1], "--state", states)) != [4]


def test_a_broken_state_file_is_a_runtime_error(policy: Path, tmp_path: Path) -> None:
    states = tmp_path / "states.json"
    states.write_text("{")
    assert decide(policy, b"", "--state", states).exit_code == 3
    nowhere = tmp_path / "no" / "states.json"
    assert decide(policy, seen(1000, 155), "--state-out", nowhere).exit_code == 3


def test_nothing_in_is_nothing_out(policy: Path) -> None:
    shown = decide(policy, b"")
    assert (shown.exit_code, shown.stdout) == (0, "")
