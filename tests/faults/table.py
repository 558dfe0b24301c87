"""The table of faults and outcomes: what the runs of each came to, as text and as a page."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.judge import COLD_START, Verdict
from tests.faults.runs import Fault

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
HEADS = ("struck", "hours", "writes", "unsafe", "deadlocks", "cooldowns", "writers", "longest")


@dataclass
class Row:
    """One fault, all its runs."""

    fault: Fault
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def bad(self) -> list[str]:
        return [said for verdict in self.verdicts for said in verdict.bad]

    def figures(self) -> tuple[str, ...]:
        """In the order of HEADS."""
        runs = self.verdicts
        return (
            str(sum(len(one.moments) for one in runs)),
            f"{sum(one.simulated for one in runs) / 3600:.1f}",
            str(sum(len(one.changes) for one in runs)),
            str(sum(len(one.unsafe) for one in runs)),
            str(sum(len(one.deadlocks) for one in runs)),
            str(sum(len(one.lost_cooldowns) for one in runs)),
            str(sum(len(one.two_writers) for one in runs)),
            f"{max((one.longest_wait for one in runs), default=0.0):.0f} s",
        )


def text(rows: Sequence[Row]) -> list[str]:
    """For a terminal of 120 columns: the figures of a fault, and under them what became of it."""
    table = [("fault", *HEADS), *((row.fault.name, *row.figures()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]

    def line(name: str, *figures: str) -> str:
        right = (f"{cell:>{wide}}" for cell, wide in zip(figures, widths[1:], strict=True))
        return "  ".join([f"{name:{widths[0]}}", *right])

    lines = [line(*table[0])]
    for row, cells in zip(rows, table[1:], strict=True):
        lines += [line(*cells), *(f"    {said}" for said in row.bad or [row.fault.outcome])]
    return lines


INTRODUCTION = """# Faults and what becomes of them

Made by `python -m tests.faults` (2 minutes on 2 cores); `make test` strikes each fault at half of
the moments in one world, and prints the same table.

{faults} faults, struck {struck} times in {hours:.0f} simulated hours. The daemons are real (loop,
decision, memory in ConfigMaps, Lease election, live executor, node pool driver), the world, its
clock and its API server are not. Load rises and falls between 2 and 4 to 7 replicas' worth; each
fault strikes before, in and after growing and shrinking, in mid write and in the cooldown.

A referee who knows the truth counts

- **unsafe** scale-ins: fewer replicas on signals that cannot be trusted, fewer than the load needs,
  fewer nodes than have GPU pods;
- **deadlocks**: a wish of the true load not served for longer than twice the cold start
  ({patience:.0f} s) after the fault was over. On the way down, besides windows and cooldowns; on
  the way up, from when it can be known: full queues turn requests away that no counter of Triton
  tells;
- lost **cooldowns**: two changes of ours closer together than the policy allows;
- second **writers**: a write while another daemon might write, too.

*longest* is the longest time without enough Ready replicas while no fault was under way. A cold
start here takes {cold_start:.0f} s, and growth comes in steps 20 s apart (its cooldown). Of the
tests of the same, those in tests/contract meet it with real parts: a Kubernetes control plane,
Karpenter, Prometheus.
"""


def page(rows: Sequence[Row]) -> str:
    """docs/faults.md."""
    introduction = INTRODUCTION.format(
        faults=len(rows),
        struck=sum(len(one.moments) for row in rows for one in row.verdicts),
        hours=sum(one.simulated for row in rows for one in row.verdicts) / 3600,
        patience=2 * COLD_START,
        cold_start=COLD_START,
    )
    lines = [
        introduction,
        "| fault | what becomes of it | " + " | ".join(HEADS) + " | tests of the same |",
        "|---|---|" + "---:|" * len(HEADS) + "---|",
    ]
    for row in rows:
        seen = "<br>".join(_link(name) for name in row.fault.witnesses)
        cells = (row.fault.name, row.fault.outcome, *row.figures(), seen)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _link(witness: str) -> str:
    path, _, name = witness.partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../{path})"


def missing_witnesses(faults: Iterable[Fault]) -> list[str]:
    """Those that name no test."""
    return [
        witness
        for fault in faults
        for witness in fault.witnesses
        if witness.partition("::")[2] not in _tests(ROOT / witness.partition("::")[0])
    ]


def _tests(path: Path) -> set[str]:
    if not path.exists():
        return set()
    nodes = ast.walk(ast.parse(path.read_text()))
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
