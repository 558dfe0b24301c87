"""The table of faults and outcomes, at the end of the test run's output."""

from __future__ import annotations

import pytest

from tests.faults.table import Row, text

ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture
def rows(pytestconfig: pytest.Config) -> list[Row]:
    """Of all faults that were struck in this test run."""
    return pytestconfig.stash.setdefault(ROWS, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("faults and what became of them")
        for line in text(rows):
            terminalreporter.write_line(line)
