"""What is saved of a state decides as the whole of it would have."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.decide.behavior import remember, stabilize
from autoscaler.model import Behavior, Recommendation, ScalingRules, State
from autoscaler.policy.compile import HPA_DEFAULTS
from autoscaler.run.history import condensed

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=60)
windows = st.sampled_from([0.0, 30.0, 60.0, 300.0])


def behavior(up: float, down: float) -> Behavior:
    assert HPA_DEFAULTS is not None
    rules: ScalingRules = HPA_DEFAULTS.scale_up
    return Behavior(
        scale_up=replace(rules, stabilization_window=up),
        scale_down=replace(rules, stabilization_window=down),
    )


@given(sizes, sizes, st.integers(1, 6), windows, windows)
def test_stabilization_cannot_tell_a_condensed_history_from_the_whole(
    before: list[int], after: list[int], current: int, up: float, down: float
) -> None:
    rules, now = behavior(up, down), 10_000.0
    whole: tuple[Recommendation, ...] = ()
    for size in before:
        now += 5.0
        whole = remember(rules, whole, size, now)
    short = condensed(State(recommendations=whole)).recommendations
    assert len(short) <= len(set(before))
    for size in after:
        now += 5.0
        assert stabilize(rules, whole, current, size, now) == stabilize(
            rules, short, current, size, now
        )
        whole = remember(rules, whole, size, now)
        short = condensed(State(recommendations=remember(rules, short, size, now))).recommendations


@given(sizes)
def test_nothing_but_wishes_is_condensed(wishes: list[int]) -> None:
    history = tuple(Recommendation(float(at), size) for at, size in enumerate(wishes))
    state = State(recommendations=history, scaled_at=5.0, replicas=3)
    assert replace(condensed(state), recommendations=history) == state
