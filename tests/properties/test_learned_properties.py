"""What age may do to learned capacity: make the fleet larger, never smaller."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.decide import decide
from autoscaler.decide.bracket import DAY, believed, when_broken, when_kept
from autoscaler.model import Bracket, Missing, Recommendation, State
from tests.unit.decide.fleets import POLICY, Story

NOW = 1_795_183_500.0
AGES = st.floats(0, 400 * DAY)
RATES = st.floats(0.1, 1e4)


@st.composite
def brackets(draw: st.DrawFn) -> Bracket:
    """As learning leaves them: kept < broken, either end missing, each with its date."""
    kept = draw(st.none() | RATES)
    above = draw(st.none() | st.floats(1.01, 9.0))
    broken = None if above is None else (kept or 10.0) * above
    since = draw(st.lists(AGES, min_size=3, max_size=3))
    return Bracket(
        kept=kept,
        kept_at=None if kept is None else NOW - max(since[:2]),
        broken=broken,
        broken_at=None if broken is None else NOW - since[2],
        kept_confirmed_at=None if kept is None else draw(st.sampled_from([None, NOW - since[0]])),
    )


@given(brackets(), AGES, AGES)
def test_nothing_is_believed_more_for_being_older(
    bracket: Bracket, sooner: float, later: float
) -> None:
    first, second = sorted((sooner, later))
    before, after = believed(bracket, NOW + first), believed(bracket, NOW + second)
    if bracket.kept is None:
        assert (before, after) == (None, None)
    else:
        assert before is not None
        assert after is not None
        assert 0.5 * bracket.kept <= after <= before <= bracket.kept  # unknown is never zero


@given(brackets(), RATES, st.floats(0, 0.9))
def test_what_was_seen_to_keep_the_sla_is_believed_at_least(
    bracket: Bracket, rate: float, headroom: float
) -> None:
    seen = when_kept(bracket, rate, headroom, NOW)
    assert (seen.kept or 0.0) >= rate
    assert (believed(seen, NOW) or 0.0) >= (believed(bracket, NOW) or 0.0)
    assert (believed(seen, NOW) or 0.0) <= max(rate, bracket.kept or 0.0)
    assert seen.broken is None or seen.broken > (seen.kept or 0.0)


@given(brackets(), RATES, st.floats(0, 99))
def test_a_breach_raises_nothing(bracket: Bracket, rate: float, waiting: float) -> None:
    seen = when_broken(bracket, rate, waiting, NOW)
    assert (believed(seen, NOW) or 0.0) <= (believed(bracket, NOW) or 0.0)
    assert seen.broken is None or seen.kept is None or seen.kept < seen.broken


@given(
    brackets(),
    st.floats(0, 400 * DAY),
    st.lists(st.none() | st.floats(0, 2000), min_size=1, max_size=6),
    st.floats(0, 4),
    st.floats(0, 40),
)
def test_a_fleet_with_old_evidence_is_no_smaller_than_with_fresh(
    bracket: Bracket, age: float, rates: list[float | None], pending: float, peak: float
) -> None:
    """The same fleet, where the SLA is kept, and the same evidence at two ages."""
    policy = replace(POLICY, capacity=None)
    aged = replace(
        bracket,
        kept_at=None if bracket.kept_at is None else bracket.kept_at - age,
        kept_confirmed_at=None
        if bracket.kept_confirmed_at is None
        else bracket.kept_confirmed_at - age,
        broken_at=None if bracket.broken_at is None else bracket.broken_at - age,
    )
    story = Story(policy=policy, now=NOW, current=len(rates))
    seen = story.observation(*rates, pending=pending, peak=max(peak, pending))
    calm = State(
        replicas=len(rates),
        serving=len(rates),
        calm_since=NOW - 900,
        recommendations=(Recommendation(NOW - 900, 1),),  # every window is over: it may shrink
    )
    fresh, old = (
        decide(policy, seen, replace(calm, bracket=evidence), NOW)[0].desired
        for evidence in (bracket, aged)
    )
    assert fresh is not None
    assert old is not None
    assert old >= fresh


@given(brackets(), AGES)
def test_age_does_not_make_a_hold_of_missing_data_a_scale_in(bracket: Bracket, age: float) -> None:
    policy = replace(POLICY, capacity=None)
    story = Story(policy=policy, now=NOW + age, current=3)
    silent = replace(story.observation(None, None, None), notes=("nobody answers",))
    assert isinstance(silent.pods[0].models[0].arrivals, Missing)
    state = State(replicas=3, calm_since=NOW - 900, bracket=bracket)
    assert decide(policy, silent, state, NOW + age)[0].desired == 3
