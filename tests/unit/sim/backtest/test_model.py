"""The fitted server, the counterfactual, its error, and the figures read off them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from autoscaler.model import Capacity, Cost
from autoscaler.observe.query_api import Access
from autoscaler.sim.backtest import backtest, measure, modelled
from autoscaler.sim.backtest.curve import Minute, fitted, late_by_wait, most_seen
from autoscaler.sim.backtest.curve import minutes as minutes_seen
from autoscaler.sim.backtest.flows import flows
from autoscaler.sim.backtest.gather import Pulled, Request, Watch
from autoscaler.sim.backtest.page import facts, write
from autoscaler.sim.backtest.replay import replay
from autoscaler.sim.backtest.result import Backtest
from autoscaler.sim.backtest.summary import columns, document, rows, sentences
from autoscaler.sim.result import minutes
from tests.unit.sim.backtest.past import POLICY, START, STEP, Series, line, past, pod

HOUR = 3600
PRICED = replace(POLICY, cost=Cost(2.0, "EUR"))


def busy(rate: float = 700.0, wait: float = 0.008) -> list[Series]:
    return [*pod("bert-0", rate, -330, HOUR, wait), *pod("bert-1", rate, -330, HOUR, wait)]


def judged(many: list[Series], *policies: object, length: int = HOUR) -> Backtest:
    history = past(many, length)
    asked = policies or (PRICED,)
    request = Request(asked, Access("http://prometheus:9090"), START, START + length)  # type: ignore[arg-type]
    return backtest.judge(request, Pulled(history, [], 40, 2, 1000), Watch())


# --- the server ------------------------------------------------------------------------------


def test_the_fitted_server_waits_as_was_recorded() -> None:
    seen = [Minute(n, 500.0, 0.012) for n in range(9)] + [Minute(9, 900.0, 0.030)] * 9
    curve = fitted(seen, 1000.0, "x")
    assert curve.capacity == 1000
    assert curve.queue_time(500) == pytest.approx(0.012, rel=0.05)
    assert curve.queue_time(900) == pytest.approx(0.030, rel=0.15)


def test_a_load_that_was_never_seen_has_the_shape_of_the_recorded_h200() -> None:
    curve = fitted([Minute(n, 500.0, 0.0067) for n in range(9)], 1640.0, "x")
    assert curve.queue_time(1600) > 2 * curve.queue_time(500)
    rising = [point.queue_time for point in curve.points]
    assert rising == sorted(rising)


def test_a_minute_in_which_the_fleet_changed_teaches_nothing() -> None:
    through = flows(past(busy(), HOUR), None)
    sizes = [2] * 6 + [3] * (len(through) - 5)  # from the second half of minute 1 on
    assert [minute.row for minute in minutes_seen(through, sizes)][:3] == [0, 2, 3]


def test_the_share_that_waits_too_long_rises_with_the_mean() -> None:
    curve = fitted([Minute(n, 500.0, 0.007) for n in range(9)], 1640.0, "x")
    late = late_by_wait(curve, 0.025)
    shares = [late(wait / 1000) for wait in (1, 7, 10, 15, 25, 40, 200)]
    assert shares == sorted(shares)
    assert shares[1] < 0.01 < shares[3]
    assert shares[-1] == pytest.approx(1.0)


def test_the_most_seen_is_no_single_spike() -> None:
    seen = [Minute(n, 800.0, 0.01) for n in range(2000)] + [Minute(2000, 5000.0, 0.01)]
    assert most_seen(seen) == 800.0
    assert most_seen([]) == 0.0


def test_without_a_capacity_the_most_seen_is_taken_and_said() -> None:
    found = judged(busy(), replace(POLICY, capacity=None))
    assert found.capacity == pytest.approx(700, rel=0.01)
    assert any("no capacity is given" in one.reason for one in found.findings)


# --- what ran, by the model ------------------------------------------------------------------


def test_what_ran_is_held_against_the_record_by_a_server_fitted_to_the_other_half() -> None:
    found = judged(busy())
    assert found.error.across
    assert found.error.rows == HOUR // 15
    assert found.error.median is not None
    assert found.error.median < 0.0005
    assert found.ran_modelled.gpu_hours == pytest.approx(found.ran.gpu_hours) == pytest.approx(2.0)


def test_a_server_that_changed_half_way_is_not_hidden_by_a_fit_to_both_halves() -> None:
    """10 ms of wait in the first half, 40 ms in the second: each server judges the other half."""
    queue = line(7e6, -330, 1800) | line(28e6, 1815, HOUR, begin=7e6 * 2130 + 28e6 * STEP)
    many = pod("bert-0", 700.0, -330, HOUR)
    many[1] = Series("queueing", "bert-0", queue)
    waits = [wait for _, wait in judged(many).queue_time_modelled if wait is not None]
    assert waits[10] == pytest.approx(0.040, rel=0.1)
    assert waits[-10] == pytest.approx(0.010, rel=0.1)


def test_a_model_that_is_wrong_says_so() -> None:
    """Half the time the servers are four times slower at the same load: no server is both."""
    slow = pod("bert-0", 700.0, -330, HOUR, 0.008)
    slow[1] = Series(
        "queueing",
        "bert-0",
        {at: v * (1 if at < 1800 else 4) for at, v in slow[1].samples.items()},
    )
    found = judged(slow)
    assert found.error.median is not None
    assert found.error.median > 0.01
    assert "off by" in " ".join(sentences(found))


def test_minutes_are_counted_as_everywhere_else() -> None:
    history = past(busy(950.0), HOUR)
    measured = measure.measure(history, PRICED, None, [])
    request = Request((PRICED,), Access("http://p"), START, START + HOUR)
    for job in backtest._jobs(request, history, measured, 1):
        run = modelled.run(job)
        counted, missed = modelled.count(run.history, [True] * 60)
        assert (counted, len(missed)) == minutes(run.history)


def test_minutes_in_a_gap_are_not_judged() -> None:
    many = [
        Series(
            one.family, one.pod, {at: v for at, v in one.samples.items() if not 1200 < at < 1800}
        )
        for one in busy()
    ]
    found = judged(many)
    assert found.ran.minutes == found.ran_modelled.minutes == found.answers[0].figures.minutes == 50


def test_recorded_arrivals_are_not_drawn_again() -> None:
    found = judged(busy())
    assert found.answers[0].figures.requests == pytest.approx(2 * 700 * HOUR)
    assert found.ran_modelled.requests == pytest.approx(found.ran.requests)


# --- the counterfactual ----------------------------------------------------------------------


def test_a_policy_with_more_headroom_costs_more() -> None:
    wide = replace(PRICED, name="wide", headroom=0.6)
    found = judged(busy(), PRICED, wide)
    ours, theirs = (answer.figures for answer in found.answers)
    assert ours.gpu_hours < theirs.gpu_hours
    assert theirs.cost == pytest.approx(2.0 * theirs.gpu_hours)
    assert columns(found) == ["what ran", "what ran, model", "bert, model", "wide, model"]


def test_a_fleet_that_was_too_small_misses_by_record_and_by_model() -> None:
    """One replica of 1,000/s is sent 990/s and its requests wait 60 ms on average."""
    found = judged(pod("bert-0", 990.0, -330, HOUR, wait=0.060))
    assert found.ran.missed == found.ran.certain == 60
    assert found.unsure == 60
    assert found.answers[0].figures.missed < 10  # the policy adds a replica
    assert found.answers[0].figures.gpu_hours > found.ran.gpu_hours


def test_several_models_in_a_pod_are_counted_by_what_they_are_worth() -> None:
    """170/s of one and 22.5/s of another are half a replica's worth each."""
    many = []
    for one in ("bert-0", "bert-1"):
        for model, rate in (("fast", 170.0), ("large", 22.5)):
            made = pod(one, rate, -330, HOUR)
            many += [replace(series, labels={"model": model}) for series in made]
    given = Capacity("given", models={"fast": 340.0, "large": 45.0})
    found = judged(many, replace(PRICED, capacity=given))
    # 385 requests/s are 2 replicas' worth in all; with 20 % headroom that is 3
    assert found.capacity == pytest.approx(385 / 2)
    assert found.answers[0].replicas[-1][1] == 3
    assert not any("no serving pod" in one.sentence for one in found.answers[0].changes)


