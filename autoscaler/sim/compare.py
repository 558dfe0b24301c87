"""`make compare`: missed minutes at equal GPU-hours, ours beside HPA, KEDA and KPA.

    python -m autoscaler.sim.compare [--quick] [--again ours] [--resume] [--only NAME …]

Costs are multiples of the clairvoyant's, the cheapest run without a missed minute. Who is tuned is
tuned on the first half of each trace, everybody with the same number of evaluations; the second
half is judged. Ours has one setting for all.

Each result is kept in compare.jsonl as it comes: `--resume` goes on from there, `--again ours`
runs only ours anew, beside what the others did in the same simulator.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autoscaler.sim.cases import Case, cases
from autoscaler.sim.compare_page import write_page
from autoscaler.sim.contestants import contestants
from autoscaler.sim.curve import h200
from autoscaler.sim.judging import (
    CLAIRVOYANT,
    FULL,
    QUICK,
    Effort,
    Line,
    bound_case,
    bounds_of,
    judge,
)
from autoscaler.sim.results import Results

QUICK_ON = ("diurnal", "bursty")
Say = Callable[[str], None]


def compare(
    found: Sequence[Case], effort: Effort, processes: int, results: Results, say: Say
) -> None:
    """Adds what is not in `results` yet. `say` is told each part that is done."""
    shortest_first = sorted(found, key=lambda case: case.judged_days / case.scenario.tick)
    # Forked: the server's curve is measured already.
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        unbound = [case for case in shortest_first if not results.has(case, CLAIRVOYANT)]
        for lines in pool.imap_unordered(bound_case, unbound):
            results.add(lines)
            say(f"{lines[0]['trace']}: clairvoyant, static and published settings")
        jobs = [
            (case, who.name, results, effort)
            for case in shortest_first
            for who in contestants()
            if not results.has(case, who.name)
        ]
        for number, lines in enumerate(pool.imap_unordered(_judge, jobs), 1):
            results.add(lines)
            say(f"{number}/{len(jobs)} {lines[0]['trace']}: {_told(lines)}")


def _judge(job: tuple[Case, str, Results, Effort]) -> list[Line]:
    case, name, results, effort = job
    return judge(case, name, bounds_of(results.of(case)), effort)


def _told(lines: Sequence[Line]) -> str:
    parts = [f"{line['missed']:.0f} missed at {line['cost']:.2f}" for line in lines]
    return f"{lines[0]['who']}, " + ", ".join(parts)


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    names = [one.name for one in contestants()]
    parser = argparse.ArgumentParser(prog="python -m autoscaler.sim.compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: under a minute")
    parser.add_argument("--again", action="append", choices=names, help="run only these anew")
    parser.add_argument("--resume", action="store_true", help="run only what is not there yet")
    parser.add_argument("--cold-start", type=int, action="append", choices=(90, 300))
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="of a trace")
    parser.add_argument(
        "--out", type=Path, help="folder of the page: docs, or out/compare if quick"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--page", action="store_true", help="only write the page anew")
    asked = parser.parse_args(arguments)
    asked.out = asked.out or Path("out/compare" if asked.quick else "docs")
    return asked


def main(arguments: Sequence[str]) -> None:
    asked = _asked(arguments)
    if not asked.page:
        _run(asked)
    write_page(asked.out)
    print(asked.out / "compare.md", flush=True)


def _run(asked: argparse.Namespace) -> None:
    began, effort = time.monotonic(), QUICK if asked.quick else FULL
    folder = None if asked.quick else reference_data()
    only = QUICK_ON if asked.quick and not asked.only else tuple(asked.only)

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", file=sys.stderr, flush=True)

    if folder is None and not asked.quick:
        say("no folder REFERENCE_DATA: built-in workloads only")
    h200()
    results = Results(asked.out / "compare.jsonl", effort)
    if asked.resume or asked.again:
        results.load(without=asked.again or ())
    for cold_start in asked.cold_start or (90,):
        found = cases(cold_start, effort.seeds, folder, days=effort.days, only=only)
        say(f"cold start {cold_start} s: {', '.join(case.name for case in found)}")
        compare(found, effort, asked.processes, results, say)
    results.finish(time.monotonic() - began, sum(os.times()[:4]), asked.processes)
    say(f"done: {sum(os.times()[:4]):.0f} s of CPU")


def reference_data() -> Path | None:
    """Third parties' traces, where they are."""
    beside = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("REFERENCE_DATA", beside))
    return folder if folder.is_dir() else None


def _leave(*_: Any) -> None:
    sys.exit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)  # by the door, so that the workers are ended too
    main(sys.argv[1:])
