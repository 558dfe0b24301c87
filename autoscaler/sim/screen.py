"""What the demo shows while it runs: a table drawn in place on a terminal, else plain lines."""

from __future__ import annotations

import math
import os
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TextIO, TypeAlias

WIDTH = 100
_BARS = "▁▂▃▄▅▆▇█"
_RED, _GREEN, _BOLD, _DIM, _RESET = "\x1b[31m", "\x1b[32m", "\x1b[1m", "\x1b[2m", "\x1b[0m"
_RECENT = 6  # decisions kept in sight
_HISTORY = 36  # columns of the little curves


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the demo, in the units shown: seconds since the start, ms, requests/s."""

    at: float
    length: float
    load: float
    capacity: float
    ready: int
    wanted: int
    starting: str  # "" or what the others are at: "1 pulling, 2 loading"
    queue_ms: float | None
    sla_ms: float
    pending: int
    sent: int
    kept: float  # share of the requests
    refused: int
    lost: int
    sentence: str  # of the decision as it stands


Kind: TypeAlias = Literal["move", "hold", "event"]


class Screen(Protocol):
    def show(self, view: View) -> None:
        """Called once a simulated second."""

    def tell(self, view: View, kind: Kind, text: str) -> None:
        """A decision that moves the fleet or holds it for another reason; or an event."""

    def close(self) -> None: ...


def elapsed(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def screen_for(stream: TextIO, environ: Mapping[str, str] = os.environ) -> Screen:
    """In place on a terminal that can; plain lines into pipes, under NO_COLOR and on dumb ones."""
    plain = environ.get("NO_COLOR") or environ.get("TERM", "") in {"", "dumb"}
    return Plain(stream) if plain or not stream.isatty() else Live(stream)


class Plain:
    """One line whenever something changes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, view: View) -> None:
        pass

    def tell(self, view: View, kind: Kind, text: str) -> None:  # noqa: ARG002
        queue = "    –" if view.queue_ms is None else f"{view.queue_ms:5.0f}"
        head = (
            f"{elapsed(view.at):>5}  load {view.load:5,.0f}/s  ready {view.ready}/{view.wanted}  "
            f"queue{queue} ms  pending {view.pending:5,}"
        )
        body = textwrap.fill(
            text, WIDTH, initial_indent=" " * 7, subsequent_indent=" " * 7, break_on_hyphens=False
        )
        self._stream.write(f"{head}\n{body}\n")
        self._stream.flush()

    def close(self) -> None:
        pass


class Live:
    """A table that is drawn over itself, with the last decisions beneath."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0
        self._told: list[tuple[float, Kind, str]] = []
        self._history: dict[str, list[float]] = {}

    def tell(self, view: View, kind: Kind, text: str) -> None:
        self._told.append((view.at, kind, text))

    def show(self, view: View) -> None:
        width = min(WIDTH, shutil.get_terminal_size().columns - 1)
        height = shutil.get_terminal_size().lines - 1
        lines = [*self._table(view, width), "", *self._decisions(width)][:height]
        back = f"\x1b[{self._drawn}F" if self._drawn else "\x1b[?25l"
        # Each line is cleared to its end, then what is left over from a longer frame.
        self._stream.write(back + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")
        self._stream.flush()
        self._drawn = len(lines)

    def close(self) -> None:
        self._stream.write("\x1b[?25h" if self._drawn else "")
        self._stream.flush()

    def _table(self, view: View, width: int) -> list[str]:
        over = view.queue_ms is not None and view.queue_ms > view.sla_ms
        queue = "not known" if view.queue_ms is None else f"{view.queue_ms:,.1f} ms"
        colour = _RED if over else _GREEN
        verdict = f"above the SLA of {view.sla_ms:.0f} ms" if over else f"SLA {view.sla_ms:.0f} ms"
        done = min(1.0, view.at / view.length) if view.length else 1.0
        bar = "█" * round(done * 40) + "░" * (40 - round(done * 40))
        # Two curves are logarithmic: beside an overload's 300 ms the usual 7 would vanish.
        rows: Sequence[tuple[str, str, str, float, str]] = (
            ("load", f"{view.load:,.0f} req/s", "", view.load, f"room for {view.capacity:,.0f}"),
            ("replicas", f"{view.ready} of {view.wanted} ready", "", view.ready, view.starting),
            ("queue time", queue, colour, math.log1p(view.queue_ms or 0.0), verdict),
            ("pending", f"{view.pending:,}", "", math.log1p(view.pending), ""),
        )
        lost = view.refused + view.lost
        failed = f"; {view.refused:,} refused, {view.lost:,} lost" if lost else ""
        return [
            f"{_BOLD}{elapsed(view.at):>5}{_RESET} of {elapsed(view.length)}  {_DIM}{bar}{_RESET}",
            "",
            *(
                self._row(name, text, tint, value, note, width)
                for name, text, tint, value, note in rows
            ),
            f" {'in the SLA':<11}{100 * view.kept:.2f} % of {view.sent:,} requests{failed}"[:width],
            "",
            *_wrapped("now", view.sentence, width, 3),
        ]

    def _row(self, name: str, text: str, tint: str, value: float, note: str, width: int) -> str:
        history = self._history.setdefault(name, [])
        history.append(value)
        columns = min(_HISTORY, max(0, width - 58))
        curve = sparkline(history, columns)
        # Cut before colouring: an escape sequence has no width, but a slice would count it.
        head, tail = f" {name:<11}", f"  {curve:<{columns}}  {note}"[: max(0, width - 28)]
        return f"{head}{tint}{text:<16}{_RESET if tint else ''}{tail}"

    def _decisions(self, width: int) -> list[str]:
        lines: list[str] = []
        for at, kind, text in reversed(self._told[-_RECENT:]):
            tint = {"move": _BOLD, "hold": "", "event": _RED}[kind]
            wrapped = _wrapped(elapsed(at), text, width, 2)
            lines += [f"{tint}{line}{_RESET if tint else ''}" for line in wrapped]
        return lines


def _wrapped(head: str, text: str, width: int, most: int) -> list[str]:
    """At most so many lines; what does not fit ends in an ellipsis."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=f"{head:>5}  ",
        subsequent_indent=" " * 7,
        max_lines=most,
        placeholder=" …",
        break_on_hyphens=False,
    )


def sparkline(values: Sequence[float], columns: int) -> str:
    """The whole history in so many columns, each the highest value of its share of it."""
    if not values or columns < 1:
        return ""
    size = max(1.0, len(values) / columns)
    tops = []
    for column in range(min(columns, len(values))):
        part = values[int(column * size) : max(int((column + 1) * size), int(column * size) + 1)]
        tops.append(max(part))
    highest = max(tops) or 1.0
    return "".join(_BARS[min(7, int(8 * max(0.0, top) / highest))] for top in tops)
