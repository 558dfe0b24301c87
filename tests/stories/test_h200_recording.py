"""Four real H200s, one crash: would we have said four replicas where four were needed?

What happened (tests/data/recordings/README.md): load in replicas' worth 0.5, 0.9 from 40 s, 1.3
from 60 s, 1.6 from 90 s, 2.4 from 130 s, 3.0 from 180 s; replica 2 killed at 215 s, back at 238 s;
2.0 from 240 s, 0.8 from 280 s, 0.3 from 320 s. Times are seconds since the load began.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.model import Decision
from autoscaler.run.loop import Tick
from tests.stories.h200_plot import BEGAN, walk_recording, write_plot
from tests.stories.recorded import Walk
from tests.testbed.parts import PrometheusBinaries

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def ticks(prometheus_binaries: PrometheusBinaries) -> list[Tick]:
    return walk_recording()


@pytest.fixture(scope="module")
def seen(ticks: list[Tick]) -> Walk:
    return Walk({round(tick.at - BEGAN, 3): tick.decisions[0] for tick in ticks})


def test_load_is_seen_to_rise_from_half_a_replica_to_saturation(seen: Walk) -> None:
    # within 2 % of what the ten client processes offered, 25 s after each step
    for second, offered in {40: 800, 60: 1440, 90: 2080, 130: 2560, 180: 3840, 215: 4800}.items():
        measured = seen.at(second).figures["requestsPerSecond"]
        assert measured == pytest.approx(offered, rel=0.02), f"at {second} s"


def test_four_replicas_are_called_for_where_four_were_needed(seen: Walk) -> None:
    # 3.0 replicas' worth and 20 % headroom are 3.75 → 4; so are 2.6 and more
    assert {d.desired for d in seen.between(195, 215)} == {4}
    assert wishes(seen.between(195, 215), "demand") == {4}


def test_each_rise_is_answered_within_a_scrape_and_the_window(seen: Walk) -> None:
    # 0.9 replicas' worth with 20 % headroom need 2: asked from 40 s on, the window is 20 s
    assert first(seen, wish=2) <= 60
    assert first(seen, wish=3) <= 150  # 2.4 from 130 s on
    assert first(seen, wish=4) <= 200  # 3.0 from 180 s on


def test_idle_server_that_is_hit_is_not_called_overloaded(seen: Walk) -> None:
    # The load starts at 0 s: half a replica's worth needs one replica, from the first tick on.
    assert {d.desired for d in seen.between(0, 35)} == {1}


def test_cliff_is_told_from_noise(seen: Walk) -> None:
    # 7 to 9 ms while there was room, with single pods reading 12 ms; 30 ms after the crash
    calm = [d for d in seen.between(25, 215) if d.figures["queueTime"] > 0.025]
    assert calm == []
    assert not any("queueTime" in d.binding for d in seen.between(25, 215) if grows(d))
    assert max(d.figures["queueTime"] for d in seen.between(230, 245)) > 0.025


def test_crash_and_counter_reset_never_lower_and_never_explode(seen: Walk) -> None:
    for decision in seen.between(215, 280):
        assert decision.desired is not None
        assert decision.current is not None
        assert decision.current <= decision.desired <= 5, decision.sentence
        rate = decision.figures["requestsPerSecond"]
        assert 2500 < rate < 5300, f"a counter reset must not be load: {decision.sentence}"
    replaced = [d for d in seen.between(230, 240) if d.current == 3]
    assert replaced, "the dead replica was never noticed"
    assert all((d.desired or 0) >= 4 for d in replaced)


def test_scale_in_waits_for_the_window_that_lowers(seen: Walk) -> None:
    # 0.8 replicas' worth from 280 s on would do with one; the last five minutes say otherwise
    assert all((d.desired or 0) >= (d.current or 0) for d in seen.between(280, 350))


def test_every_decision_explains_itself(seen: Walk) -> None:
    for decision in seen.between(0, 350):
        assert decision.sentence.endswith(".")
        assert decision.trace
        assert decision.flip or decision.hold


def test_no_tick_had_a_fault_of_its_own(ticks: list[Tick]) -> None:
    assert [fault.text for tick in ticks for fault in tick.problems] == []


def test_its_plot_can_be_looked_at(ticks: list[Tick], tmp_path: Path) -> None:
    write_plot(ticks, tmp_path / "h200.html")
    page = (tmp_path / "h200.html").read_text()
    assert page.count("<svg") >= 4
    assert "Scale up 1 → 2" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def wishes(decisions: list[Decision], objective: str) -> set[int | None]:
    return {p.replicas for d in decisions for p in d.proposals if p.objective == objective}


def first(seen: Walk, wish: int) -> float:
    times = [
        second
        for second, decision in seen.by_second.items()
        if any(p.objective == "demand" and (p.replicas or 0) >= wish for p in decision.proposals)
    ]
    return min(times)


def grows(decision: Decision) -> bool:
    return (decision.desired or 0) > (decision.current or 0)
