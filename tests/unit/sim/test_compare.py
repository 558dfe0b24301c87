"""The comparison: its cases, a small run of all of it, who won, and the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoscaler.sim.cases import PEAK, cases
from autoscaler.sim.compare import compare, main
from autoscaler.sim.compare_page import read_reasons
from autoscaler.sim.contestants import carries, contestants, our_policy, published
from autoscaler.sim.judging import LEVELS, Effort
from autoscaler.sim.results import Results, fingerprint
from autoscaler.sim.standings import Row, Standing, rows

SMALL = Effort(seeds=(1, 2), evaluations=2, refinements=1, tuning_refinements=0, days=0.06)


@pytest.fixture(scope="module")
def small():
    return cases(90, SMALL.seeds, None, days=SMALL.days, only=("diurnal",))


@pytest.fixture(scope="module")
def results(small, tmp_path_factory) -> Results:
    found = Results(tmp_path_factory.mktemp("compare") / "compare.jsonl", SMALL)
    compare(small, SMALL, 1, found, lambda _: None)
    found.finish(60, 9, 2)
    return found


@pytest.fixture(scope="module")
def lines(results):
    return results.lines


# --- cases ---------------------------------------------------------------------------------------


def test_a_built_in_workload_is_another_one_for_each_seed(small):
    (case,) = small
    assert case.parts[1][1].counts != case.parts[2][1].counts
    tuned, judged = case.parts[1]
    assert tuned.end == judged.start
    assert judged.duration == pytest.approx(0.03 * 86400, abs=60)


def test_fleets_are_scaled_to_a_mean_or_to_a_peak():
    for case in cases(90, (1,), None, days=2.0):
        capacity = case.scenario.server.capacity
        whole = list(case.parts[1])
        peak = max(part.rebinned(4).peak for part in whole) / capacity
        assert case.mean <= 5.0
        assert peak <= PEAK * 1.01
        assert case.scenario.max > peak


def test_all_traces_of_the_reference_data_take_part(reference_data: Path):
    found = [case for case in cases(90, (1,), reference_data) if case.real]
    assert len(found) == 6
    nasa = next(case for case in found if case.name.startswith("nasa"))
    assert nasa.judged_days == pytest.approx(29.3, abs=0.1)
    assert nasa.parts[1][0].duration == 3 * 86400
    assert nasa.parts[1][0].end == nasa.parts[1][1].start


# --- contestants ---------------------------------------------------------------------------------


def test_ours_has_nothing_to_tune_and_one_knob(small):
    (ours,) = [one for one in contestants() if one.name == "ours"]
    assert not ours.knobs
    low, high = (our_policy(small[0].scenario, headroom) for headroom in (0.0, 0.5))
    assert low != high
    assert low == type(low)(
        **{name: getattr(high, name) for name in high.__slots__} | {"headroom": 0.0}
    )


def test_ours_looks_on_while_the_others_are_tuned_and_learns_nothing_of_what_is_judged(small):
    (case,) = small
    ours = next(one for one in contestants() if one.name == "ours")
    assert ours.look_on is not None
    tuned, judged = case.parts[1]
    build = ours.look_on(case.scenario, tuned, 1, 5)
    first, second = (build({}, headroom, case.scenario, case.mean) for headroom in (0.1, 0.3))
    assert first.state == second.state
    assert first.state.replicas is None
    assert first.state.forecast.peak.recent.at < judged.start


def test_ours_knows_what_a_replica_carries_within_the_sla(small):
    scenario = small[0].scenario
    rate = carries(scenario)
    assert scenario.server.late(rate, 0.05) == pytest.approx(0.01, abs=1e-4)
    assert 0.9 < rate / scenario.server.capacity < 0.97


def test_everybody_builds_with_every_setting(small):
    scenario = small[0].scenario
    for one in contestants():
        default = {name: values[0] for name, values in one.knobs.items()}
        for name, values in one.knobs.items():
            for value in values:
                for share in (0.0, 1.0):
                    one.build({**default, name: value}, one.cost.between(share), scenario, 5.0)
    for fixed in published():
        assert fixed.build(scenario).name == fixed.name


# --- a small run ---------------------------------------------------------------------------------


def test_a_run_has_a_line_for_each_contestant_seed_and_level(lines):
    judged = {(line["who"], line["seed"], line["level"]) for line in lines if line["level"]}
    names = [one.name for one in contestants()]
    assert judged == {(who, seed, level) for who in names for seed in (1, 2) for level in LEVELS}


def test_the_clairvoyant_misses_nothing_and_is_what_costs_are_multiples_of(lines):
    bound = [line for line in lines if line["who"] == "clairvoyant"]
    assert [line["cost"] for line in bound] == [1.0, 1.0]
    assert [line["missed"] for line in bound] == [0, 0]
    assert all(line["cost"] <= line["level"] + 1e-9 for line in lines if line.get("reached"))


def test_who_is_cheaper_than_the_clairvoyant_misses(lines):
    for line in lines:
        if line["cost"] < 1.0:
            assert line["missed"] > 0


# --- who won -------------------------------------------------------------------------------------


def row(ours: float, *others: float, reached: bool = True) -> Row:
    def one(who: str, missed: float, reached: bool) -> Standing:
        return Standing(who, missed, 0.0, 0.0, 1.1, reached)

    return Row("t", one("ours", ours, reached), tuple(one("x", m, True) for m in others))


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (row(10, 20, 90), "won"),
        (row(10, 19, 90), "better"),
        (row(10, 9.6), "even"),  # within 5 %
        (row(10, 9), "worse"),
        (row(0, 0), "even"),
        (row(0, 1), "won"),
        (row(0.3, 0), "even"),  # half a minute is none
        (row(10, 20, reached=False), "too dear"),
        (row(10), "won"),  # nobody else can be that cheap
    ],
)
def test_verdicts(found: Row, verdict: str):
    assert found.verdict == verdict


def test_who_cannot_be_that_cheap_is_not_the_best():
    dear = Standing("dear", 0.0, 0.0, 0.0, 1.5, False)
    found = Row("t", row(10).ours, (dear, *row(10, 30).others))
    assert found.best is not None
    assert found.best.missed == 30


def test_rows_are_means_over_seeds():
    def line(who, seed, missed, **more):
        given = {"trace": "t", "cold_start": 90, "level": 1.1, "events": 1, "cost": 1.1}
        return given | {"who": who, "seed": seed, "missed": missed, "reached": True} | more

    told = [
        line("ours", 1, 10),
        line("ours", 2, 20),
        line("hpa", 1, 1),
        line("hpa", 2, 1, reached=False),
    ]
    told.append(line("ours", 1, 999, cold_start=300))
    (found,) = rows(told, 90, 1.1)
    assert (found.ours.missed, found.ours.spread) == (15, 5)
    assert not found.others[0].reached
    assert found.best is None


# --- the page ------------------------------------------------------------------------------------


def test_the_page_says_what_the_lines_say(results, tmp_path: Path):
    (tmp_path / "compare.jsonl").write_text(results.path.read_text())
    (tmp_path / "compare-why.md").write_text("# Why\n\n## diurnal\n\nFor a reason\nof two lines.\n")
    main(["--page", "--out", str(tmp_path)])
    page = (tmp_path / "compare.md").read_text()
    assert "`make compare` (1 minutes in 2 processes, 9 s of CPU)" in page
    assert "{" not in page
    for level in LEVELS:
        (found,) = rows(results.lines, 90, level)
        assert f"At {level:g} × the clairvoyant's GPU-hours" in page
        assert (
            f"| diurnal | {'–' if not found.ours.reached else f'{found.ours.missed:.0f}'}" in page
        )
        lost = found.verdict in {"worse", "too dear"}
        assert not lost or "For a reason of two lines." in page
    plot = (tmp_path / "plots" / "compare.html").read_text()
    assert "hpa-rps" in plot
    assert "<script" not in plot


def test_reasons_by_trace():
    assert read_reasons("# Why\n\n## a\n\nx\ny\n\n## b 300\nz\n") == {"a": "x y", "b 300": "z"}


# --- what is kept --------------------------------------------------------------------------------


@pytest.fixture
def kept(results, tmp_path: Path) -> Path:
    path = tmp_path / "compare.jsonl"
    path.write_text(results.path.read_text())
    return path


def test_ours_alone_can_be_run_again(small, kept: Path):
    again = Results(kept, SMALL)
    again.load(without=["ours"])
    told: list[str] = []
    before = [line for line in again.lines if line["who"] != "ours"]
    compare(small, SMALL, 1, again, told.append)
    assert [text.split()[2] for text in told] == ["ours,"]
    assert [line for line in again.lines if line["who"] != "ours"] == before
    assert sum(line["who"] == "ours" for line in again.lines) == 4


def test_what_is_there_is_not_run_again_and_gives_the_same(small, results, kept: Path):
    again = Results(kept, SMALL)
    again.load(without=())
    told: list[str] = []
    compare(small, SMALL, 1, again, told.append)
    assert told == []
    again.load(without=["ours"])
    compare(small, SMALL, 1, again, told.append)
    again.finish(0, 0, 2)
    assert kept.read_text() == results.path.read_text()


def test_results_of_another_simulator_or_effort_are_refused(kept: Path):
    with pytest.raises(SystemExit, match="the effort is another one"):
        Results(kept, Effort(evaluations=99)).load(without=())
    about, *rest = kept.read_text().splitlines(keepends=True)
    kept.write_text(about.replace(fingerprint(), "0" * 12) + "".join(rest))
    with pytest.raises(SystemExit, match="the simulator is another one"):
        Results(kept, SMALL).load(without=())


def test_each_result_is_in_the_file_as_it_comes(small, tmp_path: Path):
    path = tmp_path / "compare.jsonl"
    seen: list[int] = []
    compare(
        small,
        SMALL,
        1,
        Results(path, SMALL),
        lambda _: seen.append(len(path.read_text().splitlines())),
    )
    assert seen == sorted(set(seen))
    assert json.loads(path.read_text().splitlines()[0])["simulator"] == fingerprint()
