"""The shipped policies: examples are right, one-fault files show exactly their fault."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from autoscaler.cli.validate import command
from autoscaler.policy import load, schema
from autoscaler.policy.reference import EXPECT
from autoscaler.policy.registry import CHECKS
from tests.conftest import ROOT

EXAMPLES = sorted((ROOT / "policies/examples").glob("*.yaml"))
INVALID = sorted((ROOT / "policies/invalid").glob("*.yaml"))
DOUBTFUL = sorted((ROOT / "policies/doubtful").glob("*.yaml"))
# Examples whose warning is what they tell about.
WARNED = {"duty-cycle-85": ["duty-cycle-unreachable"]}


def expectation(path: Path) -> tuple[str, int]:
    first = path.read_bytes().split(b"\n")[0].decode("utf-8-sig")
    match = EXPECT.fullmatch(first)
    assert match, f"{path} does not say what to expect"
    return match[1], int(match[2])


def by_name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", INVALID, ids=by_name)
def test_an_invalid_file_ends_with_1_and_exactly_its_fault_at_its_line(path: Path) -> None:
    check, line = expectation(path)
    result = CliRunner().invoke(command, [str(path)])
    assert result.exit_code == 1
    assert [(p.check, p.line, p.severity) for p in load([path]).problems] == [
        (check, line, "error")
    ]
    assert re.search(rf"^{re.escape(str(path))}:{line}:\d+: error\[{check}\]: ", result.stdout)


@pytest.mark.parametrize("path", DOUBTFUL, ids=by_name)
def test_a_doubtful_file_warns_once_and_fails_only_when_strict(path: Path) -> None:
    check, line = expectation(path)
    assert CliRunner().invoke(command, [str(path)]).exit_code == 0
    assert CliRunner().invoke(command, ["--strict", str(path)]).exit_code == 1
    assert [(p.check, p.line, p.severity) for p in load([path]).problems] == [
        (check, line, "warning")
    ]


def test_all_invalid_files_at_once_show_the_same_faults() -> None:
    found = load([ROOT / "policies/invalid"])
    expected = {(str(path), *expectation(path)) for path in INVALID}
    assert {(p.file, p.check, p.line) for p in found.problems} == expected
    assert not found.policies


def test_there_are_enough_invalid_files() -> None:
    assert len(INVALID) >= 45


def test_every_check_has_a_file_that_shows_it() -> None:
    shown = {expectation(path)[0] for path in (*INVALID, *DOUBTFUL)}
    wanted = {check.id for check in CHECKS.values() if check.scope == "file"}
    assert shown == wanted


@pytest.mark.parametrize("path", EXAMPLES, ids=by_name)
def test_an_example_is_right_and_warns_only_where_that_is_its_point(path: Path) -> None:
    found = load([path])
    assert [p.check for p in found.problems] == WARNED.get(path.stem, [])
    assert len(found.policies) + len(found.budgets) == found.documents


@pytest.mark.parametrize("path", EXAMPLES, ids=by_name)
def test_an_example_explains_itself_and_names_its_schema(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=../schema/")
    for heading in ("# What it does:", "# When to use it:", "# Change:", "# Trap:"):
        assert heading in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_all_examples_stand_in_one_folder_without_getting_in_each_others_way() -> None:
    result = CliRunner().invoke(command, [str(ROOT / "policies/examples")])
    assert result.exit_code == 0
    documents = load(EXAMPLES).documents
    assert f"in {len(EXAMPLES)} files, {documents} documents" in result.stdout


def test_the_schema_accepts_every_example() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    for path in EXAMPLES:
        for document in yaml.safe_load_all(path.read_text()):
            validator = jsonschema.Draft202012Validator(schema(document["kind"]))
            assert list(validator.iter_errors(document)) == []
