"""Four real H200s again: `backtest` over their recording, from a real Prometheus, as one types it.

What the model says is held against what was recorded, the HTML against the JSON, and what the
policy would have said against the loop that asks the same Prometheus instant by instant.

python -m tests.stories.test_backtest    # writes the outputs on the how-to page anew
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli.backtest import command
from autoscaler.observe.query_api import Access
from autoscaler.policy import load
from autoscaler.sim.backtest.gather import Request, Telling, Watch, pulled_history
from autoscaler.sim.backtest.replay import replay
from autoscaler.units import format_duration, format_number
from tests.conftest import ROOT
from tests.stories.h200_plot import BEGAN, POLICY, RECORDING
from tests.stories.recorded import prometheus_over, walk
from tests.testbed.parts import PrometheusBinaries, ensure_prometheus

pytestmark = pytest.mark.real

ROOMY = POLICY.with_name("h200-bert-large-roomy.yaml")
PAGE = ROOT / "docs/how-to/backtest.md"
_BLOCK = re.compile(r"```\n\$ (triton-autoscaler backtest [^\n]+)\n(.*?)```", re.DOTALL)
TIMES = (f"--from={BEGAN}", f"--to={BEGAN + 350}")


@dataclass(frozen=True)
class Bed:
    url: str
    cache: Path

    def backtest(self, *arguments: str) -> Result:
        places = (f"--prometheus={self.url}", f"--cache={self.cache}")
        return CliRunner().invoke(command, [*places, *TIMES, *arguments])


@pytest.fixture(scope="module")
def bed(
    prometheus_binaries: PrometheusBinaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bed]:
    storage = tmp_path_factory.mktemp("past")
    with prometheus_over(RECORDING, prometheus_binaries, storage) as prometheus:
        yield Bed(prometheus.url, tmp_path_factory.mktemp("cache"))


@dataclass(frozen=True)
class Shown:
    document: dict[str, Any]
    page: str
    talk: str


@pytest.fixture(scope="module")
def shown(bed: Bed) -> Shown:
    page = bed.cache / "backtest.html"
    result = bed.backtest("-f", str(POLICY), "--cold-start=15s", "-o", "json", f"--html={page}")
    assert result.exit_code == 0, result.output
    return Shown(json.loads(result.stdout), page.read_text(), result.stderr)


def test_what_ran_is_what_the_recording_says(shown: Shown) -> None:
    ran = shown.document["ran"]["recorded"]
    assert shown.document["scrapeInterval"] == 5
    # 1 replica to 60 s, 2 to 105, 3 to 145, 4 to 290 but for the crash (215 to 238), then 3, 2, 1
    assert ran["gpuHours"] == pytest.approx(0.26, abs=0.01)
    assert (ran["replicas"]["most"], ran["changes"]["up"]) == (4, 4)
    # 894,791 were answered in 350 s; the first five seconds are before the first whole step
    assert ran["requests"] == pytest.approx(890_000, rel=0.01)


def test_the_model_with_what_ran_is_near_the_record(shown: Shown) -> None:
    """Out of sample: each half by a server fitted to the other half, the crash in one of them."""
    error = shown.document["model"]["error"]
    assert error["crossValidated"]
    assert error["rows"] >= 68
    assert error["queueTime"]["median"] < 0.001
    assert error["queueTime"]["p90"] < 0.006


def test_the_crash_is_missed_by_record_and_by_model(shown: Shown) -> None:
    error = shown.document["model"]["error"]["missMinutes"]
    assert error["both"] >= 1
    assert error["onlyModel"] + error["onlyRecorded"] <= 1


def test_the_policy_grows_with_the_load(shown: Shown) -> None:
    (policy,) = shown.document["policies"]
    moves = [(one["before"], one["after"]) for one in policy["decisions"]]
    assert moves[:3] == [(1, 2), (2, 3), (3, 4)]
    assert all(one["sentence"].startswith("Scale up") for one in policy["decisions"][:3])
    assert 0.2 < policy["model"]["gpuHours"] < 0.4


def test_the_page_has_the_numbers_of_the_json(shown: Shown) -> None:
    document, page = shown.document, shown.page
    for name, side in (
        ("what ran", document["ran"]["recorded"]),
        ("what ran, model", document["ran"]["model"]),
        ("bert-large, model", document["policies"][0]["model"]),
    ):
        assert f"{name}: {side['missMinutes']} of {side['minutes']}" in page
        for told in (
            f"{side['gpuHours']:.3g}",
            format_number(side["replicas"]["mean"]),
            f"{side['replicas']['most']}",
            f"{side['changes']['up']}, {side['changes']['down']}",
            format_duration(side["queueTime"]),
        ):
            assert f"{name}: {told}" in page
    error = document["model"]["error"]["queueTime"]
    assert f"off by {format_duration(error['median'])} in the median" in page
    assert f"up to {format_duration(error['p90'])} in nine of ten" in page
    for decision in document["policies"][0]["decisions"]:
        assert decision["sentence"].replace("'", "&#x27;") in page
    assert page.count("<svg") >= 5
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_what_is_the_models_is_marked(shown: Shown) -> None:
    assert "dashed: the model&#x27;s, not recorded" in shown.page
    assert "bert-large (model)" in shown.page
    assert "The model&#x27;s error here" in shown.page


def test_the_restart_is_told(shown: Shown) -> None:
    assert "counters begin anew under the same pod name once, the first in triton-2" in shown.talk


def test_a_second_run_asks_prometheus_for_nothing(bed: Bed, shown: Shown) -> None:
    again = bed.backtest("-f", str(POLICY), "-o", "json", "--cold-start=15s")
    pull = json.loads(again.stdout)["pull"]
    assert (pull["queries"], pull["fromDisk"]) == (0, shown.document["pull"]["queries"])


def test_two_policies_side_by_side(bed: Bed) -> None:
    result = bed.backtest("--compare", str(POLICY), str(ROOMY))
    assert result.exit_code == 0, result.output
    head, *rows = result.stdout.splitlines()
    assert head.split("  ")[-1].strip() == "BERT-LARGE-ROOMY, MODEL"
    hours = next(row for row in rows if row.startswith("GPU-hours")).split()
    assert float(hours[-1]) > float(hours[-2])


def test_what_would_have_been_said_is_what_the_loop_says(bed: Bed) -> None:
    """Every tick of `run --from --to` over the same Prometheus, and ours: the same wish."""
    policies = load([POLICY]).policies
    request = Request(policies, Access(bed.url), BEGAN, BEGAN + 350, cache=bed.cache)
    history = pulled_history(request, Telling(), Watch()).history
    heard = replay(history, policies[0])
    ticks = asyncio.run(walk(bed.url, policies, history.start, history.end, step=5.0))
    assert list(heard.times) == [tick.at for tick in ticks]
    assert list(heard.current) == [tick.decisions[0].current for tick in ticks]
    assert list(heard.desired) == [tick.decisions[0].desired for tick in ticks]


def rendered(page: str, url: str) -> str:
    def again(match: re.Match[str]) -> str:
        _, _, *arguments = shlex.split(match[1].replace("http://127.0.0.1:9090", url))
        result = CliRunner().invoke(command, [*arguments, "--no-cache"])
        return f"```\n$ {match[1]}\n{result.stdout}```"

    with chdir(ROOT):  # the page's paths are those of the checkout
        return _BLOCK.sub(again, page)


def test_the_how_to_page_shows_what_the_commands_print(bed: Bed) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(_BLOCK.findall(page)) == 2
    assert page == rendered(page, bed.url), "stale: run python -m tests.stories.test_backtest"


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as scratch,
        prometheus_over(RECORDING, ensure_prometheus(), Path(scratch)) as prometheus,
    ):
        PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), prometheus.url))
