"""What of a state must be written at once, and what can wait."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.model import ForecastMemory, LoadAt, Recommendation, State
from autoscaler.run.history import must_save
from autoscaler.run.state import Remembered

AT = 1_795_248_926.0
PACE = 15.0
SAVED = Remembered(AT, State(recommendations=(Recommendation(AT, 4),), replicas=4))


def later(**changes: object) -> Remembered:
    return Remembered(AT + 5, replace(SAVED.state, **changes))  # type: ignore[arg-type]


def test_a_cooldown_is_written_at_once() -> None:
    assert must_save(later(scaled_at=AT + 5), SAVED, PACE)


def test_the_same_wish_as_before_waits_its_turn() -> None:
    same = later(recommendations=(Recommendation(AT + 5, 4),))
    assert not must_save(same, SAVED, PACE)
    assert must_save(replace(same, at=AT + PACE), SAVED, PACE)


def test_what_a_forecast_remembers_is_no_reason_to_write_at_each_tick() -> None:
    seen = later(forecast=ForecastMemory(lately=(LoadAt(AT + 5, 3.1),)))
    assert not must_save(seen, SAVED, PACE)
    assert must_save(replace(seen, at=AT + PACE), SAVED, PACE)
