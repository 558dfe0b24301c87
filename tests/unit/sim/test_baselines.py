"""HPA, KEDA and KPA as simulated, against the rules that their sources state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.model import Behavior, Bounds, ScalingPolicy, ScalingRules
from autoscaler.sim.baselines import queries
from autoscaler.sim.baselines.hpa import Hpa, HpaSettings
from autoscaler.sim.baselines.keda import Keda, KedaSettings
from autoscaler.sim.baselines.kpa import Kpa, KpaLoop, KpaSettings
from autoscaler.sim.baselines.static import Static
from tests.unit.sim.fleets import Fleet

BOUNDS = Bounds(1, 20)
# Nothing remembered, nothing limited: what the metric asks for is what happens.
AT_ONCE = Behavior(
    ScalingRules(0.0, (ScalingPolicy("Pods", 100, 15.0),)),
    ScalingRules(0.0, (ScalingPolicy("Percent", 100, 15.0),)),
)


def hpa_wants(fleet: Fleet, now: float = 300.0, **settings) -> int:
    scaler = Hpa("hpa", HpaSettings(**({"rules": AT_ONCE} | settings)), BOUNDS)
    return scaler.wants(fleet, now)


# --- queries -------------------------------------------------------------------------------------


def test_a_rate_spans_its_window_and_no_more():
    fleet = Fleet().serve(1, scrapes=0)
    old = [(0.0, 0.0), (15.0, 15_000.0)]  # 1,000/s, then nobody
    new = [(30.0 + 15 * n, 15_000.0) for n in range(19)]
    fleet.groups[0].readings.extend(
        [queries.Reading(at, success, 0.0, 0.0, 0.0) for at, success in (*old, *new)]
    )
    assert queries.request_rate(60, 15)(fleet.groups[0]) == 0
    assert queries.request_rate(300, 15)(fleet.groups[0]) == 50  # 15,000 in 300 s


def test_a_pod_scraped_once_has_no_rate_but_a_gauge():
    (group,) = Fleet().serve(1, rate=100, pending=7, duty=0.5, scrapes=1).groups
    assert queries.request_rate(60, 15)(group) is None
    assert queries.sample_queue_time(30, 15)(group) is None
    assert (queries.pending(group), queries.duty_cycle(group)) == (7, 50)


def test_nvidias_rule_divides_by_one_too_many():
    # 2 requests in 30 s that waited 30 ms together: 15 ms each, and the rule reads 10.
    (group,) = Fleet().serve(1, rate=2 / 30, queueing=0.001).groups
    assert queries.sample_queue_time(30, 15)(group) == pytest.approx(10_000)


def test_a_sum_over_nobody_is_no_answer_rather_than_nothing():
    assert queries.total(Fleet(), queries.pending) is None
    assert queries.total(Fleet().serve(3, pending=2).serve(1, pending=5), queries.pending) == 11


# --- HPA -----------------------------------------------------------------------------------------


def test_hpa_on_duty_cycle_is_mean_over_target_times_pods():
    # 0.84 of 70 is 1.2: 5 pods become 6.
    assert hpa_wants(Fleet().serve(5, duty=0.84), metric="dutyCycle", target=70) == 6


def test_hpa_stays_within_a_tenth_of_the_target():
    assert hpa_wants(Fleet().serve(5, duty=0.76), metric="dutyCycle", target=70) == 5
    assert (
        hpa_wants(Fleet().serve(5, duty=0.76), metric="dutyCycle", target=70, tolerance=0.05) == 6
    )


def test_hpa_at_85_never_sees_a_saturated_bert():
    # Saturated it reads 0.84 to 0.87 (recorded): within the tolerance of 93.5.
    assert hpa_wants(Fleet().serve(2, duty=0.87), metric="dutyCycle", target=85) == 2


def test_hpa_counts_pods_on_their_way_as_idle_when_growing():
    # (4 × 1,400 + 2 × 0) / 6 = 933 of 800 is 1.17: 6 × 1.17 = 7; without them it would ask for 7
    # of 4 as well, and two more than the two that come.
    fleet = Fleet().serve(4, rate=1400).start(2)
    assert hpa_wants(fleet, metric="requestsPerSecond", target=800) == 7
    assert hpa_wants(fleet, metric="requestsPerSecond", target=900) == 6


def test_hpa_counts_a_pod_without_series_as_on_target_when_shrinking():
    # (4 × 400 + 1 × 800) / 5 = 480 of 800: 3 pods; as idle it would be 2.
    fleet = Fleet().serve(4, rate=400).start(1, "loading")
    assert hpa_wants(fleet, metric="requestsPerSecond", target=800) == 3


def test_hpa_on_nvidias_50_microseconds_wants_all_there_is():
    # A batching server with nothing to do but wait for its batches: 7 ms.
    fleet = Fleet().serve(3, rate=300, queueing=300 * 0.007)
    assert hpa_wants(fleet, metric="queueTime", target=50, window=30) == BOUNDS.max


def test_hpa_holds_what_it_cannot_read():
    assert hpa_wants(Fleet().start(3, "loading"), metric="requestsPerSecond", target=800) == 3


def test_hpa_does_nothing_between_two_syncs():
    scaler = Hpa("hpa", HpaSettings("dutyCycle", 70, rules=AT_ONCE), BOUNDS)
    idle, busy = Fleet().serve(5, duty=0.7), Fleet().serve(5, duty=0.84)
    assert scaler.wants(idle, 0.0) == 5
    assert scaler.wants(busy, 10.0) == 5
    assert scaler.wants(busy, 15.0) == 6


def test_hpa_without_behavior_keeps_its_first_size_for_five_minutes():
    scaler = Hpa("hpa", HpaSettings("dutyCycle", 70), BOUNDS)
    idle = Fleet().serve(5, duty=0.1)
    assert [scaler.wants(idle, at) for at in (0.0, 300.0, 315.0)] == [5, 5, 1]


# --- KEDA ----------------------------------------------------------------------------------------


def keda(**settings) -> Keda:
    least = settings.pop("least", 1)
    given = {"threshold": 1000.0, "rules": AT_ONCE} | settings
    return Keda("keda", KedaSettings(**given), Bounds(least, 20))


def test_keda_divides_the_total_whatever_the_pods_on_their_way():
    fleet = Fleet().serve(4, rate=1400).start(2)
    assert keda(threshold=800.0).wants(fleet, 0.0) == 7  # 5,600 / 800
    assert keda(threshold=1100.0).wants(fleet, 0.0) == 6  # 5.1, where 6 is no tenth away


def test_keda_asks_afresh_at_each_sync_of_the_hpa():
    scaler = keda()
    assert scaler.wants(Fleet().serve(2, rate=1000), 0.0) == 2
    assert scaler.wants(Fleet().serve(2, rate=1500), 15.0) == 3


def test_keda_with_cached_metrics_waits_for_its_next_poll():
    scaler = keda(use_cached_metrics=True)
    assert scaler.wants(Fleet().serve(2, rate=1000), 0.0) == 2
    assert scaler.wants(Fleet().serve(2, rate=1500), 15.0) == 2
    assert scaler.wants(Fleet().serve(2, rate=1500), 30.0) == 3


def test_keda_on_pending():
    assert keda(metric="pending", threshold=10.0).wants(Fleet().serve(2, pending=30), 0.0) == 6


def test_keda_s_cooldown_governs_only_the_step_to_zero():
    quiet = Fleet().serve(3)
    assert keda().wants(quiet, 0.0) == 1  # minReplicaCount 1: the HPA, at once
    scaler = keda(least=0)
    assert scaler.wants(Fleet().serve(3, rate=100), 0.0) == 1
    one = Fleet().serve(1)
    assert [scaler.wants(one, at) for at in (30.0, 300.0, 330.0)] == [1, 1, 0]


def test_keda_wakes_from_zero_only_by_what_is_still_exported():
    """With no replica there is no counter of Triton's, so that nothing is ever active again."""
    scaler = keda(least=0)
    assert [scaler.wants(Fleet(), at) for at in (0.0, 30.0, 600.0)] == [0, 0, 0]
    fleet = Fleet().serve(1, rate=100)
    fleet.desired = 0  # another Deployment's counters matched the query
    assert scaler.wants(fleet, 630.0) == 1


