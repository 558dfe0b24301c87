"""The learned peak: what it asks for follows the traffic, and it says how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.decide import peak
from autoscaler.decide.scoring import ENOUGH, IN_TIME
from autoscaler.model import (
    ColdStart,
    Demand,
    Forecast,
    PeakGuess,
    PeakMemory,
    Score,
    State,
)
from autoscaler.wire import to_json
from tests.unit.decide.fleets import POLICY, Story

SPAN, AHEAD, TICK = 120.0, 120.0, 15.0


def learning(
    load: Callable[[float], float], hours: float, memory: PeakMemory | None = None
) -> Iterator[tuple[float, float, PeakMemory]]:
    """(time, what is said, memory), tick by tick; the fast window is a minute's mean."""
    known = memory or PeakMemory()
    loads: list[float] = []
    for tick in range(int(hours * 3600 / TICK)):
        now = 1_000_000.0 + tick * TICK
        loads = [*loads[-3:], load(now)]
        fast = sum(loads) / len(loads)
        known = peak.look(known, SPAN, now, fast)
        said, known = peak.say(known, SPAN, now, AHEAD, fast)
        assert said is not None
        yield now, said, known


def saw(now: float) -> float:
    """4 to 8 replicas' worth within 20 minutes, and back."""
    share = now % 2400 / 1200
    return 4 + 4 * (share if share <= 1 else 2 - share)


def noise(sigma: float, seed: int = 1) -> Callable[[float], float]:
    random = Random(seed)
    return lambda now: max(0.0, random.gauss(5, sigma))


def test_on_smooth_load_it_learns_to_carry_a_rise_on() -> None:
    *_, (_, _, memory) = learning(saw, 12)
    rising = [
        (said, saw(now), saw(now + AHEAD + SPAN))
        for now, said, _ in learning(saw, 1, memory)
        if 400 < now % 2400 < 900
    ]
    assert all(said > here for said, here, _ in rising)
    short = [coming - said for said, _, coming in rising]
    assert max(short) < 0.5, "the rise of 0.8 until then is seen coming"
    falling = [(said, saw(now)) for now, said, _ in learning(saw, 1, memory) if now % 2400 > 1800]
    assert sum(said - here for said, here in falling) < sum(said - here for said, here, _ in rising)
    assert sum(memory.weights[1:3]) > 1


def test_on_load_that_scatters_it_looks_past_a_jump() -> None:
    *_, (_, _, memory) = learning(noise(1.5), 24)
    rise, jump = memory.weights[1:3]
    assert rise + jump < 0, "what is above the mean of five minutes does not last"


def test_seven_of_ten_spans_stay_under_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    judged, learned = [], peak._learned

    def look_on(memory: PeakMemory, guess: PeakGuess) -> PeakMemory:
        judged.append(guess.top <= guess.said)
        return learned(memory, guess)

    monkeypatch.setattr(peak, "_learned", look_on)
    for sigma in (0.2, 1.0):
        judged.clear()
        for _ in learning(noise(sigma, 2), 48):
            pass
        late = judged[len(judged) // 2 :]
        assert len(late) > 2000
        assert 0.65 < sum(late) / len(late) < 0.76


def test_a_minute_of_nonsense_does_not_stop_it_from_learning() -> None:
    calm = noise(1.5)

    def load(now: float) -> float:
        return 5_000.0 if 7_200 <= now - 1_000_000 < 7_260 else calm(now)

    *_, (_, _, memory) = learning(load, 36)
    assert memory.weights[5] > 0.1, "what the last hour saw counts, with traffic like this"


def test_it_is_trusted_after_forty_guesses_and_while_it_errs_little() -> None:
    first = next(now for now, _, known in learning(saw, 3) if peak.trusted(known))
    assert 1200 < first - 1_000_000 < 3600
    assert not peak.trusted(PeakMemory(score=Score(ENOUGH, loss=1.2, margin=1.0)))
    assert peak.trusted(PeakMemory(score=Score(ENOUGH, loss=1.0, margin=1.0)))


def test_a_span_that_nobody_looked_at_teaches_nothing() -> None:
    *_, (now, _, memory) = learning(saw, 2)
    later = now + AHEAD + SPAN + IN_TIME + 1
    after = peak.look(memory, SPAN, later, 20.0)
    assert after.weights == memory.weights
    assert after.score == memory.score
    assert after.guesses == ()


def test_a_span_between_two_looks_is_judged_by_the_next_one() -> None:
    """30 s looked at once a minute: no look is no load of 0."""
    memory, now = PeakMemory(), 1_000_000.0
    for _ in range(500):
        now += 60
        memory = peak.look(memory, 30.0, now, 5.0)
        said, memory = peak.say(memory, 30.0, now, 100.0, 5.0)
    assert memory.score.guesses > ENOUGH
    assert said == pytest.approx(5.0, abs=0.3)


def test_a_clock_that_is_set_back_drops_what_was_on_its_way() -> None:
    *_, (now, _, memory) = learning(saw, 2)
    after = peak.look(memory, SPAN, now - 7200, 5.0)
    assert after.guesses == ()
    assert after.weights == memory.weights
    assert after.recent is not None
    assert after.recent.top == 5.0


def test_the_sentence_says_what_was_learned_and_how_far_it_errs() -> None:
    starts = tuple(ColdStart(0.0, 10.0, 20.0, 60.0) for _ in range(3))
    policy = replace(POLICY, objectives=(Demand(60.0), Forecast(peak=SPAN)), headroom=0.0)
    story = Story(policy=policy, current=5, state=State(cold_starts=starts))
    said = []
    for tick in range(2000):
        load = 100 * saw(tick * TICK)
        slow = 100 * saw(max(0.0, tick * TICK - 120))
        said.append(story.sees(*[load / story.current] * story.current, slow=slow / story.current,
                               after=TICK).sentence)  # fmt: skip
    raised = [text for text in said if "7 of 10 times the load stays under" in text]
    assert raised
    assert "what is ordered now is Ready in 2m" in raised[0]
    assert "of what as many GPUs as fixed headroom would have had" in raised[0]


def test_what_it_remembers_stays_small() -> None:
    assert max(len(to_json(known)) for _, _, known in learning(noise(1.0), 2)) < 2_500


@given(st.lists(st.floats(0, 50), min_size=1, max_size=80), st.floats(5, 200))
def test_whatever_comes_it_says_a_number(loads: list[float], tick: float) -> None:
    memory, now = PeakMemory(), 0.0
    for load in loads:
        now += tick
        memory = peak.look(memory, SPAN, now, load)
        said, memory = peak.say(memory, SPAN, now, AHEAD, load)
        assert said is not None
        assert 0 <= said < 1e6
        assert len(memory.guesses) <= peak.ON_THEIR_WAY + 1
