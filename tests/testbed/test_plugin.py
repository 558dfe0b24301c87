"""A part that cannot be had: skipped aloud on a person's machine, a failure in CI."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

_STORY = """
import pytest
from tests.testbed.parts import PartUnavailable

@pytest.fixture(scope="session")
def part():
    raise PartUnavailable("Flux capacitor", "no plutonium", "ask a scientist", optional={optional})

def test_one(part): ...
def test_two(part): ...
"""


@pytest.fixture
def outer(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.delenv("CI", raising=False)
    return pytester


def _run(outer: pytest.Pytester, *, optional: bool) -> pytest.RunResult:
    outer.makepyfile(_STORY.format(optional=optional))
    result = outer.runpytest_subprocess(
        "-p", "tests.testbed.plugin", "-p", "no:asyncio", "-W", "error"
    )
    result.stdout.fnmatch_lines(
        [
            "*real parts that were not met*",
            "Flux capacitor: 2 tests did not run for it",
            "*why: no plutonium",
            "*remedy: ask a scientist",
        ]
    )
    return result


def test_a_persons_machine_skips(outer: pytest.Pytester) -> None:
    _run(outer, optional=False).assert_outcomes(skipped=2)


def test_ci_fails(outer: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    _run(outer, optional=False).assert_outcomes(errors=2)


def test_ci_may_lack_an_optional_part(
    outer: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    _run(outer, optional=True).assert_outcomes(skipped=2)
