"""Tables for people: 100 columns, wide names, hostile names, NO_COLOR."""

from __future__ import annotations

import json

import pytest
import yaml

from autoscaler.cli.output import Printer, shorten, wrap
from tests.unit.serve.shown import DECISION, named


def show(capsys: pytest.CaptureFixture[str], *args: object, **kwargs: object) -> str:
    Printer(*args, color=False, **kwargs).show([DECISION, named("iris", desired=2)])  # type: ignore[arg-type]
    return capsys.readouterr().out


def test_a_table_with_the_sentence_under_the_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(capsys, "table", flips=True).splitlines()[:4] == [
        "POLICY          CURRENT  DESIRED    READY  DECIDED BY",
        "default/flower  2        4 ↑        2      demand",
        "    Scale up 2 → 4: demand: 310 requests/s are 3.10 replicas' worth.",
        "    What would change it: 8 requests/s fewer.",
    ]


def test_no_headers(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(capsys, "table", headers=False).startswith("default/flower")


def test_wide_adds_figures_and_says_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    header, row, *_ = show(capsys, "wide").splitlines()
    assert header.split()[-6:] == ["MODE", "REQ/S", "QUEUE", "PENDING", "DUTY", "AGE"]
    assert row.split()[-6:] == ["observe", "310", "8ms", "-", "-", "12s"]


def test_json_is_a_line_each_and_yaml_a_document_each(capsys: pytest.CaptureFixture[str]) -> None:
    lines = show(capsys, "json").splitlines()
    assert [json.loads(line)["policy"] for line in lines] == ["default/flower", "default/iris"]
    documents = list(yaml.safe_load_all(show(capsys, "yaml")))
    assert [document["desired"] for document in documents] == [4, 2]


def test_the_header_comes_once_for_a_stream(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer("table", times=True, color=False)
    printer.show([DECISION])
    printer.show([DECISION])
    out = capsys.readouterr().out
    assert out.count("POLICY") == 1
    assert "1970-01-01T00:16:40Z  default/flower" in out


def test_100_columns_hold_whatever_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    long = named("x" * 253, sentence="word " * 80)
    Printer("table", times=True, color=False, flips=True).show([long])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert shorten("a" * 50 + "b" * 50).startswith("aaa")
    assert shorten("a" * 50 + "b" * 50).endswith("bbb")


def test_a_hostile_name_cannot_drive_the_terminal() -> None:
    assert wrap("evil\x1b[2Jname") == ["evil\\x1b[2Jname"]


def test_color_only_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    Printer("table", color=True).show([DECISION])
    assert "\x1b[32m" in capsys.readouterr().out
    Printer("table").show([DECISION])  # captured: not a terminal
    assert "\x1b" not in capsys.readouterr().out
