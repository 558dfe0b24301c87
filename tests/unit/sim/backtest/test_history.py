"""From rows to a past: what a restart, a second job, a version or a silence makes of them."""

from __future__ import annotations

import pytest

from autoscaler.model import Missing, Replicas, Sample, Signal
from autoscaler.observe.triton import NO_GAUGE, YOUNG
from autoscaler.sim.backtest.flows import flows, growths
from autoscaler.sim.backtest.history import History
from autoscaler.sim.backtest.notes import findings
from autoscaler.sim.backtest.observations import observations
from autoscaler.sim.backtest.pull import Rows
from autoscaler.sim.backtest.recorded import known_minutes, sizes
from tests.unit.sim.backtest.past import POLICY, START, STEP, Series, line, past, pod, rows

HOUR = 3600


def value(signal: Signal) -> float:
    assert isinstance(signal, Sample), signal
    return signal.value


def test_a_steady_pod_reads_as_what_it_does() -> None:
    """100 requests/s that wait 7 ms each, 2 pending."""
    seen = list(observations(past(pod("bert-0", 100, -330, HOUR), HOUR), POLICY))
    assert len(seen) == HOUR // STEP + 1
    (only,) = seen[-1].pods
    (signals,) = only.models
    assert value(signals.arrivals) == pytest.approx(100)
    assert value(signals.completions_slow) == pytest.approx(100)
    assert value(signals.queueing) == pytest.approx(0.7)
    assert value(signals.pending) == value(signals.pending_floor) == 2
    assert seen[-1].replicas == Replicas(1, 1, source="series")
    assert (seen[-1].windows.fast, seen[-1].windows.slow) == (60, 300)


def test_windows_look_back_and_never_ahead() -> None:
    """From 100/s to 300/s at 1,800 s: a fast window of 60 s holds four samples."""
    counter = line(100, -330, 1800) | line(300, 1800, HOUR, begin=213_000)
    history = past([Series("completions", "bert-0", counter)], HOUR)
    by_time = {
        round(one.at - START): one.pods[0].models[0] for one in observations(history, POLICY)
    }
    assert value(by_time[1800].completions) == pytest.approx(100)
    assert value(by_time[1815].completions) == pytest.approx((100 + 100 + 300) / 3)
    assert value(by_time[1845].completions) == pytest.approx(300)


def test_a_restart_under_the_same_name_counts_from_zero_and_is_told() -> None:
    counter = line(100, -330, 1785) | line(100, 1800, HOUR, begin=40.0)
    history = past([Series("completions", "bert-0", counter)], HOUR)
    total = sum(one.answered for one in growths(history, history.pods[0]))
    assert total == pytest.approx(100 * (1785 + 330) + 40 + 100 * 1800)
    (told,) = [one for one in findings(history) if "begin anew" in one.reason]
    assert told.start == START + 1800
    assert "once, the first in bert-0" in told.reason


def test_a_second_scrape_job_does_not_double_the_load() -> None:
    twice = [
        Series("completions", "bert-0", line(100, -330, HOUR), {"job": job}) for job in ("a", "b")
    ]
    history = past(twice, HOUR)
    assert sum(flows(history, None).arrived) == pytest.approx(100 * HOUR)


