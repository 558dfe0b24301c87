"""Real daemons on a world that breaks: nothing unsafe, nothing stuck, nothing forgotten.

Each fault at half of the moments; `python -m tests.faults` strikes it at all, in three worlds.
"""

from __future__ import annotations

import pytest

from tests.faults.catalogue import FAULTS
from tests.faults.runs import MOMENTS, run
from tests.faults.table import PAGE, Row, missing_witnesses


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[fault.name for fault in FAULTS])
def test_a_fault_costs_time_and_never_safety(number: int, rows: list[Row]) -> None:
    moments = MOMENTS[number % 2 :: 2]  # two on the way up, two on the way down
    verdict = run(FAULTS[number], moments, seed=0)
    rows.append(Row(FAULTS[number], [verdict]))
    assert verdict.bad == []
    assert verdict.moments == list(moments)  # each came, and none was waited for in vain
    assert len(verdict.changes) > 2 * len(moments)  # it grew and shrank in each wave


def test_the_same_run_twice_is_the_same_run() -> None:
    fault = next(fault for fault in FAULTS if fault.name == "leader cut off")
    first, again = (run(fault, MOMENTS[:2], seed=7) for _ in range(2))
    assert first == again


def test_the_tests_that_the_table_names_are_there() -> None:
    assert missing_witnesses(FAULTS) == []


def test_every_fault_is_in_the_page() -> None:
    lines = PAGE.read_text().splitlines()
    named = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert named[1:] == [fault.name for fault in FAULTS]
