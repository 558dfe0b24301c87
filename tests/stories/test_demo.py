"""`make demo`: somebody watches a fleet being kept inside its SLA, and reads the report after."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from autoscaler.model import Decision
from autoscaler.wire import JournalLine, from_json

COMMAND = [str(Path(sys.executable).with_name("triton-autoscaler")), "demo"]


@dataclass
class Run:
    exit: int
    summary: str
    screen: str
    report: str
    decisions: list[Decision] = field(default_factory=list)

    @property
    def moves(self) -> list[Decision]:
        return [d for d in self.decisions if d.desired != d.current]

    def series(self, label: str) -> list[tuple[float, float]]:
        """A curve of the report's, as (seconds since the start, value)."""
        found = re.search(r'<script type="application/json" id="data">(.*?)</script>', self.report)
        data = json.loads(found[1])
        return [
            (at - data["origin"], value)
            for panel in data["panels"]
            for series in panel["series"]
            if series["label"].startswith(label)
            for at, value in series["points"]
        ]


def demo(folder: Path, *arguments: str) -> Run:
    out = folder / "demo.html"
    done = subprocess.run(
        [*COMMAND, "--seconds", "0", "--out", str(out), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = out.with_suffix(".jsonl").read_text().splitlines()
    decisions = [from_json(JournalLine, line).decision for line in lines]
    return Run(done.returncode, done.stdout, done.stderr, out.read_text(), decisions)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return demo(tmp_path_factory.mktemp("demo"))


def test_it_ends_well_and_says_what_it_came_to(run):
    assert run.exit == 0
    assert "15:00 of simulated time, done" in run.summary
    assert "demo.html" in run.summary
    assert max(len(line) for line in run.screen.splitlines()) <= 100


def test_users_stay_inside_the_sla_but_for_one_overload(run):
    kept = float(re.search(r"([\d.]+) % answered within 50 ms", run.summary)[1])
    assert kept > 95
    over = [at for at, value in run.series("mean of the requests") if value > 50]
    assert over, "the burst must be felt, or there is nothing to see"
    assert max(over) - min(over) < 60


def test_the_burst_is_answered_within_two_ticks(run):
    """From the first second that the ready replicas cannot carry to a larger wish."""
    loads = dict(run.series("offered by"))
    room = dict(run.series("the ready replicas"))
    start = run.decisions[0].at
    short = min(at for at in loads if loads[at] > room[at])
    answer = min(d.at - start for d in run.moves if d.desired > d.current and d.at - start > 420)
    assert answer <= short + 10


def test_a_crashed_replica_is_replaced_without_a_wish(run):
    ready, wanted = dict(run.series("ready")), dict(run.series("wanted"))
    crash = next(at for at in sorted(ready) if at > 590 and ready[at] < ready[at - 1])
    assert wanted[crash + 5] == wanted[crash - 5]
    assert ready[crash + 40] == ready[crash - 5]
    assert "lost in a crash" in run.summary


def test_it_comes_down_step_by_step_and_never_below_what_the_load_needs(run):
    downs = [d for d in run.moves if d.desired < d.current]
    assert len(downs) >= 3
    assert all(d.current - d.desired == 1 for d in downs)
    gaps = [later.at - sooner.at for sooner, later in pairwise(downs)]
    assert min(gaps) >= 45  # the cooldown
    for decision in downs:
        assert decision.figures["requestsPerSecond"] <= 0.8 * 1600 * decision.desired


def test_holding_back_is_told_with_its_reason(run):
    held = [d.sentence for d in run.decisions if d.desired == d.current and d.hold]
    assert any("the highest wish of the last 1m was" in sentence for sentence in held)
    assert any("cooldown" in sentence for sentence in held)


def test_every_change_is_in_the_report_with_its_reason(run):
    assert run.report.count("<tr class=") == len(run.moves)
    assert run.report.count('<button type="button"') == len(run.moves)
    assert all(decision.flip for decision in run.moves)


def test_the_same_seed_tells_the_same_story(run, tmp_path):
    again = demo(tmp_path)
    assert again.report == run.report
    assert again.screen == run.screen
    # Observations name the pages' port, which is another each time; what was decided is the same.
    assert [d.sentence for d in again.decisions] == [d.sentence for d in run.decisions]


@pytest.mark.parametrize("seed", ["2", "3"])
def test_another_seed_tells_another_story_with_a_good_end(run, tmp_path, seed):
    other = demo(tmp_path, "--seed", seed)
    assert other.exit == 0
    assert other.report != run.report
    assert other.series("mean of the requests")[-1][1] < 15


def test_ctrl_c_ends_it_with_its_report(tmp_path):
    out = tmp_path / "demo.html"
    running = subprocess.Popen(
        [*COMMAND, "--seconds", "500", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for(running, lambda line: line.lstrip().startswith("0:00"))
    running.send_signal(signal.SIGINT)
    summary, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert "stopped early" in summary
    assert "Stopped before its end" in out.read_text()


def _wait_for(running: subprocess.Popen[str], seen: Callable[[str], bool]) -> None:
    for line in running.stderr:
        if seen(line):
            return
    raise AssertionError(f"ended with {running.wait()} before its first decision")


def test_a_report_that_cannot_be_written_is_told_before_the_minute_is_spent(tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [*COMMAND, "--out", str(tmp_path / "file" / "demo.html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "--out" in done.stderr
    assert "Traceback" not in done.stderr
