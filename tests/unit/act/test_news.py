"""What of a tick becomes an Event, and what is no news."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.act.news import AGAIN_AFTER, LEAST_BETWEEN, News, NewsDesk, plain
from autoscaler.model import Mode
from tests.unit.act.decisions import decided, marked, resized, scaled

PAUSED = "paused: by annotation"


def holds(desk: NewsDesk, hold: str | None, now: float, binding: str = "hands") -> list[News]:
    return desk.select([decided(hold, binding=binding)], [], {}, now)


def test_each_change_is_told_with_its_numbers_and_its_reason() -> None:
    done = [scaled(2, 3), resized(1, 2), marked(flower_a=-1)]
    up, pool = NewsDesk().select([decided()], done, {}, 0.0)
    assert (up.type, up.reason, up.note) == (
        "Normal",
        "ScaledUp",
        "2 → 3 replicas: demand: 310 requests/s",
    )
    assert (pool.reason, pool.note) == (
        "PoolGrown",
        "1 → 2 nodes in the node pool: one replica more",
    )


def test_a_sentence_that_says_the_step_already_is_told_as_it_is() -> None:
    sentence = "Scale up 2 → 3: demand: 310 requests/s are 3.10 replicas' worth."
    (up,) = NewsDesk().select([decided()], [replace(scaled(2, 3), reason=sentence)], {}, 0.0)
    assert up.note == sentence


def test_the_same_step_a_minute_later_is_another_event() -> None:
    desk = NewsDesk()
    keys = {
        desk.select([decided()], [scaled(*step)], {}, at)[0].key
        for at, step in ((0.0, (2, 3)), (60.0, (3, 2)), (120.0, (2, 3)))
    }
    assert len(keys) == 3


def test_a_hold_is_told_when_it_begins_and_not_on_every_tick() -> None:
    desk = NewsDesk()
    told = [holds(desk, PAUSED, 5.0 * tick) for tick in range(100)]
    (first,) = told[0]
    assert (first.type, first.reason, first.note) == ("Warning", "Held", f"held at 2: {PAUSED}")
    assert not any(told[1:])


def test_changing_numbers_are_no_new_reason() -> None:
    desk = NewsDesk()
    for tick in range(100):
        reason = f"signals are {tick}m{tick}s old, {tick}.5 % of {tick + 3} pods"
        assert len(holds(desk, reason, 5.0 * tick)) == (tick == 0)


def test_what_follows_a_colon_is_detail() -> None:
    desk = NewsDesk()
    assert holds(desk, "not all pods have signals: flower-abc", 0.0)
    assert not holds(desk, "not all pods have signals: flower-xyz", 100.0)


def test_another_reason_or_another_stage_is_told_even_without_a_break() -> None:
    desk = NewsDesk()
    assert holds(desk, PAUSED, 0.0)
    assert holds(desk, "an HPA also sets the replicas: default/flower", 100.0)
    assert holds(desk, "an HPA also sets the replicas: default/flower", 200.0, binding="gates")


def test_keda_4249_a_hold_that_flaps_is_told_once_a_minute_at_most() -> None:
    """On and off at every tick, for an hour: 60 at most, all of them one Event with a count."""
    desk = NewsDesk()
    told = [
        one for tick in range(720) for one in holds(desk, PAUSED if tick % 2 else None, 5.0 * tick)
    ]
    assert 50 <= len(told) <= 3600 / LEAST_BETWEEN
    assert len({one.key for one in told}) == 1


def test_a_hold_that_began_while_one_was_just_told_is_told_after_the_minute() -> None:
    desk = NewsDesk()
    assert holds(desk, PAUSED, 0.0)
    assert not holds(desk, "frozen", 5.0)
    assert holds(desk, "frozen", LEAST_BETWEEN)


def test_a_hold_that_stays_is_told_again_before_kubernetes_forgets_it() -> None:
    desk = NewsDesk()
    (first,) = holds(desk, PAUSED, 0.0)
    assert not holds(desk, PAUSED, AGAIN_AFTER - 1)
    (again,) = holds(desk, PAUSED, AGAIN_AFTER)
    assert again.key == first.key
    assert AGAIN_AFTER < 3600


def test_a_failed_write_is_told_once_and_again_when_it_fails_for_another_reason() -> None:
    desk = NewsDesk()

    def told(text: str, now: float) -> list[News]:
        return desk.select([decided()], [], {"default/flower": text}, now)

    (first,) = told("flower had 2 replicas and has 6 now", 0.0)
    assert (first.type, first.reason) == ("Warning", "FailedWrite")
    assert not told("flower had 6 replicas and has 7 now", 100.0)
    assert told("not allowed to update it", 200.0)


@pytest.mark.parametrize("mode", ["observe", "recommend"])
def test_the_cluster_is_not_written_to_for_policies_that_only_look(mode: Mode) -> None:
    assert not NewsDesk().select([decided(PAUSED, mode=mode)], [], {"default/flower": "x"}, 0.0)


def test_policies_do_not_hide_each_others_news_and_are_forgotten_when_they_go() -> None:
    desk = NewsDesk()
    both = [decided(PAUSED), decided(PAUSED, name="rose")]
    assert {one.policy for one in desk.select(both, [], {}, 0.0)} == {
        "default/flower",
        "default/rose",
    }
    desk.select(both[:1], [], {}, 100.0)
    assert [one.policy for one in desk.select(both, [], {}, 200.0)] == ["default/rose"]


def test_plain_words() -> None:
    assert plain("12 of 1,000 pods, 3.5 % for 2m30s") == "# of # pods, # % for #"
