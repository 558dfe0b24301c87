"""`validate` and `schema` as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli.schema import command as schema_command
from autoscaler.cli.validate import command as validate_command
from autoscaler.wire import to_json
from tests.unit.policy.texts import compiled, policy_text

DOUBTFUL = "nodes: {driver: {capacityBuffer: {}}, spare: 1}"


def validate(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(validate_command, list(arguments), input=stdin)


def test_right_files_end_with_0_and_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(policy_text())
    result = validate(str(tmp_path))
    assert result.exit_code == 0
    assert result.stdout.startswith("no problems in 1 file, 1 document (hash ")


def test_standard_input_is_a_file_like_any_other() -> None:
    assert validate("-", stdin=policy_text()).exit_code == 0
    result = validate("-", stdin=policy_text("mode: x"))
    assert result.exit_code == 1
    assert "<stdin>:8:9: error[bad-choice]" in result.stdout
    assert "byte 0xff" in validate("-", stdin=b"a: \xff\n").stdout


def test_wrong_usage_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(policy_text())
    assert validate().exit_code == 2
    assert validate(str(tmp_path / "nothing")).exit_code == 2
    assert validate("-", str(tmp_path)).exit_code == 2
    for interval in ("15", "0s", "soon", "2h"):
        assert validate(str(tmp_path), "--scrape-interval", interval).exit_code == 2


def test_an_empty_folder_ends_with_1(tmp_path: Path) -> None:
    result = validate(str(tmp_path))
    assert result.exit_code == 1
    assert "error[no-policy]" in result.stdout


def test_json_is_one_object_and_nothing_else() -> None:
    result = validate("-", "-o", "json", stdin=policy_text(DOUBTFUL))
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert (data["errors"], data["warnings"], data["files"], data["documents"]) == (0, 1, 1, 1)


def test_github_annotations_alone_go_to_standard_output() -> None:
    result = validate("-", "-o", "github", stdin=policy_text("mode: x"))
    assert result.stdout.startswith("::error file=")
    assert result.stdout.count("\n") == 1
    assert result.stderr.startswith("1 error in")


def test_strict_fails_on_warnings() -> None:
    assert validate("-", stdin=policy_text(DOUBTFUL)).exit_code == 0
    assert validate("-", "--strict", stdin=policy_text(DOUBTFUL)).exit_code == 1


def test_the_scrape_interval_reaches_the_checks() -> None:
    text = policy_text("objectives: [{metric: {query: 'rate(x[50s])', value: 1}}]")
    assert validate("-", stdin=text).exit_code == 0
    assert validate("-", "--scrape-interval", "30s", stdin=text).exit_code == 1


def test_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys, autoscaler.cli.validate, autoscaler.policy;"
        "print({'kubernetes', 'aiohttp', 'requests', 'prometheus_api_client'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "kind", ["policy", "budget", "observation", "decision", "state", "journal"]
)
def test_each_schema_is_a_json_schema(kind: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    result = CliRunner().invoke(schema_command, [kind])
    assert result.exit_code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(result.stdout))


def test_the_default_schema_is_the_policys_and_unknown_ones_are_usage() -> None:
    shown = json.loads(CliRunner().invoke(schema_command, []).stdout)
    assert shown["title"] == "ScalingPolicy"
    assert CliRunner().invoke(schema_command, ["nothing"]).exit_code == 2


def test_the_state_schema_accepts_what_the_wire_writes() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from autoscaler.model import State

    shown = json.loads(CliRunner().invoke(schema_command, ["state"]).stdout)
    jsonschema.validate(json.loads(to_json(State())), shown)
    assert compiled().name == "flower"
