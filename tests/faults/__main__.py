"""Every fault at every moment, in three worlds: 2 minutes on 2 cores. Writes docs/faults.md."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.faults.catalogue import FAULTS
from tests.faults.judge import Verdict
from tests.faults.runs import MOMENTS, run
from tests.faults.table import PAGE, Row, page, text

SEEDS = range(3)


def one(number: int, seed: int) -> Verdict:
    return run(FAULTS[number], MOMENTS, seed)


def main() -> int:
    rows = [Row(fault) for fault in FAULTS]
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        futures = [
            [workers.submit(one, number, seed) for seed in SEEDS] for number in range(len(rows))
        ]
        for number, row in enumerate(rows):
            print(f"{number + 1}/{len(rows)} {row.fault.name}", file=sys.stderr)
            row.verdicts += [future.result() for future in futures[number]]
    for line in text(rows):
        print(line)
    if any(row.bad for row in rows):
        print(f"{PAGE} is left as it was: not every fault came out well", file=sys.stderr)
        return 1
    PAGE.write_text(page(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