# --- KPA -----------------------------------------------------------------------------------------

KPA = KpaSettings(target=100.0)


def test_kpa_in_stable_mode_is_average_over_target_rounded_up():
    loop = KpaLoop(KPA, ready=1, now=0.0)
    assert loop.scale(stable=101, panic=101, ready=2, now=0.0) == 2
    assert loop.scale(stable=201, panic=201, ready=2, now=2.0) == 3


def test_kpa_at_most_halves_at_once():
    loop = KpaLoop(KPA, ready=1, now=0.0)
    assert loop.scale(stable=0, panic=0, ready=9, now=0.0) == 4  # floor(9 / 2)


def test_kpa_may_always_grow_by_one():
    loop = KpaLoop(replace(KPA, max_scale_up_rate=1.1), ready=1, now=0.0)
    assert loop.scale(stable=900, panic=900, ready=2, now=0.0) == 3  # ceil(2 × 1.1)


def test_kpa_panics_at_twice_its_ready_pods_and_then_never_shrinks():
    loop = KpaLoop(KPA, ready=1, now=0.0)
    assert loop.scale(stable=100, panic=199, ready=2, now=0.0) == 1  # 2 pods of 2: calm
    assert loop.scale(stable=100, panic=301, ready=2, now=2.0) == 4  # 4 of 2: panic
    assert loop.scale(stable=100, panic=100, ready=2, now=4.0) == 4
    assert loop.scale(stable=100, panic=100, ready=4, now=62.0) == 4  # 60 s after: still
    assert loop.scale(stable=100, panic=100, ready=4, now=64.0) == 2  # halved