def test_what_is_said_without_the_model_leaves_the_fleet_alone() -> None:
    heard = replay(past(busy(), HOUR), replace(PRICED, mode="scale"))
    assert set(heard.current) == {2}
    assert heard.shares()[0] == 0.0
    assert set(heard.desired[25:]) == {2}  # 1.4 replicas' worth with 20 % headroom


def test_decisions_are_kept_where_they_say_something_new() -> None:
    rising = line(500, -330, 1800) | line(900, 1815, HOUR, begin=500 * 2130 + 900 * STEP)
    heard = replay(past([Series("completions", "bert-0", rising)], HOUR), PRICED)
    gists = [(one.desired, one.binding, one.hold is None) for one in heard.changes]
    assert 1 < len(gists) < 12
    assert all(here != before for before, here in pairwise(gists))


def test_a_tick_a_minute_is_a_quarter_of_the_ticks() -> None:
    assert replay(past(busy(), HOUR), PRICED, every=4).ticks == 61


def test_processes_of_their_own_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    inline = document(judged(busy()))
    monkeypatch.setattr(backtest, "WORTH_A_PROCESS", 1)
    apart = document(judged(busy()))
    for told in (inline, apart):
        del told["seconds"]
    assert inline == apart


def test_a_fleet_busier_than_any_that_was_seen_is_said_to_be_an_extrapolation() -> None:
    """Two servers of 1,100/s had 400/s each; the policy would have one carry it all."""
    found = judged(busy(400.0), replace(PRICED, capacity=Capacity("given", 1100.0)))
    assert found.answers[0].beyond >= 40
    assert "fleet carries more than any was seen to carry" in " ".join(sentences(found))
    assert judged(busy(900.0)).answers[0].beyond == 0