def test_versions_add_up_and_a_new_one_counts_from_its_start() -> None:
    old = Series("completions", "bert-0", line(100, -330, HOUR))
    new = Series("completions", "bert-0", line(50, 1800, HOUR, begin=750), {"version": "2"})
    history = past([new, old], HOUR)  # whatever their order
    told = [one.pods[0].models[0].versions for one in observations(history, POLICY)]
    assert (told[1785 // STEP], told[1800 // STEP]) == (None, "2")
    done = history.pods[0].models["m"].done
    assert done[-1] == pytest.approx(100 * (HOUR + 330) + 750 + 50 * 1800)


def test_the_duplicate_with_a_gpu_uuid_is_zero_and_harmless() -> None:
    zero = Series("pending", "bert-0", line(0, -330, HOUR), {"gpu_uuid": "GPU-1"})
    seen = list(observations(past([*pod("bert-0", 100, -330, HOUR), zero], HOUR), POLICY))
    assert value(seen[-1].pods[0].models[0].pending) == 2


def test_failures_that_were_never_sent_are_zero_before_the_first() -> None:
    failed = Series("failures", "bert-0", line(1, 1800, HOUR, begin=5), {"reason": "REJECTED"})
    history = past([*pod("bert-0", 100, -330, HOUR), failed], HOUR)
    by_time = {
        round(one.at - START): one.pods[0].models[0] for one in observations(history, POLICY)
    }
    assert value(by_time[1785].rejected) == 0
    assert value(by_time[1800].rejected) == pytest.approx(5 / 45)
    assert value(by_time[HOUR].rejected) == pytest.approx(1)
    assert value(by_time[HOUR].arrivals) == pytest.approx(101)


def test_failures_from_before_the_history_are_no_growth() -> None:
    failed = Series("failures", "bert-0", line(0, -330, HOUR, begin=500), {"reason": "OTHER"})
    history = past([*pod("bert-0", 100, -330, HOUR), failed], HOUR)
    assert sum(flows(history, None).failed) == 0


def test_a_pod_that_is_silent_for_three_scrapes_and_5_s_is_gone() -> None:
    many = [*pod("bert-0", 100, -330, HOUR), *pod("bert-1", 100, -330, 1800)]
    sizes_seen = {
        round(one.at - START): len(one.pods) for one in observations(past(many, HOUR), POLICY)
    }
    assert (sizes_seen[1845], sizes_seen[1860]) == (2, 1)


def test_a_young_pod_has_no_rate_yet() -> None:
    many = [*pod("bert-0", 100, -330, HOUR), *pod("bert-1", 100, 1800, HOUR)]
    at = {round(one.at - START): one for one in observations(past(many, HOUR), POLICY)}
    young = at[1800].pods[1].models[0]
    assert young.completions == YOUNG
    assert value(young.pending) == 2
    assert value(at[1815].pods[1].models[0].completions) == pytest.approx(100)


def test_nobody_seen_is_no_fleet_of_none() -> None:
    history = past(pod("bert-0", 100, -330, 1800), HOUR)
    last = list(observations(history, POLICY))[-1]
    assert isinstance(last.replicas, Missing)


def test_without_pending_it_is_said() -> None:
    history = past([Series("completions", "bert-0", line(100, -330, HOUR))], HOUR)
    assert list(observations(history, POLICY))[-1].pods[0].models[0].pending == NO_GAUGE
    assert any("since 23.09" in one.remedy for one in findings(history))


def test_replicas_are_what_kube_state_metrics_say() -> None:
    many = pod("bert-0", 100, -330, HOUR)
    history = past(many, HOUR)
    numbers = range(START // STEP, (START + HOUR) // STEP + 1)
    history.spec = dict.fromkeys(numbers, 3.0)
    history.ready = dict.fromkeys(numbers, 1.0)
    assert list(observations(history, POLICY))[-1].replicas == Replicas(3, 1, source="kubernetes")
    assert set(sizes(history).size) == {3}
    assert set(sizes(history).serving) == {1}
    assert not any(one.place == "replicas" for one in findings(history))


# --- gaps ------------------------------------------------------------------------------------


def gapped() -> History:
    counter = {at: v for at, v in line(100, -330, HOUR).items() if not 1200 < at < 1800}
    return past([Series("completions", "bert-0", counter)], HOUR)


def test_a_gap_is_told_with_its_place_and_its_minutes_are_not_judged() -> None:
    history = gapped()
    (told,) = [one for one in findings(history) if "no sample of any pod" in one.reason]
    assert (told.start, told.end) == (
        pytest.approx(START + 1200, abs=STEP),
        pytest.approx(START + 1800, abs=STEP),
    )
    known = known_minutes(history)
    assert [minute for minute, told_ in enumerate(known) if not told_] == list(range(20, 30))


def test_the_load_in_a_gap_is_drawn_even_and_the_fleet_stays_what_it_was() -> None:
    history = gapped()
    through = flows(history, None)
    assert sum(through.arrived) == pytest.approx(100 * HOUR)
    assert through.arrived[1500 // STEP] == pytest.approx(100 * STEP)
    assert set(sizes(history).size) == {1}


def test_what_a_pod_did_while_others_were_seen_belongs_to_its_last_interval() -> None:
    """Away for 10 minutes and back with a counter of 300: those are 20/s in 15 s, no 0.5/s."""
    restarted = line(100, -330, 1200) | line(100, 1800, HOUR, begin=300)
    many = [Series("completions", "bert-0", restarted), *pod("bert-1", 100, -330, HOUR)]
    through = flows(past(many, HOUR), None)
    assert through.arrived[1500 // STEP] == pytest.approx(100 * STEP)
    assert through.arrived[1785 // STEP] == pytest.approx(100 * STEP + 300)


def test_what_a_new_pod_served_before_its_first_sample_is_load() -> None:
    many = [
        *pod("bert-0", 100, -330, HOUR),
        Series("completions", "bert-1", line(0, 1800, HOUR, 75)),
    ]
    through = flows(past(many, HOUR), None)
    assert sum(through.arrived) == pytest.approx(100 * HOUR + 75)
    assert through.arrived[1785 // STEP] == pytest.approx(100 * STEP + 75)


def test_a_history_that_begins_late_and_ends_early_says_where_to() -> None:
    history = past(pod("bert-0", 100, 900, 2700), HOUR)
    told = [str(one) for one in findings(history)]
    assert any("begin at --from 2023-11-14T00:14:5" in one for one in told)
    assert any("end at --to 2023-11-14T00:45:0" in one for one in told)


def test_a_scrape_interval_that_changes_moves_the_windows_and_is_told() -> None:
    slow = {at: v for at, v in line(100, -330, 3 * HOUR).items() if at < HOUR or at % 60 == 0}
    history = past([Series("completions", "bert-0", slow)], 3 * HOUR)
    (told,) = [one for one in findings(history) if "scrape interval" in one.reason]
    assert "from 15s to 1m" in told.reason
    last = list(observations(history, POLICY))[-1]
    assert last.windows.fast == 150  # 2.5 scrapes of a minute
    assert value(last.pods[0].models[0].completions) == pytest.approx(100)


def test_others_whose_names_begin_alike_are_left_out() -> None:
    many = [*pod("bert-0", 100, -330, HOUR), *pod("bert-large-7d9f8-abcde", 900, -330, HOUR)]
    history = past(many, HOUR)
    assert [one.name for one in history.pods] == ["bert-0"]


def test_rows_of_a_scripted_past_look_back_five_minutes() -> None:
    """The fixture itself: a dead pod's last value is shown on, with the time of its sample."""
    found = rows(pod("bert-0", 100, 0, 600), 1200)
    ((steps, stamps),) = found["sample times"].series.values()
    assert steps[-1] * STEP - START == pytest.approx(885)
    assert stamps[-1] == START + 600
    assert isinstance(found["completions"], Rows)
