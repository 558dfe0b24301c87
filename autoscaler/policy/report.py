"""Problems for people, programs and pull requests."""

from __future__ import annotations

import json
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeAlias

from autoscaler.policy.diagnostics import Problem

Format: TypeAlias = Literal["text", "json", "github"]

WIDTH = 100
_RED, _YELLOW, _BLUE, _BOLD, _RESET = "\x1b[31m", "\x1b[33m", "\x1b[34m", "\x1b[1m", "\x1b[0m"


def render(
    problems: Sequence[Problem],
    sources: Mapping[str, str],
    format: Format = "text",  # noqa: A002 -- the word that fits
    color: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> str:
    """The problems in one of three forms; ends with a newline unless empty.

    text: as compilers do, `file:line:column: error[check]: message`, the line, carets, help.
    json: one object with `problems`, `errors`, `warnings` and the `facts`.
    github: workflow commands, which GitHub shows as annotations of the lines.
    """
    if format == "json":
        return _json(problems, facts or {})
    if format == "github":
        return "".join(_github(problem) + "\n" for problem in problems)
    lines = {name: source.split("\n") for name, source in sources.items()}
    return "".join(_text(problem, lines, color) + "\n\n" for problem in problems)


def summary(problems: Iterable[Problem], files: int, documents: int) -> str:
    """`2 errors and 1 warning in 3 files, 4 documents`."""
    severities = [problem.severity for problem in problems]
    found = [
        _count(severities.count(kind), kind) for kind in ("error", "warning") if kind in severities
    ]
    where = f"{_count(files, 'file')}, {_count(documents, 'document')}"
    return f"{' and '.join(found) or 'no problems'} in {where}"


def _count(number: int, word: str) -> str:
    if number == 1:
        return f"1 {word}"
    return f"{number} {word.removesuffix('y') + 'ies' if word.endswith('y') else word + 's'}"


def _text(problem: Problem, lines: Mapping[str, list[str]], color: bool) -> str:
    paint = _RED if problem.severity == "error" else _YELLOW
    place = f"{_clean(problem.file)}:{problem.line}:{problem.column}:"
    kind = f"{problem.severity}[{problem.check}]:"
    if color:
        place, kind = f"{_BOLD}{place}{_RESET}", f"{paint}{kind}{_RESET}"
    out = [f"{place} {kind} {_clean(problem.message)}"]
    source = lines.get(problem.file, [])
    gutter = f"{problem.line:>5} | "
    edge = " " * 5 + " | "
    if problem.line <= len(source) and source[problem.line - 1].strip():
        shown, before, width = _excerpt(source[problem.line - 1], problem)
        carets = "^" * width
        if color:
            gutter, edge = f"{_BLUE}{gutter}{_RESET}", f"{_BLUE}{edge}{_RESET}"
            carets = f"{paint}{carets}{_RESET}"
        out += [gutter + shown, edge + " " * before + carets]
    out += textwrap.wrap(
        _clean(problem.remedy),
        WIDTH,
        initial_indent="      = help: ",
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(out)


def _excerpt(line: str, problem: Problem) -> tuple[str, int, int]:
    """(the stretch of the line that fits, cells before the caret, carets)."""
    room = WIDTH - 8
    start, end = problem.column - 1, min(problem.end_column - 1, len(line))
    first = 0
    if _cells(line[:end]) > room:
        first = max(0, min(start - 10, len(line) - room))
    shown = _clean(line[first : first + room])
    while _cells(shown) > room:
        shown = shown[:-1]
    before = _cells(_clean(line[first:start]))
    width = max(1, _cells(_clean(line[start:end])))
    return shown.rstrip(), before, max(1, min(width, room - before))


def _clean(text: str) -> str:
    """Without control characters: a file must not be able to repaint the terminal."""
    return "".join(
        " " if char == "\t" else char if char.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for char in text
        if char != "\r"
    )


def _cells(text: str) -> int:
    """Columns of a terminal: East Asian wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _json(problems: Sequence[Problem], facts: Mapping[str, Any]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    listed = []
    for problem in problems:
        fields = asdict(problem)
        fields["endColumn"] = fields.pop("end_column")
        listed.append(fields)
    counts = {"errors": errors, "warnings": len(problems) - errors}
    data = {**facts, **counts, "problems": listed}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _github(problem: Problem) -> str:
    properties = {
        "file": problem.file,
        "line": problem.line,
        "col": problem.column,
        "endColumn": problem.end_column - 1,
        "title": problem.check,
    }
    fields = ",".join(f"{name}={_escape(str(value), True)}" for name, value in properties.items())
    text = _escape(f"{problem.message}\nhelp: {problem.remedy}", False)
    return f"::{problem.severity} {fields}::{text}"


def _escape(text: str, in_property: bool) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text
