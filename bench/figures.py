"""One JSON object a line: name, value, unit, and the size it was measured at."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent


def figure(name: str, value: float, unit: str, size: str = "", **more: object) -> None:
    line = {"name": name, "value": float(f"{value:.4g}"), "unit": unit, "size": size} | more
    print(json.dumps(line), flush=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def seconds_of(command: Sequence[str], runs: int = 5) -> tuple[float, float]:
    """(median wall seconds, median CPU seconds) of a whole process, after one warm-up."""
    walls, cpus = [], []
    for run in range(runs + 1):
        before, began = os.times(), time.perf_counter()
        done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=120, check=False)
        wall, after = time.perf_counter() - began, os.times()
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr!r}")
        if run:
            walls.append(wall)
            cpus.append(
                after.children_user
                + after.children_system
                - before.children_user
                - before.children_system
            )
    return statistics.median(walls), statistics.median(cpus)


def median_seconds(work: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"process {pid} has no VmRSS")


def testbed_lacks(*parts: str) -> str | None:
    """Which of the test bed's parts are not built here, and what to type; None where all are."""
    from tests.testbed.parts import places

    missing = [name for name in parts if not places()[name].is_dir()]
    return f"no {', '.join(missing)} here; type `make testbed`" if missing else None
