from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from autoscaler.model import Decision, Target
from autoscaler.sim.plot import Axis, Limit, Mark, Panel, Series, Span, curve, thin, time_ticks
from autoscaler.sim.report import changes, moment, render, write_report

START = 1_795_248_000.0
EVIL = """</script><img src=x onerror="alert('1')">&"""


def decision(at: float, current: int, desired: int, **more) -> Decision:
    blank = Decision(
        policy="default/bert",
        target=Target("default", "bert"),
        at=START + at,
        mode="scale",
        current=current,
        ready=current,
        desired=desired,
        binding="demand",
        hold=None,
        sentence=f"Scale {current} → {desired}.",
        flip="10 requests/s fewer",
    )
    return replace(blank, **more)


def panel(values=(1.0, 2.0, None, 4.0), **more) -> Panel:
    points = [(START + 10 * index, value) for index, value in enumerate(values)]
    return Panel("Queue time", "ms", [Series("mean", points)], **more)


def data(html: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(found[1])


class Page(HTMLParser):
    """Checks that what is opened is closed, and keeps every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_report_is_one_well_formed_file_that_asks_no_network(tmp_path):
    path = tmp_path / "new" / "report.html"
    marks = [Mark("crash", START + 5, alarm=True), Mark("cold start", START, START + 9)]
    write_report(path, "Title", [panel()], [decision(0, 1, 2)], marks, [("requests", "7")])
    html = path.read_text()
    page = Page(html)
    assert page.open == []
    assert "default-src 'none'" in html
    assert not re.search(r"https?://|url\(|@import|src=", html)


def test_everything_from_outside_is_escaped():
    evil = decision(0, 1, 2, sentence=EVIL, flip=EVIL, binding=EVIL, policy=EVIL)
    again = decision(5, 2, 3, policy="another")
    points = [(START, 1.0), (START + 9, 2.0)]
    bad = Panel(EVIL, EVIL, [Series(EVIL, points)], limits=[Limit(EVIL, 1.5)], note=EVIL)
    bad = replace(bad, decisions=True)
    marks = [Mark(EVIL, START, label=EVIL)]
    html = render(EVIL, [bad], [evil, again], marks, [(EVIL, EVIL)], subtitle=EVIL)
    page = Page(html)
    assert page.open == []
    assert "img" not in {tag for tag, _ in page.tags}
    assert all("onerror" not in attrs for _, attrs in page.tags)
    assert data(html)["decisions"][0]["sentence"] == EVIL


def test_each_change_is_a_dot_with_words_and_a_row_of_the_table():
    told = [decision(0, 2, 2), decision(10, 2, 4), decision(15, 4, 4), decision(20, 4, 3)]
    html = render("t", [panel(decisions=True)], told, origin=START)
    dots = [attrs for tag, attrs in Page(html).tags if tag == "button"]
    assert [dot["aria-label"][:23] for dot in dots] == [
        "0:10, 2 to 4 replicas: ",
        "0:20, 4 to 3 replicas: ",
    ]
    assert html.count("<tr class=") == 2
    assert "10 requests/s fewer" in html


def test_plots_are_told_in_words_too():
    html = render("t", [panel(limits=[Limit("SLA", 50)])], [])
    labels = [attrs.get("aria-label") for tag, attrs in Page(html).tags if tag == "svg"]
    assert "Queue time: mean from 1 to 4 ms; SLA 50 ms" in labels


def test_a_repeated_wish_is_one_change():
    """A dry run wishes 4 on every tick while the fleet stays at 2."""
    told = changes([decision(at, 2, 4) for at in range(0, 50, 5)])
    assert [(change.before, change.after) for change in told] == [(2, 4)]


def test_a_wish_given_up_is_a_change_back():
    told = changes([decision(0, 2, 4), decision(5, 2, 2)])
    assert [(change.before, change.after) for change in told] == [(2, 4), (4, 2)]


def test_an_unknown_size_is_no_change():
    told = changes([decision(0, 2, 2), decision(5, None, None), decision(10, 2, 2)])
    assert [change.moves for change in told] == [False]


def test_policies_are_told_apart():
    other = decision(1, 5, 6, policy="default/other")
    html = render("t", [panel()], [decision(0, 1, 2), other])
    assert 'data-head="Policy">default/other<' in html


def test_a_gap_in_the_data_is_a_gap_in_the_line():
    span = Span(START, START + 30)
    line, _ = curve(panel().series[0], Axis(panel()), span)
    assert line.count("M") == 2


def test_not_a_number_is_unknown_not_broken():
    html = render("t", [panel((1.0, float("nan"), float("inf"), 2.0))], [])
    values = [value for _, value in data(html)["panels"][0]["series"][0]["points"]]
    assert values == [1.0, None, None, 2.0]
    assert not re.search("nan|inf", "".join(re.findall(r' d="([^"]*)"', html)))


@pytest.mark.parametrize("panels", [[], [Panel("empty", "", [Series("nothing", [])])]])
def test_without_data_there_is_still_a_page(panels):
    assert "Nothing was changed" in render("t", panels, [])


def test_a_log_axis_reads_7_and_300_ms_apart_and_survives_zero():
    axis = Axis(panel((7.0, 300.0, 0.0), scale="log"))
    assert axis.log
    assert axis.share(0.0) == 0.0
    assert 0.2 < axis.share(7.0) < 0.5 < axis.share(300.0) <= 1
    assert [tick for tick in axis.ticks() if tick in (1, 10, 100)] == [1, 10, 100]


def test_two_weeks_stay_small_and_keep_their_spikes():
    points = [(START + 15 * index, 7.0) for index in range(80_640)]
    points[40_000] = (points[40_000][0], 999.0)
    kept = thin(points, Span(START, points[-1][0]))
    assert len(kept) <= 1700
    assert 999.0 in {value for _, value in kept}


def test_time_is_told_since_the_origin_or_in_utc():
    assert moment(START + 455, Span(START, START + 900, START)) == "7:35"
    assert moment(START + 3725, Span(START, START + 9000, START)) == "1:02:05"
    assert moment(START, Span(START, START + 900)) == "08:00:00"
    assert moment(START, Span(START, START + 9e5)) == "Nov 21 08:00"


@pytest.mark.parametrize("length", [0.5, 60, 900, 3600, 86400, 14 * 86400])
def test_time_ticks_are_few_and_inside(length):
    span = Span(START, START + length, START)
    ticks = time_ticks(span)
    assert 1 <= len(ticks) <= 16
    assert all(span.start - 1e-6 <= tick <= span.end + 1e-6 for tick in ticks)
