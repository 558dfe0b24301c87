"""A forecast may only raise, and only while it is right more often than headroom would be."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.decide.forecast import line, trusted
from autoscaler.decide.scoring import ENOUGH, pinball
from autoscaler.decide.seasons import learn, progress
from autoscaler.model import (
    ColdStart,
    Demand,
    Forecast,
    ForecastMemory,
    LoadAt,
    QueueTime,
    Score,
    Season,
    State,
)
from autoscaler.wire import to_json
from tests.unit.decide.fleets import POLICY, Story

DAY = 86400.0
STARTS = tuple(ColdStart(0.0, 100.0, 20.0, 60.0) for _ in range(3))  # 180 s to Ready


def foreseeing(
    trend: float | None = 600.0, season: float | None = None, **changes: object
) -> Story:
    rules = (Demand(60.0), QueueTime(0.05, 0.02), Forecast(trend, season))
    policy = replace(POLICY, objectives=rules, headroom=0.0)
    return Story(policy=replace(policy, **changes), current=5, state=State(cold_starts=STARTS))  # type: ignore[arg-type]


def carries(story: Story, load: float, slow: float | None = None, after: float = 15.0) -> str:
    """One tick with so many requests/s in all, on as many pods as there are; its sentence."""
    pods = [load / story.current] * story.current
    each = None if slow is None else slow / story.current
    return story.sees(*pods, slow=each, after=after).sentence


def ramp(story: Story, minutes: float, per_minute: float, start: float = 200.0) -> list[str]:
    """The slow window of 5 minutes tells of two minutes before the fast one."""
    said = []
    for number in range(int(minutes * 4)):
        load = start + per_minute * number / 4
        said.append(carries(story, load, max(start, load - 2 * per_minute)))
    return said


def test_a_steady_rise_is_carried_on_by_one_cold_start() -> None:
    story = foreseeing()
    said = ramp(story, 60, 6.0)
    raised = [text for text in said if "the trend says" in text]
    assert raised, said[-1]
    assert "when what is ordered now is Ready" in raised[0]
    memory = story.state.forecast
    assert trusted(memory, "trend")
    # 560/s at the end are 5.6 replicas' worth, rising by 0.06 a minute: 3.5 minutes on 5.8
    assert abs(memory.guesses[-1].trend - (memory.lately[-1].load + 3.5 * 0.06)) < 0.05  # type: ignore[operator]


def test_noise_is_not_trusted_and_raises_nothing() -> None:
    story, random = foreseeing(trend=300.0), Random(1)
    said = [carries(story, random.gauss(350, 30), 350.0) for _ in range(400)]
    assert not any("the trend says" in text for text in said)
    assert story.state.forecast.trend_score.guesses > ENOUGH
    decision = story.sees(*[350 / story.current] * story.current)
    assert any("the trend is not trusted: its error is" in note for note in decision.notes)


def test_before_a_cold_start_is_measured_it_has_no_say() -> None:
    story = foreseeing()
    story.state = State()
    decision = story.sees(50, 50, 50, 50, 50)
    assert "forecast has no say: no cold start is measured yet" in decision.notes
    assert story.state.forecast.lately, "it looks on meanwhile"


def test_what_is_not_known_in_whole_teaches_nothing() -> None:
    story = foreseeing()
    ramp(story, 20, 6.0)
    before = story.state.forecast
    decision = story.sees(70, None, 70, 70, 70)
    assert "forecast has no say: the load is not known in whole" in decision.notes
    assert story.state.forecast == before


def test_guesses_that_nobody_could_judge_in_time_are_dropped_unjudged() -> None:
    story = foreseeing()
    ramp(story, 20, 6.0)
    judged = story.state.forecast.trend_score.guesses
    carries(story, 300, after=3600)
    assert story.state.forecast.trend_score.guesses == judged


def test_a_clock_that_is_set_back_starts_it_anew() -> None:
    story = foreseeing()
    ramp(story, 20, 6.0)
    carries(story, 300, after=-7200)
    (only,) = story.state.forecast.lately
    assert only.at == story.now
    assert story.state.forecast.guesses == ()


def test_the_same_hour_of_other_days_raises_before_the_load_comes() -> None:
    """Each day from 08:00 on 600 instead of 200 requests/s, up within half an hour."""

    def load(now: float) -> float:
        return 200 + 400 * min(max((now % DAY - 8 * 3600) / 1800, 0.0), 1.0) * (now % DAY < 64800)

    story = foreseeing(trend=None, season=DAY)
    story.now = 10 * DAY
    raised = set()
    while story.now < 16 * DAY:
        if "the season says" in carries(story, load(story.now + 60), load(story.now - 60), 60.0):
            raised.add((int(story.now / DAY) - 10, story.now % DAY / 3600))
    assert raised
    assert min(day for day, _ in raised) >= 1, "the first day there is nothing to know"
    assert all(7.8 < hour < 8.8 for _, hour in raised), sorted(raised)


def test_it_never_more_than_doubles_a_fleet_of_some_size() -> None:
    story = foreseeing()
    score = Score(ENOUGH, loss=0.1, margin=1.0, raised=1.0, plain=100.0)
    story.state = replace(story.state, forecast=ForecastMemory(trend_score=score))
    sizes = []
    for number in range(60):
        rate = 400 + 40 * number
        before = story.current
        decision = story.sees(*[rate / before] * before, slow=200 / before, after=30.0)
        steps = [step for step in decision.trace if step.stage == "forecast"]
        sizes += [step.after / before for step in steps]
    assert sizes
    assert max(sizes) <= 2


def test_a_margin_that_asks_for_as_much_is_what_it_must_beat() -> None:
    assert math.isclose(pinball(3.0, 2.0, 0.9), 0.9)
    assert math.isclose(pinball(2.0, 3.0, 0.9), 0.1)
    assert not trusted(ForecastMemory(trend_score=Score(ENOUGH - 1, 0.0, 1.0)), "trend")
    assert trusted(ForecastMemory(trend_score=Score(ENOUGH, 0.5, 1.0)), "trend")
    assert not trusted(ForecastMemory(trend_score=Score(ENOUGH, 0.98, 1.0)), "trend")


def test_the_line_through_the_last_minutes() -> None:
    level, slope = line([LoadAt(0, 1.0), LoadAt(60, 1.5), LoadAt(120, 2.0)], 180.0)
    assert math.isclose(level, 2.5)
    assert math.isclose(slope * 60, 0.5)


def test_a_bin_of_the_day_is_its_mean_and_moves_by_a_third_with_each_day() -> None:
    season = Season()
    for at, load in ((0, 1.0), (450, 3.0), (900, 5.0), (1800, 0.0)):
        season = learn(season, DAY, at, load)
    assert season.bins[:3] == (2.0, 5.0, None)
    season = learn(replace(season, number=96, total=5.0, count=1), DAY, DAY + 900, 0.0)
    assert season.bins[0] == 3.0
    assert progress(season, DAY, 450, 900) == 1.0, "half way to the next bin's middle"
    assert progress(season, DAY, 450, 7200) is None, "nobody saw that time of day"


def test_what_it_remembers_of_a_week_stays_small() -> None:
    story = foreseeing(season=7 * DAY)
    for number in range(170):
        carries(story, 300 + number % 7, after=3600.0)
    ramp(story, 30, 1.0)
    assert len(to_json(story.state.forecast)) < 8_000


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=60), st.floats(5, 120))
def test_whatever_it_says_it_only_raises(rates: list[float], after: float) -> None:
    story = foreseeing(season=DAY)
    score = Score(ENOUGH, loss=0.1, margin=1.0, raised=1.0, plain=100.0)
    story.state = replace(
        story.state, forecast=ForecastMemory(trend_score=score, season_score=score)
    )
    for rate in rates:
        decision = story.sees(*[rate / story.current] * story.current, after=after)
        for step in decision.trace:
            if step.stage == "forecast":
                assert step.after > step.before
