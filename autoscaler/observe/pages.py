"""Triton's metrics page: Prometheus' text format, of which few lines matter here."""

from __future__ import annotations

import re
from typing import NamedTuple

from autoscaler.observe import triton

WANTED = frozenset(
    {
        triton.SUCCESS,
        triton.FAILURE,
        triton.QUEUE,
        triton.PENDING,
        triton.GPU_UTILIZATION,
        triton.GPU_POWER,
        triton.GPU_POWER_LIMIT,
    }
)
COUNTERS = frozenset({triton.SUCCESS, triton.FAILURE, triton.QUEUE})

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\.)*"'
_HEAD = re.compile(
    rf"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{(?P<labels>(?:{_LABEL}(?:,|(?=\}})))*)\}})?"
)
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


class PageError(ValueError):
    """Why a page cannot be used, in words that name the line."""


class SeriesName(NamedTuple):
    """One series of a page; `head` is its text, which tells it apart from all others."""

    metric: str
    head: str
    model: str
    reason: str | None
    gpu: str
    version: str = ""


class PageReader:
    """Parses pages, remembering the heads of lines: `name{labels}` repeats on every page.

    A page of 450 lines takes 0.3 ms, a thirtieth of what the general parser needs.
    """

    def __init__(self) -> None:
        self._names: dict[str, SeriesName | None] = {}

    def read(self, page: str) -> dict[SeriesName, float]:
        """The wanted series and their values. Raises PageError for a page that is not whole.

        A page cut off in mid-line still parses: `…_success{model="a"} 12` of 1234. Only the
        newline at its end shows that it is whole.
        """
        if not page:
            raise PageError("the page is empty")
        if not page.endswith("\n"):
            raise PageError(f"the page is cut off: no newline after its {len(page):,} characters")
        if len(self._names) > 100_000:
            self._names.clear()  # models came and went: bounded
        values: dict[SeriesName, float] = {}
        for number, line in enumerate(page.split("\n"), start=1):
            if not line or line[0] == "#" or line.isspace():
                continue
            try:
                name, value = self._sample(line)
            except ValueError:
                text = line if len(line) <= 60 else line[:60] + "…"
                raise PageError(f"line {number} of the page does not parse: {text}") from None
            if name is not None:
                values[name] = value
        if not values and "nv_" not in page:
            raise PageError("none of Triton's metrics on the page: is this its metrics port?")
        return values

    def _sample(self, line: str) -> tuple[SeriesName | None, float]:
        end = line.rfind("}") + 1 or line.index(" ")
        head = line[:end]
        fields = line[end:].split()
        if not 1 <= len(fields) <= 2:
            raise ValueError(line)
        if head not in self._names:
            self._names[head] = _name(head)
        return self._names[head], float(fields[0])


def _name(head: str) -> SeriesName | None:
    match = _HEAD.fullmatch(head.strip())
    if match is None:
        raise ValueError(head)
    if match["name"] not in WANTED:
        return None
    labels = {label: _unescape(value) for label, value in _PAIR.findall(match["labels"] or "")}
    return SeriesName(
        match["name"],
        head,
        labels.get("model", ""),
        labels.get("reason"),
        labels.get("gpu_uuid", ""),
        labels.get("version", ""),
    )


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    return re.sub(r'\\[\\"n]', lambda found: _ESCAPED[found[0]], value)
