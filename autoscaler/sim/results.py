"""compare.jsonl: the lines of a comparison, kept as they come, and whether they still hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoscaler.sim.cases import Case
from autoscaler.sim.judging import Effort, Line

# What a run's result depends on, beside who decides. A change here makes all results old.
DEPENDS = (
    "baselines/*.py cases.py curve.py draws.py fluid.py history.py judging.py result.py scaler.py "
    "scenario.py search.py server.py serving.py sight.py supply.py trace.py workloads.py"
)


class Results:
    """The first line of the file tells of the run, the others are results."""

    def __init__(self, path: Path, effort: Effort) -> None:
        self.path = path
        self.about: dict[str, Any] = {
            "about": "run",
            "simulator": fingerprint(),
            "effort": as_json(effort),
            "wall_s": 0,
            "cpu_s": 0,
            "processes": 1,
        }
        self.lines: list[Line] = []

    def load(self, without: Collection[str]) -> None:
        """What is there, but for those contestants. Raises SystemExit where it does not hold."""
        if not self.path.exists():
            return
        text = self.path.read_text(encoding="utf-8")
        about, *lines = [json.loads(line) for line in text.splitlines()]
        for name, what in (("simulator", "the simulator"), ("effort", "the effort")):
            if about[name] != self.about[name]:
                raise SystemExit(
                    f"{self.path}: {what} is another one since then: run all of it (make compare)"
                )
        self.about |= {name: about[name] for name in ("wall_s", "cpu_s")}
        self.lines = [line for line in lines if line["who"] not in without]

    def of(self, case: Case) -> list[Line]:
        cold_start = round(case.scenario.starts.total)
        return [
            line
            for line in self.lines
            if line["trace"] == case.name and line["cold_start"] == cold_start
        ]

    def has(self, case: Case, who: str) -> bool:
        return any(line["who"] == who for line in self.of(case))

    def add(self, lines: Sequence[Line]) -> None:
        self.lines += lines
        self._write()

    def finish(self, wall: float, cpu: float, processes: int) -> None:
        """`wall`, `cpu`: seconds, added to those of the runs before that are still in it."""
        self.about["wall_s"] += round(wall)
        self.about["cpu_s"] += round(cpu)
        self.about["processes"] = processes
        self._write()

    def _write(self) -> None:
        order = sorted(
            self.lines,
            key=lambda line: (
                line["cold_start"],
                line["trace"],
                line["who"],
                line["level"] or 0,
                line["seed"],
            ),
        )
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (self.about, *order))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.path)


def as_json(effort: Effort) -> Any:
    """As it is read back."""
    return json.loads(json.dumps(asdict(effort)))


def fingerprint() -> str:
    """Of the files in DEPENDS; 12 hex digits."""
    folder, found = Path(__file__).parent, hashlib.sha256()
    for pattern in DEPENDS.split():
        for path in sorted(folder.glob(pattern)):
            found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]
