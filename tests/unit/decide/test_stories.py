"""What an SRE would notice, one story each: 100 requests/s per replica, 20 % headroom."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from autoscaler.model import (
    Behavior,
    Bounds,
    Capacity,
    Cooldown,
    Demand,
    DutyCycle,
    Metric,
    Missing,
    ModelSignals,
    Observation,
    Pod,
    QueueTime,
    Replicas,
    Sample,
    ScalingPolicy,
    ScalingRules,
    Schedule,
    Sla,
    State,
    WhenBlind,
)
from autoscaler.wire import from_json, to_json
from tests.unit.decide.fleets import POLICY, WINDOWS, Story, blind, model


def test_load_sizes_the_fleet() -> None:
    # 310/s at 100 × 0.8 per replica = 3.875 → 4
    story = Story(current=2)
    decision = story.sees(155, 155)
    assert decision.desired == 4
    assert decision.binding == "demand"
    assert "3.10 replicas' worth" in decision.sentence
    assert decision.sentence.startswith("Scale up 2 → 4: demand: 310 requests/s")
    assert "above 3.20 replicas' worth of load it would be 5" in decision.flip


def test_backlog_counts_as_demand() -> None:
    # (70 + 900/60) / 80 = 1.06 → 2
    story = Story(policy=replace(POLICY, objectives=(Demand(60.0),), sla=Sla()))
    assert story.sees(70, pending=900).desired == 2


def test_queue_time_raises_by_a_step_where_no_capacity_is_known() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=2)
    decision = story.sees(60, 60, queue_time=0.08)
    assert (decision.desired, decision.binding) == (3, "queueTime")
    assert "queue time is 80ms, above 50ms" in decision.sentence


def test_nobody_orders_twice_for_one_shortage() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=2)
    assert story.sees(60, 60, queue_time=0.08).desired == 3
    decision = story.sees(60, 60, queue_time=0.08, starting=1)
    assert decision.desired == 3
    assert "1 replica is on the way" in decision.sentence


def test_replica_that_never_gets_ready_is_not_supply_for_ever() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=3)
    seen = story.observation(60, 60, queue_time=0.08)
    crash_looping = Pod("flower-bad", ready=False, created_at=story.now - 3600)
    seen = replace(seen, at=story.now, pods=(*seen.pods, crash_looping))
    decision = story.sees(observed=seen)
    assert decision.desired == 5
    assert any("flower-bad" in note for note in decision.notes)


def test_pending_warns_before_queue_time() -> None:
    # 80 pending at 800/s completed: whoever arrives now waits 100 ms
    story = Story(policy=replace(POLICY, capacity=None), current=1)
    decision = story.sees(800, queue_time=0.009, pending=80)
    assert (decision.desired, decision.binding) == (2, "overload")
    assert "make a wait of 100ms" in decision.sentence


def test_one_request_in_execution_is_no_overload() -> None:
    # At 0.5/s one request inside would by Little's law mean a wait of 2 s.
    story = Story(policy=replace(POLICY, capacity=None), current=1)
    assert story.sees(0.5, pending=1).desired == 1


def test_idle_fleet_that_is_hit_is_not_overloaded_before_it_could_answer() -> None:
    # 12 completions seen so far in a window of 60 s, 8 pending; one replica carries 100/s
    story = Story(current=1)
    assert story.sees(1, completed=0.2, pending=4.5).desired == 1


def test_full_queue_refusing_uncounted_is_overload() -> None:
    # A queue of 64 behind 8,000/s waits only 8 ms: far within the SLA, and yet it is full.
    story = Story(policy=replace(POLICY, capacity=None), current=1)
    decision = story.sees(8000, queue_time=0.008, pending=64, floor=62, peak=64)
    assert (decision.desired, decision.binding) == (2, "overload")
    assert "saturated" in decision.sentence


def test_busy_but_healthy_is_not_saturated() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=1)
    assert story.sees(8000, queue_time=0.008, pending=30, floor=2, peak=64).desired == 1


def test_turned_away_requests_raise_though_queue_time_is_fine() -> None:
    sla = Sla(queue_time=0.05, rejected=0.001)
    story = Story(policy=replace(POLICY, sla=sla, capacity=None), current=2)
    decision = story.sees(100, 100, rejected=5.0)
    assert decision.desired == 3
    assert "5% of the requests are turned away" in decision.sentence


def test_stalled_server_is_not_idle() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=2)
    decision = story.sees(0, 0, pending=4, floor=3, peak=4)
    assert decision.desired == 3
    assert "stalled" in decision.sentence


def test_scale_in_waits_for_the_stabilization_window_then_for_the_survivors() -> None:
    story = Story(current=4)
    held = story.sees(75, 75, 75, 75)
    assert held.desired == 4
    early = story.sees(20, 20, 20, 20)
    assert (early.desired, early.binding) == (4, "stabilization")
    decisions = story.lasts(285, 20, 20, 20, 20)
    assert {d.desired for d in decisions} == {4}
    assert decisions[-1].binding == "stabilization"
    assert "the highest wish of the last 5m was 4" in decisions[-1].sentence
    later = story.lasts(60, 20, 20, 20, 20)
    assert later[-1].desired == 1
    assert any(d.sentence.startswith("Scale down 4 → 1") for d in later)


def test_survivors_veto_a_scale_in_that_would_break_the_sla() -> None:
    # The GPU looks idle (30 % of 70 %), yet three replicas' worth of requests come in.
    policy = replace(POLICY, objectives=(DutyCycle(0.7),))
    story = Story(policy=policy, current=4)
    seen = story.observation(75, 75, 75, 75)
    pods = tuple(replace(p, duty_cycle=Sample(0.3, story.now)) for p in seen.pods)
    decision = story.sees(observed=replace(seen, pods=pods))
    assert (decision.desired, decision.binding) == (4, "survivors")
    assert "4 carry 3.00 replicas' worth of load" in decision.sentence


def test_cooldown_after_any_change_by_whomever() -> None:
    story = Story(policy=replace(POLICY, cooldown=Cooldown(0.0, 600.0)), current=4)
    story.lasts(600, 20, 20, 20, 20)
    assert story.current == 1
    story.current = 4  # somebody scales by hand
    decisions = story.lasts(570, 20, 20, 20, 20)
    assert {d.desired for d in decisions} == {4}
    assert decisions[-1].binding == "cooldown"
    assert "to go" in decisions[-1].sentence


def test_dry_run_repeats_itself_instead_of_cooling_down_from_what_never_happened() -> None:
    story = Story(policy=replace(POLICY, cooldown=Cooldown(60.0, 600.0)), follow=False, current=2)
    assert [d.desired for d in story.lasts(120, 155, 155)] == [4] * 8


def test_missing_data_holds_and_says_why() -> None:
    story = Story(current=4)
    decision = story.sees(observed=blind(story))
    assert decision.desired == 4
    assert decision.hold is not None
    assert "Prometheus does not answer" in decision.sentence


def test_one_silent_pod_may_raise_and_never_lowers() -> None:
    story = Story(current=4)
    for _ in range(60):
        decision = story.sees(20, 20, 20, None, after=15)
        assert decision.desired == 4
    assert "not measured" in decision.sentence
    assert story.sees(150, 150, 150, None).desired == 6


def test_blind_for_long_raises_to_the_safe_size_and_never_lowers() -> None:
    rule = WhenBlind(hold=600.0, replicas=6)
    story = Story(policy=replace(POLICY, when_blind=rule), current=4)
    early = [story.sees(observed=blind(story), after=60) for _ in range(10)]
    assert {d.desired for d in early} == {4}
    assert story.sees(observed=blind(story), after=61).desired == 6
    story.current = 9
    assert story.sees(observed=blind(story)).desired == 9


def test_no_traffic_with_fresh_series_is_zero_load() -> None:
    story = Story(current=3)
    story.lasts(400, 0, 0, 0)
    assert story.current == 1


def test_nine_idle_models_do_not_hide_the_hot_one() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=1)
    hot = model(story.now, 20, 0.4, name="bert")
    idle = tuple(model(story.now, 200, 0.001, name=f"idle-{n}") for n in range(9))
    seen = replace(story.observation(0), pods=(Pod("flower-0", models=(hot, *idle)),))
    decision = story.sees(observed=seen)
    assert decision.desired == 2
    assert "for bert" in decision.sentence


def test_load_of_several_models_adds_up() -> None:
    # 170/340 + 30/45 = 1.17 replicas' worth → /0.8 = 1.46 → 2; the helper model is no load
    capacity = Capacity("given", models={"resnet50": 340.0, "bert": 45.0})
    story = Story(policy=replace(POLICY, capacity=capacity, objectives=(Demand(),)), current=1)
    pod = Pod(
        "flower-0",
        models=(
            model(story.now, 170, name="resnet50"),
            model(story.now, 30, name="bert"),
            model(story.now, 9999, name="step-of-an-ensemble"),
        ),
    )
    assert story.sees(observed=replace(story.observation(0), pods=(pod,))).desired == 2


def test_schedule_is_a_floor_while_it_is_open() -> None:
    # 2026-11-20 is a Friday; 08:00 in Taipei is midnight UTC
    weekday = Schedule("0 8 * * MON-FRI", 12 * 3600.0, "Asia/Taipei", 3)
    story = Story(policy=replace(POLICY, objectives=(*POLICY.objectives, weekday)))
    story.now = 1795132800.0 - 10  # 2026-11-19T23:59:50Z
    assert story.sees(10, after=5).desired == 1
    opened = story.sees(10, after=5)
    assert (opened.desired, opened.binding) == (3, "schedule")
    story = replace(story, current=1, state=State(), now=1795132800.0 + 12 * 3600 - 5)
    assert story.sees(10, after=5).desired == 1


@pytest.mark.parametrize(("current", "desired"), [(12, 10), (0, 0)])
def test_size_outside_the_bounds_needs_no_metrics(current: int, desired: int) -> None:
    story = Story(current=current)
    decision = story.sees(observed=replace(blind(story), replicas=Replicas(current, current)))
    assert decision.desired == desired
    assert decision.binding == "limits" or current == 0


def test_unknown_size_does_nothing() -> None:
    story = Story()
    seen = replace(story.observation(10), replicas=Missing("403 from the API server"))
    decision = story.sees(observed=seen)
    assert (decision.current, decision.desired) == (None, None)
    assert "403" in decision.sentence


def test_paused_policy_says_what_it_would_do() -> None:
    story = Story(policy=replace(POLICY, paused=True), current=2)
    decision = story.sees(155, 155)
    assert decision.desired == 2
    assert decision.sentence.startswith("Stay at 2, not 4: the policy is paused")


def test_rate_policies_pace_growth() -> None:
    slowly = ScalingRules(0.0, (ScalingPolicy("Pods", 1, 60.0),))
    story = Story(policy=replace(POLICY, behavior=Behavior(slowly, slowly)), current=1)
    first = story.sees(500)
    assert (first.desired, first.binding) == (2, "ratePolicies")
    assert story.sees(250, 250, after=30).desired == 2
    assert story.sees(250, 250, after=30).desired == 3


def test_clock_set_back_shortens_no_window_and_lengthens_none() -> None:
    story = Story(current=4)
    story.lasts(60, 75, 75, 75, 75)
    story.now -= 7200
    story.lasts(600, 20, 20, 20, 20)
    assert story.current == 1


def test_stale_samples_hold() -> None:
    story = Story(current=3)
    seen = story.observation(10, 10, 10)
    decision = story.sees(observed=seen, after=400)
    assert decision.desired == 3
    assert "stale" in decision.sentence


def test_samples_from_the_future_hold() -> None:
    story = Story(current=3)
    seen = story.observation(10, 10, 10)
    decision = story.sees(observed=seen, after=-4000)
    assert "in the future: check the clocks" in decision.sentence


def test_learned_capacity_lets_replicas_go_only_as_far_as_seen() -> None:
    policy = replace(POLICY, capacity=None, objectives=(Demand(), QueueTime(0.05, 0.02)))
    story = Story(policy=policy, current=4)
    story.lasts(600, 90, 90, 90, 90, pending=2, peak=3)  # 90/s per replica keep the SLA
    assert story.current == 4
    story.lasts(900, 40, 40, 40, 40, pending=1, peak=3)  # 160/s in all
    assert story.current in (2, 3)
    story.current = 2
    story.lasts(900, 80, 80, pending=1, peak=3)
    assert story.current == 2


def test_idle_fleet_without_any_capacity_comes_down_one_at_a_time() -> None:
    policy = replace(POLICY, capacity=None, objectives=(QueueTime(0.05, 0.02),))
    story = Story(policy=policy, current=4)
    sizes = [story.sees(*[0.5] * story.current, after=15).desired or 0 for _ in range(200)]
    assert sizes[-1] == 1
    assert all(a - b in (0, 1) for a, b in pairwise(sizes))


def test_metric_objective_keeps_the_hpa_arithmetic() -> None:
    policy = replace(
        POLICY, sla=Sla(), objectives=(Metric("metric-1", "sum(rate(x[2m]))", average_value=40.0),)
    )
    story = Story(policy=policy, current=2)
    seen = replace(story.observation(1, 1), metrics={"metric-1": Sample(170.0, story.now)})
    assert story.sees(observed=seen).desired == 4  # min(ceil(170/40)=5, plain limit max(2×2, 4))


def test_state_survives_as_json() -> None:
    story = Story(current=4)
    story.lasts(120, 75, 75, 75, 75)
    story.sees(150, 150, 150, 150)
    assert from_json(State, to_json(story.state)) == story.state


def test_same_input_same_decision() -> None:
    story = Story(current=4)
    seen: Observation = story.observation(75, 75, 75, 75)
    first = replace(story).sees(observed=seen)
    again = from_json(Observation, to_json(seen))
    assert replace(story).sees(observed=again) == first


def test_duty_cycle_that_nobody_measures_holds() -> None:
    story = Story(policy=replace(POLICY, objectives=(DutyCycle(0.7),)), current=2)
    decision = story.sees(10, 10)
    assert decision.desired == 2
    assert decision.hold is not None


def test_bounds_cap_a_wish_and_say_so() -> None:
    story = Story(policy=replace(POLICY, replicas=Bounds(1, 3)), current=3)
    decision = story.sees(200, 200, 200)
    assert (decision.desired, decision.binding) == (3, "limits")
    assert "3 is the maximum" in decision.sentence


def test_pod_without_any_model_is_silent_not_idle() -> None:
    story = Story(current=2)
    seen = story.observation(10)
    seen = replace(seen, pods=(*seen.pods, Pod("flower-1", models=())))
    decision = story.sees(observed=seen)
    assert decision.desired == 2
    assert "flower-1: no signals" in decision.sentence


def test_signals_left_out_are_missing() -> None:
    assert isinstance(ModelSignals("m").arrivals, Missing)
    assert WINDOWS.slow > WINDOWS.fast


def test_overload_that_fails_readiness_probes_is_still_load() -> None:
    # Both pods are drowning, one so much that its probe fails: its backlog counts all the same.
    story = Story(current=2)
    seen = story.observation(90, 90, pending=50)
    drowning = replace(seen.pods[1], ready=False, created_at=story.now - 3600)
    decision = story.sees(observed=replace(seen, pods=(seen.pods[0], drowning)))
    assert decision.figures["requestsPerSecond"] == 180
    assert (decision.desired or 0) >= 3


def test_aibrix_617_one_unready_pod_does_not_stall_the_loop() -> None:
    story = Story(current=3)
    decision = story.sees(150, 150, starting=1)
    assert decision.desired == 4


def test_a_late_queue_gets_what_the_load_calls_for_not_a_blind_step() -> None:
    # 3 replicas carry 300/s of 100/s each: 4 are needed, and a step of half would make 5
    story = Story(current=3)
    assert story.sees(100, 100, 100, queue_time=0.08).desired == 4


def test_where_the_capacity_figure_is_too_good_the_queue_still_raises() -> None:
    story = Story(current=3)
    decision = story.sees(50, 50, 50, queue_time=0.08)
    assert (decision.desired, decision.binding) == (5, "queueTime")


def test_a_burst_that_has_just_passed_costs_one_more_not_half_as_many_again() -> None:
    # at 75 of 100/s each, as many as are called for
    story = Story(policy=replace(POLICY, replicas=Bounds(1, 20)), current=10)
    assert story.sees(*[75] * 10, queue_time=0.08).desired == 11


def test_a_fault_is_not_learned_as_capacity() -> None:
    # One pod stalls at 5/s a pod; 300/s a pod were carried before: no reason to size from 4/s.
    story = Story(policy=replace(POLICY, capacity=None), current=4)
    story.lasts(900, 300, 300, 300, 300, pending=2, peak=3)
    kept = story.state.bracket.kept
    assert kept == 300
    for _ in range(60):
        seen = story.observation(5, 5, 5)
        stalled = Pod("flower-3", models=(model(story.now, 0, pending=3, floor=3, peak=3),))
        story.sees(observed=replace(seen, pods=(*seen.pods, stalled)), after=15)
    assert (story.state.bracket.kept, story.state.bracket.broken) == (300, None)


def test_slow_answers_at_low_load_are_not_learned_as_capacity() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=1)
    story.lasts(900, 3, queue_time=0.2)  # less than one request waits at a time
    assert story.state.bracket.broken is None


def test_nothing_is_learned_from_the_few_that_speak() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=10, follow=False)
    for _ in range(60):
        story.sees(300, *[None] * 9, queue_time=0.2, after=15)
    assert (story.state.bracket.kept, story.state.bracket.broken) == (None, None)


def test_a_pod_that_tells_half_of_a_ratio_is_in_none_of_it() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=2)
    seen = story.observation(100, 1000, queue_time=0.2)
    gone = Missing("no queue counter")
    quiet = replace(seen.pods[1].models[0], queueing=gone, queueing_slow=gone)
    decision = story.sees(
        observed=replace(seen, pods=(seen.pods[0], replace(seen.pods[1], models=(quiet,))))
    )
    assert decision.figures["queueTime"] == pytest.approx(0.2)
    assert decision.desired == 3


def test_one_look_says_that_it_has_no_memory() -> None:
    story = Story(current=6)
    decision = story.sees(5, 5, 5, 5, 5, 5)
    assert decision.desired == 6
    assert decision.sentence.startswith("Stay at 6, not 1: this is the first look")


def test_a_pod_counted_from_series_that_misses_a_scrape_starts_no_cooldown() -> None:
    rules = ScalingRules(0.0, (ScalingPolicy("Percent", 100, 15.0),))
    paced = replace(POLICY, cooldown=Cooldown(600.0, 600.0), behavior=Behavior(rules, rules))
    story = Story(policy=paced, current=4, follow=False)
    for size in (4, 3, 4, 4):
        seen = story.observation(*[75] * size)
        story.sees(observed=replace(seen, replicas=Replicas(size, size, source="series")))
    assert story.state.scaled_at is None


def test_backlog_that_counts_is_named() -> None:
    story = Story(policy=replace(POLICY, objectives=(Demand(10.0),), sla=Sla()), current=2)
    decision = story.sees(155, 155, pending=60)
    assert "310 requests/s and 120 pending to drain in 10s are 3.22" in decision.sentence


def test_an_idle_fleet_then_a_breach_make_no_capacity_of_zero() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=1)
    story.lasts(900, 0)
    assert story.state.bracket.kept is None
    story.lasts(600, 60, queue_time=0.2, pending=12, peak=14)
    assert story.sees(60, queue_time=0.2, pending=12).desired is not None
