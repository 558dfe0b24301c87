from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from autoscaler.sim.screen import Live, Plain, View, screen_for, sparkline

VIEW = View(
    at=455.0,
    length=900.0,
    load=6968.0,
    capacity=8203.0,
    ready=4,
    wanted=6,
    starting="1 pulling, 1 loading",
    queue_ms=152.04,
    sla_ms=50.0,
    pending=1295,
    sent=3_115_295,
    kept=0.9788,
    refused=22_896,
    lost=1363,
    sentence="Scale up 5 → 6: demand: 6,439 requests/s are 4.05 replicas' worth. " * 4,
)
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def frame(view: View = VIEW) -> list[str]:
    stream = io.StringIO()
    screen = Live(stream)
    screen.tell(view, "move", view.sentence)
    screen.tell(view, "event", "bert-large-6c5d9f8b7-ms9x4 crashes")
    screen.show(view)
    return ESCAPE.sub("", stream.getvalue()).splitlines()


@pytest.mark.parametrize("columns", [60, 101, 240])
def test_the_table_fits_the_terminal_and_100_columns(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(len(line) for line in frame()) <= min(100, columns - 1)


def test_a_short_terminal_is_not_scrolled(monkeypatch):
    monkeypatch.setenv("LINES", "10")
    assert len(frame()) <= 9


def test_it_tells_load_replicas_queue_time_against_the_sla_and_why():
    text = "\n".join(frame())
    for part in ("6,968 req/s", "4 of 6 ready", "152.0 ms", "above the SLA of 50 ms", "1,295"):
        assert part in text
    assert "97.88 % of 3,115,295 requests" in text
    assert "7:35  Scale up 5 → 6" in text
    assert "ms9x4 crashes" in text


def test_an_unknown_queue_time_is_not_zero():
    text = "\n".join(frame(replace(VIEW, queue_ms=None)))
    assert "not known" in text


def test_it_draws_over_itself_and_gives_the_cursor_back():
    stream = Terminal()
    screen = screen_for(stream, {"TERM": "xterm"})
    screen.show(VIEW)
    lines = stream.getvalue().count("\n")
    screen.show(VIEW)
    assert f"\x1b[{lines}F" in stream.getvalue()
    screen.close()
    assert stream.getvalue().endswith("\x1b[?25h")


@pytest.mark.parametrize(
    ("stream", "environ"),
    [
        (io.StringIO(), {"TERM": "xterm"}),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}),
        (Terminal(), {"TERM": "dumb"}),
    ],
)
def test_pipes_no_color_and_dumb_terminals_get_plain_lines(stream, environ):
    screen = screen_for(stream, environ)
    screen.show(VIEW)
    screen.tell(VIEW, "move", VIEW.sentence)
    screen.close()
    assert isinstance(screen, Plain)
    text = stream.getvalue()
    assert "\x1b" not in text
    assert text.startswith(" 7:35  load 6,968/s  ready 4/6  queue  152 ms  pending 1,295\n")
    assert max(len(line) for line in text.splitlines()) <= 100


def test_the_little_curve_keeps_its_peak():
    assert sparkline([1, 1, 1, 8, 1, 1], 3) == "▂█▂"
    assert sparkline([], 10) == ""
    assert sparkline([0, 0], 10) == "▁▁"
