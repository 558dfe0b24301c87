"""Liveness is the heartbeat and nothing else; readiness is policies and a first look."""

from __future__ import annotations

from autoscaler.serve.board import Board, alive, ready, standing
from tests.unit.run.test_standby import Seat


def board(interval: float = 5.0) -> Board:
    return Board(version="1", interval=interval, dry_run=True, beat=100.0, policies=1)


def test_the_heart_may_miss_three_beats_but_never_less_than_half_a_minute() -> None:
    quick, slow = board(5.0), board(60.0)
    assert alive(quick, 130.0).good
    assert not alive(quick, 130.1).good
    assert alive(slow, 280.0).good
    assert alive(slow, 281.0).reason == "no tick finished in 181 s (limit 180 s)"


def test_a_dead_prometheus_makes_it_unready_at_first_and_never_dead() -> None:
    shown = board()
    shown.blind = "http://prometheus:9090 refused the connection"
    assert alive(shown, 101.0).good
    assert ready(shown).reason == "http://prometheus:9090 refused the connection"
    shown.observed_once = True  # later it goes blind again: still ready to serve what it knows
    assert ready(shown).good


def test_what_is_not_there_yet_is_named() -> None:
    shown = board()
    assert ready(shown).reason == "nothing was observed yet"
    shown.policies = 0
    assert ready(shown).reason == "no policies are loaded"
    shown.policies, shown.observed_once = 1, True
    shown.state_error = "state file s cannot be read"
    assert ready(shown).reason == "state file s cannot be read"


def test_who_leads_is_said_and_nothing_where_there_is_no_election() -> None:
    shown = board()
    assert standing(shown) is None
    assert shown.leads
    shown.standing = Seat("pod-0")
    assert standing(shown) == "leads as pod-0"
    shown.standing = Seat("pod-0", leading=False)
    assert standing(shown) == "stands by, pod-9 leads; nothing is written from here"
    shown.standing.holder = None
    shown.standing.problem = "Lease a/b: no answer"
    assert standing(shown) == (
        "stands by, nobody leads; nothing is written from here: Lease a/b: no answer"
    )
    shown.standing.holder = "pod-0"
    assert str(standing(shown)).startswith("holds the lease, but does not write yet")
    assert not shown.leads
