"""`triton-autoscaler doctor`: what it prints and what its exit code means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoscaler.cli import main
from autoscaler.cli.doctor import summary, table
from autoscaler.run.doctor import CHECKS, Finding, exit_code

NOWHERE = "http://127.0.0.1:1"


def finding(status: str, check: str = "series") -> Finding:
    return Finding(check, status, "default/flower", "is so " * 30, "kubectl do-this --with-that")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statuses", "strict", "code"),
    [
        (["ok", "unknown"], False, 0),
        (["ok", "warn"], False, 0),
        (["ok", "warn"], True, 1),
        (["ok", "fail"], False, 1),
        (["unknown"], False, 3),
    ],
)
def test_exit_codes(statuses: list[str], strict: bool, code: int) -> None:
    assert exit_code([finding(status) for status in statuses], strict=strict) == code


def test_right_policies_alone_are_nothing_checked() -> None:
    assert exit_code([finding("ok", "policies"), finding("unknown")]) == 3


def test_lines_fit_into_100_columns_and_commands_stay_whole() -> None:
    lines = list(table([finding("fail"), finding("warn")], color=False))
    assert max(map(len, lines)) <= 100
    assert any("→ kubectl do-this --with-that" in line for line in lines)


def test_hostile_names_are_shown_and_not_run() -> None:
    evil = Finding("series", "ok", "", "\x1b[2J")
    assert "\x1b" not in "".join(table([evil], color=False))


def test_those_that_could_not_look_share_a_line() -> None:
    blind = [Finding(c.id, "unknown", "", "Kubernetes not asked: gone") for c in CHECKS[:3]]
    lines = list(table(blind, color=False))
    assert len(lines) == 1
    assert summary(blind).endswith("3 could not be checked")


def test_nobody_there_is_exit_3_and_json_stays_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["doctor", "--prometheus", NOWHERE, "--no-kubernetes", "-o", "json"]
    assert main([*arguments, "-f", str(tmp_path)]) == 3
    data = json.loads(capsys.readouterr().out)
    assert data["summary"]["fail"] >= 1
    assert {f["check"] for f in data["findings"]} >= {"prometheus-reachable", "two-writers"}


@pytest.mark.parametrize(
    "arguments",
    [["--no-kubernetes"], ["--prometheus", "localhost"], ["--service-account", "default"]],
)
def test_wrong_usage_is_exit_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_URL", raising=False)
    assert main(["doctor", *arguments]) == 2


def test_every_check_has_an_id_of_its_own() -> None:
    ids = [check.id for check in CHECKS]
    assert len(ids) == len(set(ids))
