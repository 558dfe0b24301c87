"""Pods that crash, run out of memory, pull in vain or find no node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.decide.failing import broken
from autoscaler.model import ColdStart, Decision, Metric, Pod, Sample, Sla, State
from tests.unit.decide.fleets import POLICY, Story

LOOP = "CrashLoopBackOff (container triton, 5 restarts, last ended by Error (exit code 1))"
NO_NODE = "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
UNSIZED = replace(POLICY, capacity=None)


def failing(name: str, node: str | None, why: str = LOOP, age: float = 30.0) -> Pod:
    now = 1_000_005.0
    scheduled = now - age + 1 if node else None
    return Pod(
        name,
        ready=False,
        created_at=now - age,
        node=node,
        scheduled_at=scheduled,
        waiting=why,
    )


def sees(story: Story, *pods: Pod, rates: tuple[float, ...], after: float = 5.0) -> Decision:
    story.now += after
    seen = story.observation(*rates, queue_time=0.08)
    return story.sees(observed=replace(seen, pods=(*seen.pods, *pods)), after=0.0)


@pytest.mark.parametrize(
    ("words", "is_broken"),
    [
        (LOOP, True),
        ("ImagePullBackOff (container triton): Back-off pulling image", True),
        ("ErrImagePull (container triton): not found", True),
        ("container triton ended by OOMKilled (exit code 137)", True),
        ("running, not Ready (container triton, 3 restarts, last ended by OOMKilled (…))", True),
        ("running, not Ready (container triton, 1 restart, last ended by Error (…))", False),
        ("running, not Ready: containers with unready status: [triton]", False),
        ("ContainerCreating (container triton)", False),
        (NO_NODE, False),
        ("no node yet", False),
    ],
)
def test_what_counts_as_broken(words: str, is_broken: bool) -> None:
    assert broken(Pod("p", ready=False, waiting=words)) == is_broken


def test_a_crash_looping_pod_is_no_supply_and_is_named() -> None:
    story = Story(policy=UNSIZED, current=3)
    decision = sees(story, failing("flower-bad", "gpu-1"), rates=(60, 60))
    assert decision.figures["arriving"] == 0
    assert decision.desired == 5  # it may be its node
    assert any("flower-bad" in note and "CrashLoopBackOff" in note for note in decision.notes)


def test_where_every_new_pod_crashes_nothing_more_is_ordered() -> None:
    story = Story(policy=UNSIZED, current=4)
    bad = [failing(f"flower-bad-{n}", f"gpu-{n}") for n in range(2)]
    decision = sees(story, *bad, rates=(60, 60))
    assert (decision.desired, decision.binding) == (4, "lost")
    assert "every new pod fails, flower-bad-0 and 1 more (CrashLoopBackOff" in decision.sentence
    assert decision.flip == "one of them Ready would let it go"


def test_no_crash_loop_runs_up_to_the_maximum() -> None:
    story = Story(policy=UNSIZED, current=2)
    pods: list[Pod] = []
    for tick in range(60):
        while len(pods) < story.current - 2:
            pods.append(failing(f"flower-new-{len(pods)}", f"gpu-{len(pods)}", age=0.0))
        sees(story, *pods, rates=(60, 60), after=15)
        assert tick < 3 or story.current <= 5, story.current
    assert story.current <= 5


def test_one_that_gets_ready_lets_growth_go_on() -> None:
    story = Story(policy=UNSIZED, current=4)
    bad = [failing(f"flower-bad-{n}", f"gpu-{n}") for n in range(2)]
    assert sees(story, *bad, rates=(60, 60)).desired == 4
    seen = story.observation(60, 60, queue_time=0.08)
    up = replace(seen.pods[1], created_at=story.now - 1)
    pods = (seen.pods[0], up, *bad)
    assert story.sees(observed=replace(seen, pods=pods), after=5.0).binding != "lost"


def test_two_that_crash_on_one_node_may_be_the_nodes_fault() -> None:
    story = Story(policy=UNSIZED, current=4)
    bad = [failing(f"flower-bad-{n}", "gpu-0") for n in range(2)]
    assert (sees(story, *bad, rates=(60, 60)).desired or 0) > 4


def test_pods_that_served_and_ran_out_of_memory_are_a_matter_of_load() -> None:
    # Overload kills them one by one: more replicas do help.
    story = Story(policy=UNSIZED, current=4)
    sees(story, rates=(60, 60, 60, 60))
    oom = "CrashLoopBackOff (container triton, 2 restarts, last ended by OOMKilled (exit code 137))"
    story.current = 4
    seen = story.observation(60, 60, queue_time=0.08)
    dead = [
        replace(pod, ready=False, waiting=oom, models=(), node=f"gpu-{n}", scheduled_at=1.0,
                created_at=story.now - 7200)
        for n, pod in enumerate(story.observation(60, 60, 60, 60).pods[2:])
    ]  # fmt: skip
    decision = story.sees(observed=replace(seen, pods=(*seen.pods, *dead)), after=5.0)
    assert (decision.desired or 0) > 4


def test_dynamo_14251_what_cannot_be_scheduled_is_lost_and_not_asked_for_again() -> None:
    story = Story(policy=UNSIZED, current=4)
    homeless = [failing(f"flower-{n}", None, NO_NODE, age=3600) for n in (8, 9)]
    decision = sees(story, *homeless, rates=(60, 60))
    assert (decision.desired, decision.binding) == (4, "lost")
    assert "no node for flower-8 (Unschedulable: 0/3 nodes" in decision.sentence
    assert any("capacity lost: no node came within 15m" in note for note in decision.notes)
    # and once a node comes, it goes on
    sees(story, rates=(60, 60, 60, 60))
    assert sees(story, rates=(60, 60, 60, 60), after=70).desired == 6


def test_a_pod_that_waits_for_a_node_is_on_its_way_until_then() -> None:
    story = Story(policy=UNSIZED, current=3)
    decision = sees(story, failing("flower-9", None, NO_NODE, age=300), rates=(60, 60))
    assert decision.desired == 3
    assert "1 replica is on the way" in decision.sentence


def test_with_node_waits_measured_it_is_lost_sooner() -> None:
    story = Story(policy=UNSIZED, current=3)
    start = ColdStart(1.0, 60.0, 20.0, 20.0)
    story.state = State(replicas=3, cold_starts=(start,) * 3)
    decision = sees(story, failing("flower-9", None, NO_NODE, age=300), rates=(60, 60))
    assert decision.binding == "lost"


def test_failing_pods_are_no_reason_to_scale_in() -> None:
    # 20 % above its target; a Value is scaled by the Ready pods: 3 × 1.2 = 4 of 6.
    metric = Metric("metric-1", "q", value=100.0)
    policy = replace(POLICY, sla=Sla(), objectives=(metric,), capacity=None)
    story = Story(policy=policy, current=6)
    story.lasts(600, 1, 1, 1, 1, 1, 1)
    bad = [failing(f"flower-bad-{n}", f"gpu-{n}") for n in range(3)]
    for _ in range(40):
        story.now += 15
        seen = story.observation(1, 1, 1)
        seen = replace(
            seen,
            pods=(*seen.pods, *bad),
            metrics={"metric-1": Sample(120.0, story.now)},
        )
        assert story.sees(observed=seen, after=0.0).desired == 6


def test_a_crash_loop_does_not_keep_an_idle_fleet_up() -> None:
    story = Story(current=6)
    story.lasts(600, 75, 75, 75, 75, 75)
    bad = failing("flower-bad", "gpu-9")
    for _ in range(60):
        story.now += 15
        seen = story.observation(*[20] * 5)
        story.sees(observed=replace(seen, pods=(*seen.pods, bad)), after=0.0)
    assert story.current <= 2