def test_kpa_panic_is_prolonged_by_each_look_that_is_over():
    loop = KpaLoop(KPA, ready=1, now=0.0)
    loop.scale(stable=100, panic=400, ready=2, now=0.0)
    loop.scale(stable=100, panic=400, ready=2, now=40.0)
    assert loop.scale(stable=100, panic=100, ready=4, now=90.0) == 4
    assert loop.scale(stable=100, panic=100, ready=4, now=102.0) == 2


def test_kpa_takes_the_stable_wish_where_that_is_the_higher_one():
    loop = KpaLoop(KPA, ready=1, now=0.0)
    assert loop.scale(stable=900, panic=400, ready=2, now=0.0) == 9


def test_kpa_that_starts_over_several_pods_panics_first():
    loop = KpaLoop(KPA, ready=5, now=0.0)
    assert loop.scale(stable=0, panic=0, ready=5, now=10.0) == 5
    assert loop.scale(stable=0, panic=0, ready=5, now=62.0) == 2


def test_kpa_scale_down_delay_keeps_the_highest_wish_of_it():
    loop = KpaLoop(replace(KPA, scale_down_delay=30.0), ready=1, now=0.0)
    seen = [
        loop.scale(stable=wish, panic=wish, ready=5, now=at)
        for at, wish in ((0.0, 450), (10.0, 500), (20.0, 250), (38.0, 250), (40.0, 250))
    ]
    assert seen == [5, 5, 5, 5, 3]


def kpa_over(rates: list[float], settings: KpaSettings) -> list[int]:
    """One step of 5 s at each rate, two pods; asked after each."""
    scaler, fleet, wants = Kpa("kpa", settings, BOUNDS), Fleet().serve(2), []
    scaler._loop = KpaLoop(settings, ready=1, now=0.0)
    for step, rate in enumerate([0.0, *rates]):
        fleet.totals.sent += 5 * rate
        wants.append(scaler.wants(fleet, 5.0 * step))
    return wants[1:]


def test_kpa_averages_over_its_windows():
    calm = replace(KPA, panic_threshold=99.0)
    # 1,200/s for 5 s among 0 are 100/s over 60 s; it leaves the window after 12 steps.
    wants = kpa_over([0.0] * 11 + [1200.0] + [0.0] * 12, calm)
    assert wants[10:12] == [1, 1]
    assert wants[22] == 1
    assert kpa_over([0.0] * 11 + [1201.0], calm)[-1] == 2
    # Panic: 6 s are this step and a second of the last one, 480/s × 5/6 = 400/s.
    assert kpa_over([0.0] * 11 + [480.0], KPA)[-1] == 4
    assert kpa_over([0.0] * 11 + [481.0], KPA)[-1] == 5
    assert kpa_over([0.0] * 11 + [320.0], KPA)[-1] == 1  # 267/s: 3 of 2 pods are no panic


def test_kpa_stays_within_its_bounds():
    assert kpa_over([1e6], KPA) == [20]


def test_kpa_does_not_count_who_found_no_pod():
    scaler, fleet = Kpa("kpa", KPA, BOUNDS), Fleet(desired=1)
    scaler.wants(fleet, 0.0)
    fleet.totals.sent = fleet.totals.lost = 5000.0
    assert scaler.wants(fleet, 5.0) == 1


def test_static_is():
    assert Static(7).wants(Fleet(), 0.0) == 7
