"""The command tree: help without heavy imports, exit codes, one line for the unexpected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from autoscaler import __version__
from autoscaler.cli import COMMANDS, cli, main


def test_help_lists_every_command_and_imports_none_of_the_heavy() -> None:
    code = (
        "import sys; from autoscaler.cli import main; main(['--help']); "
        "heavy = {'pydantic', 'aiohttp', 'kubernetes', 'yaml', 'structlog', 'asyncio'}; "
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_imports_lightly(name: str) -> None:
    code = (
        f"import sys; from autoscaler.cli import main; main(['{name}', '-h']); "
        "heavy = {'pydantic', 'aiohttp', 'kubernetes', 'structlog', 'requests', 'asyncio'}; "
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    assert f"Usage: triton-autoscaler {name}" in done.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"triton-autoscaler, version {__version__}\n"


@pytest.mark.parametrize("args", [["nonsense"], ["plan", "--nonsense"], ["run", "--interval", "5"]])
def test_usage_errors_are_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    assert "Error: " in capsys.readouterr().err


def test_no_command_shows_the_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.option("-v", "--verbose", is_flag=True)
    def command(verbose: bool) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(type(cli), "get_command", lambda *_: command)


@pytest.mark.usefixtures("broken")
def test_the_unexpected_is_one_line_and_a_code_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan"]) == 70
    assert capsys.readouterr().err == (
        "triton-autoscaler: internal error: ZeroDivisionError: division by zero "
        "(run with --verbose for the trace)\n"
    )


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("args", [["-v", "plan"], ["plan", "--verbose"]])
def test_verbose_shows_the_trace(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -c 'from autoscaler.cli import main; import sys; sys.exit(main())' "
        'schema policy | head -c 10; echo " ${PIPESTATUS[0]}"',
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.split()[-1] == "0"