def test_two_promises_are_told_apart() -> None:
    wider = replace(PRICED, name="wider", sla=replace(PRICED.sla, queue_time=0.1))
    found = judged(busy(), PRICED, wider)
    (told,) = [one for one in found.findings if "different times in the queue" in one.reason]
    assert told.reason.endswith("(bert 25ms, wider 100ms)")
    assert not any("different times" in one.reason for one in judged(busy()).findings)


def test_each_policy_counts_load_in_its_own_capacities() -> None:
    """The first says nothing of models, the second 1,000/s of the only one: the fleet is two."""
    by_model = replace(PRICED, name="by-model", capacity=Capacity("given", models={"m": 1000.0}))
    found = judged(busy(), replace(PRICED, capacity=None), by_model)
    assert found.answers[1].figures.gpu_hours == pytest.approx(2.0, abs=0.1)


# --- what is told ----------------------------------------------------------------------------


def test_the_page_shows_the_numbers_of_the_table_and_of_the_json(tmp_path: Path) -> None:
    found = judged(busy(950.0))
    write(tmp_path / "backtest.html", found)
    page = (tmp_path / "backtest.html").read_text()
    told = document(found)
    for name, figures in (
        ("what ran", told["ran"]["recorded"]),
        ("what ran, model", told["ran"]["model"]),
        ("bert, model", told["policies"][0]["model"]),
    ):
        assert f"{name}: {figures['missMinutes']} of {figures['minutes']}" in page
        assert f"{name}: {figures['cost']:,.2f} EUR" in page
    assert len(rows(found)) == 7
    assert json.loads(json.dumps(told)) == told


def test_what_the_model_adds_is_dashed_and_named(tmp_path: Path) -> None:
    found = judged(busy())
    write(tmp_path / "backtest.html", found)
    page = (tmp_path / "backtest.html").read_text()
    assert "dashed: the model&#x27;s, not recorded" in page
    # The policy's replicas and queue time, what ran by the model: each a curve and its legend.
    assert re.findall(r'class="line (s\d) dashed"', page) == ["s1"] * 6
    assert "The model&#x27;s error here" in page
    assert "without any model" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert dict(facts(found))["GPU-hours"].startswith("what ran: 2; what ran, model: 2; bert")
