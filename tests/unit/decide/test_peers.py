"""Bugs that users of other autoscalers reported in public, as stories that must end well here.

Named test_<peer>_<issue>_<what>: kedacore/keda, knative/serving, ai-dynamo/dynamo, ray-project/ray,
DataDog/watermarkpodautoscaler, zalando-incubator/kube-metrics-adapter, kubernetes/kubernetes.
"""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import (
    Cooldown,
    Demand,
    DutyCycle,
    Metric,
    Missing,
    Pod,
    QueueTime,
    Sample,
    Sla,
    WhenBlind,
)
from tests.unit.decide.fleets import POLICY, Story, blind, model


def test_keda_965_an_outage_holds_the_last_size() -> None:
    story = Story(current=4)
    story.lasts(60, 75, 75, 75, 75)
    outage = [story.sees(observed=blind(story), after=60) for _ in range(60)]
    assert {d.desired for d in outage} == {4}
    assert all(d.hold for d in outage)


def test_keda_6659_a_fallback_never_overrides_a_higher_wish() -> None:
    story = Story(policy=replace(POLICY, when_blind=WhenBlind(hold=0.0, replicas=2)), current=6)
    assert story.sees(observed=blind(story)).desired == 6


def test_keda_4249_a_fallback_does_not_flap() -> None:
    # Every other look fails: the size moves once at most.
    rule = WhenBlind(hold=60.0, replicas=6)
    story = Story(policy=replace(POLICY, when_blind=rule), current=4)
    sizes = []
    for _ in range(40):
        sizes.append(story.sees(observed=blind(story), after=15).desired)
        sizes.append(story.sees(*[75] * story.current, after=15).desired)
    assert set(sizes) == {4}


def test_keda_6844_the_cooldown_holds_between_any_two_sizes_not_only_before_zero() -> None:
    story = Story(policy=replace(POLICY, cooldown=Cooldown(0.0, 600.0)), current=2)
    assert story.sees(155, 155).desired == 4
    held = story.lasts(585, 20, 20, 20, 20)
    assert {d.desired for d in held} == {4}
    assert story.lasts(45, 20, 20, 20, 20)[-1].desired == 1


def test_keda_queue_time_is_no_proportion() -> None:
    # Its documentation's arithmetic: 3 replicas at 20 against a target of 5 make 12.
    policy = replace(POLICY, capacity=None, objectives=(QueueTime(0.005, 0.001),))
    story = Story(policy=policy, current=3)
    assert story.sees(50, 50, 50, queue_time=0.02).desired == 5


def test_kube_metrics_adapter_597_one_missing_metric_does_not_freeze_growth() -> None:
    objectives = (Metric("metric-1", "x", average_value=1.0), Demand())
    story = Story(policy=replace(POLICY, objectives=objectives), current=2)
    seen = replace(story.observation(155, 155), metrics={"metric-1": Missing("empty result")})
    assert story.sees(observed=seen).desired == 4


def test_wpa_121_slow_starting_pods_do_not_scale_down_a_fleet_over_its_mark() -> None:
    # Two pods drown at 95 % duty, four more are loading: the mean over six must not count.
    policy = replace(POLICY, capacity=None, sla=Sla(), objectives=(DutyCycle(0.7),))
    story = Story(policy=policy, current=6)
    busy = story.observation(100, 100, starting=4)
    pods = tuple(
        replace(p, duty_cycle=Sample(0.95, story.now)) if p.ready else p for p in busy.pods
    )
    assert story.sees(observed=replace(busy, pods=pods)).desired == 6


def test_dynamo_9294_two_and_one_do_not_flap() -> None:
    # 110/s: one replica carries 80 with headroom, so two are needed although each looks idle.
    story = Story(current=2)
    sizes = {d.desired for d in story.lasts(3600, 55, 55)}
    assert sizes == {2}


def test_dynamo_14251_pods_that_cannot_be_scheduled_are_not_waited_for_for_ever() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=4)
    seen = story.observation(60, 60, queue_time=0.08)
    lost = tuple(
        Pod(f"flower-lost-{n}", ready=False, phase="Pending", created_at=story.now - 3600)
        for n in range(2)
    )
    decision = story.sees(observed=replace(seen, pods=(*seen.pods, *lost)))
    assert (decision.desired or 0) > 4
    assert any("not Ready for too long" in note for note in decision.notes)


def test_knative_13284_starting_replicas_end_the_panic() -> None:
    story = Story(policy=replace(POLICY, capacity=None), current=1)
    assert story.sees(90, queue_time=0.5, pending=80).desired == 2
    for _ in range(24):  # two minutes of model loading at a 5 s tick
        assert story.sees(90, queue_time=0.5, pending=80, starting=1).desired == 2


def test_ray_delays_are_seconds_not_ticks() -> None:
    # The same ten minutes at 5 s and at 60 s ticks come down at the same time.
    ends = []
    for step in (5.0, 60.0):
        story, began = Story(current=4), 0.0
        story.sees(75, 75, 75, 75)
        began = story.now
        while story.current == 4:
            story.sees(20, 20, 20, 20, after=step)
        ends.append(story.now - began)
    assert abs(ends[0] - ends[1]) <= 60


def test_kubernetes_72775_a_rollout_does_not_inflate_the_size() -> None:
    # Old and new pods at once, the old ones terminating: their load is not counted twice.
    story = Story(current=3)
    seen = story.observation(75, 75, 75)
    leaving = tuple(
        Pod(f"flower-old-{n}", terminating=True, models=(model(story.now, 75),)) for n in range(3)
    )
    assert story.sees(observed=replace(seen, pods=(*seen.pods, *leaving))).desired == 3
