"""Decisions for people and programs: table, wide, JSON Lines, YAML documents."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from autoscaler.cli.units import rfc3339
from autoscaler.model import Decision
from autoscaler.units import format_duration, format_number, format_share

FORMATS = ("table", "wide", "json", "yaml")
WIDTH = 100
INDENT = "    "
# A policy's name may have 253 characters; beside the time a table has room for this many.
LONGEST_NAME = 36

Echo = Callable[[str], None]


def colors() -> bool:
    """On a terminal, unless NO_COLOR says no (https://no-color.org)."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


class Printer:
    """Prints decisions as they come. Tables show the header once and, with `times`, when."""

    def __init__(
        self,
        form: str,
        *,
        headers: bool = True,
        times: bool = False,
        flips: bool = False,
        color: bool | None = None,
        name_width: int = 0,
    ) -> None:
        self._form = form
        self.complete = form in {"json", "yaml"}  # every decision, not only the changed ones
        self._headers = headers
        self._times = times
        self._flips = flips
        self._color = colors() if color is None else color
        self._name_width = name_width

    def show(self, decisions: Sequence[Decision]) -> None:
        if self._form == "json":
            for decision in decisions:
                _write(_json(decision))
        elif self._form == "yaml":
            for decision in decisions:
                _write("---\n" + _yaml(decision))
        else:
            self._table(decisions)

    def _table(self, decisions: Sequence[Decision]) -> None:
        if not decisions:
            return
        names = [len(shorten(decision.policy)) for decision in decisions]
        self._name_width = max(self._name_width, len("POLICY"), *names)
        if self._headers:
            click.echo(self._row(self._header()))
            self._headers = False
        for decision in decisions:
            click.echo(self._row(self._cells(decision), decision), color=self._color)
            click.echo(self._why(decision), color=self._color)

    def _header(self) -> list[str]:
        start = ["TIME"] if self._times else []
        row = [*start, "POLICY", "CURRENT", "DESIRED", "READY", "DECIDED BY"]
        return row + (list(_WIDE) if self._form == "wide" else [])

    def _cells(self, decision: Decision) -> list[str]:
        start = [rfc3339(decision.at)] if self._times else []
        row = [
            *start,
            shorten(decision.policy),
            _number(decision.current),
            _number(decision.desired) + _arrow(decision),
            _number(decision.ready),
            decision.binding,
        ]
        if self._form == "wide":
            row += [cell(decision) for cell in _WIDE.values()]
        return row

    def _row(self, cells: Sequence[str], decision: Decision | None = None) -> str:
        widths = [20] if self._times else []
        widths += [self._name_width, 7, 9, 5, 13]
        widths += [max(len(name), 8) for name in _WIDE] if self._form == "wide" else []
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        if decision is not None and self._color:
            wanted = 2 + int(self._times)
            padded[wanted] = click.style(padded[wanted], fg=_tint(decision), bold=True)
        return "  ".join(padded).rstrip()

    def _why(self, decision: Decision) -> str:
        lines = wrap(decision.sentence, INDENT)
        if self._flips and decision.flip:
            lines += wrap(f"What would change it: {decision.flip}.", INDENT)
        if self._form == "wide":
            lines += [line for note in decision.notes for line in wrap(f"Note: {note}", INDENT)]
        text = "\n".join(lines)
        return click.style(text, dim=True) if self._color else text


def wrap(text: str, indent: str = "", width: int = WIDTH) -> list[str]:
    """Lines of at most `width` columns; control characters of hostile names are shown, not run."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return textwrap.wrap(clean, width, initial_indent=indent, subsequent_indent=indent) or [""]


def shorten(name: str, width: int = LONGEST_NAME) -> str:
    """Both ends of a long name: the namespace and what tells it from its neighbours."""
    if len(name) <= width:
        return name
    half = (width - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _figure(name: str, form: Callable[[float], str]) -> Callable[[Decision], str]:
    def cell(decision: Decision) -> str:
        return form(decision.figures[name]) if name in decision.figures else "-"

    return cell


_WIDE: dict[str, Callable[[Decision], str]] = {
    "MODE": lambda decision: decision.mode,
    "REQ/S": _figure("requestsPerSecond", format_number),
    "QUEUE": _figure("queueTime", format_duration),
    "PENDING": _figure("pending", format_number),
    "DUTY": _figure("dutyCycle", format_share),
    "AGE": _figure("oldestSample", format_duration),
}


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


def _arrow(decision: Decision) -> str:
    if decision.current is None or decision.desired is None:
        return ""
    if decision.desired == decision.current:
        return ""
    return " ↑" if decision.desired > decision.current else " ↓"


def _tint(decision: Decision) -> str:
    return {" ↑": "green", " ↓": "cyan"}.get(
        _arrow(decision), "yellow" if decision.hold else "reset"
    )


def _json(value: Any) -> str:
    from autoscaler.wire import to_json

    return to_json(value).decode() + "\n"


def _yaml(value: Any) -> str:
    import yaml

    from autoscaler.wire import to_data

    return yaml.safe_dump(to_data(value), sort_keys=False, allow_unicode=True)


def _write(text: str) -> None:
    """Data, flushed line by line: a reader at the other end of a pipe acts on each."""
    sys.stdout.write(text)
    sys.stdout.flush()


def say(text: str) -> None:
    """Talk: to stderr."""
    click.echo(text, err=True)


def bullets(lines: Iterable[str], mark: str = "- ") -> list[str]:
    said: list[str] = []
    for line in lines:
        said += textwrap.wrap(
            line, WIDTH, initial_indent=f"  {mark}", subsequent_indent="  " + " " * len(mark)
        )
    return said
