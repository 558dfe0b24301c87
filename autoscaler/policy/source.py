"""YAML text → plain data with the place of every key and value.

Built from the parser's events and not from its nodes: no recursion, aliases carry their place,
and reading stops at the first sign of a bomb. Scalars arrive as text: `Plain` where unquoted, so
that `scalars` can apply the YAML 1.2 core types and say what YAML 1.1 would have made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml

from autoscaler.policy.diagnostics import Mark, Problem, Route
from autoscaler.policy.registry import CHECKS

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_PROBLEMS = 100  # of one file: nobody reads more, and a terminal would drown
START = Mark(1, 1, 2)  # of a file
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_SYNTAX_REMEDIES = {
    "mapping values are not allowed": "quote a value that contains ': ', or check the indentation",
    "did not find expected key": "check the indentation against the lines above",
    "did not find expected '-' indicator": "check the indentation against the lines above",
    "did not find expected ',' or": "close the bracket or brace, and separate items with commas",
    "found unexpected end of stream": "close the quote",
    "found character that cannot start any token": "quote values that start with @, `, % or &",
    "could not find expected ':'": "write `key: value`, with a space after the colon",
    "control characters are not allowed": "remove the invisible character",
}


class Plain(str):
    """An unquoted scalar."""

    __slots__ = ()


@dataclass(slots=True)
class Tree:
    """One document: data of dicts, lists, str, Plain and None, and where each of it stands."""

    data: Any = None
    keys: dict[Route, Mark] = field(default_factory=dict)
    values: dict[Route, Mark] = field(default_factory=dict)
    start: Mark = START

    def mark(self, route: Route, on_key: bool = False) -> Mark:
        """Where `route` stands; the nearest ancestor where it is not in the text."""
        for length in range(len(route), 0, -1):
            prefix = route[:length]
            first, second = (self.keys, self.values) if on_key else (self.values, self.keys)
            found = first.get(prefix) or second.get(prefix)
            if found:
                return found
        return self.start


def problem_at(check: str, file: str, mark: Mark, message: str, remedy: str) -> Problem:
    """Texts are cut to a screenful: a key may be a megabyte long."""
    severity = CHECKS[check].severity
    said, advised = (text if len(text) <= 400 else text[:399] + "…" for text in (message, remedy))
    return Problem(check, severity, file, mark.line, mark.column, mark.end, said, advised)


def read_trees(file: str, text: str) -> tuple[list[Tree], list[Problem]]:
    """All documents of one file. With problems, the trees may be incomplete."""
    reader = _Reader(file)
    if text.startswith("\ufeff"):
        text = text[1:]
        reader.report("byte-order-mark", START, "a byte order mark", "save without BOM")
    try:
        for event in yaml.parse(text, LOADER):
            reader.take(event)
    except _StopReadingError:
        pass
    except yaml.YAMLError as error:
        reader.problems.append(_syntax_problem(file, text, error))
    except UnicodeError:
        reader.report("encoding", START, "the text is not valid Unicode", "save as UTF-8")
    with suppress(_StopReadingError):
        reader.look_for_emptiness()
    return [tree for tree in reader.trees if tree.data is not None], reader.problems


class _StopReadingError(Exception):
    pass


@dataclass(slots=True)
class _Frame:
    container: dict[str, Any] | list[Any]
    route: Route
    key: str | None = None
    merging: bool = False  # the key at hand is `<<`


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.trees: list[Tree] = []
        self.problems: list[Problem] = []
        self._stack: list[_Frame] = []
        self._tree = Tree()

    def report(self, check: str, mark: Mark, message: str, remedy: str) -> None:
        self.problems.append(problem_at(check, self.file, mark, message, remedy))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _StopReadingError

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._stack.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            mark = _mark(event, width=3 if event.explicit else 1)
            self._tree = Tree(start=mark)
            self._stack = []
            self.trees.append(self._tree)

    def look_for_emptiness(self) -> None:
        if self.problems and not self.trees:
            return
        if not self.problems and all(tree.data is None for tree in self.trees):
            self.report(
                "empty-file",
                START,
                "the file holds no policy",
                "write a ScalingPolicy or delete the file",
            )
            return
        for tree in self.trees:
            if tree.data is None and not self.problems:
                self.report(
                    "empty-document", tree.start, "an empty document", "delete one of the `---`"
                )

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        mark = _mark(event)
        plain = bool(event.implicit[0]) and event.style in (None, "")
        if event.tag is not None and event.tag != "!":
            self._refuse_tag(event.tag, mark)
        frame = self._stack[-1] if self._stack else None
        if frame and isinstance(frame.container, dict) and frame.key is None:
            self._take_key(frame, event.value, plain, mark)
        else:
            missing = plain and event.value in NULLS
            self._attach(None if missing else Plain(event.value) if plain else event.value, mark)

    def _take_key(self, frame: _Frame, key: str, plain: bool, mark: Mark) -> None:
        route = (*frame.route, key)
        frame.key = key
        frame.merging = plain and key == "<<"
        if frame.merging:
            self.report(
                "yaml-merge-key", mark, "merge keys are not supported", "write the fields out"
            )
        elif route in self._tree.keys:
            first = self._tree.keys[route].line
            self.report(
                "duplicate-key",
                mark,
                f"{key!r} is already given on line {first}",
                "keep one of the two",
            )
            frame.key = f"{key} (line {mark.line})"  # its own fields are no duplicates
        self._tree.keys.setdefault(route, mark)

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        frame = self._stack[-1] if self._stack else None
        mark = _mark(event)
        if frame and isinstance(frame.container, dict) and frame.key is None:
            frame.key = f"*{event.anchor}"
        if not (frame and frame.merging):
            self.report(
                "yaml-alias",
                mark,
                f"aliases are not supported (*{event.anchor})",
                "write the value out",
            )
        self._attach(None, mark)

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        mark = _mark(event, width=1)
        if event.tag is not None and event.tag != "!":
            self._refuse_tag(event.tag, mark)
        frame = self._stack[-1] if self._stack else None
        if frame and isinstance(frame.container, dict) and frame.key is None:
            self.report("yaml-key", mark, "a key must be a plain word", "quote it if it is text")
            raise _StopReadingError
        if len(self._stack) >= MAX_DEPTH:
            self.report(
                "too-deep", mark, f"nested more than {MAX_DEPTH} deep", "a policy is 6 deep"
            )
            raise _StopReadingError
        container: dict[str, Any] | list[Any]
        container = {} if isinstance(event, yaml.MappingStartEvent) else []
        route = self._attach(container, mark)
        self._stack.append(_Frame(container, route))

    def _attach(self, value: Any, mark: Mark) -> Route:
        if not self._stack:
            self._tree.data = value
            self._tree.start = mark if value is not None else self._tree.start
            return ()
        frame = self._stack[-1]
        if isinstance(frame.container, list):
            route: Route = (*frame.route, len(frame.container))
            frame.container.append(value)
        else:
            assert frame.key is not None
            route = (*frame.route, frame.key)
            frame.container.setdefault(frame.key, value)
            frame.key, frame.merging = None, False
        if not isinstance(value, dict | list) or route not in self._tree.keys:
            # a mapping is pointed at by its key: its own first character says little
            self._tree.values.setdefault(route, mark)
        return route

    def _refuse_tag(self, tag: str, mark: Mark) -> None:
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        remedy = "quote the value if it is text" if shown == "!!str" else "delete it"
        self.report("yaml-tag", mark, f"tags are not supported ({shown})", remedy)


def _mark(event: Any, width: int | None = None) -> Mark:
    start, end = event.start_mark, event.end_mark
    column: int = start.column + 1
    if width is None:
        # of a text over several lines only the first character can be underlined
        width = end.column - start.column if end.line == start.line else 1
    return Mark(start.line + 1, column, column + max(1, width))


def _syntax_problem(file: str, text: str, error: yaml.YAMLError) -> Problem:
    lines = text.split("\n")
    reason, mark = _where(text, error)
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or line[mark.column - 1 : mark.column] == "\t":
        column = line.index("\t") + 1
        tab = Mark(mark.line, column, column + 1)
        return problem_at("yaml-tab", file, tab, "a tab in the indentation", "indent with spaces")
    remedies = (remedy for known, remedy in _SYNTAX_REMEDIES.items() if known in reason)
    return problem_at("yaml-syntax", file, mark, reason, next(remedies, "correct the YAML"))


def _where(text: str, error: yaml.YAMLError) -> tuple[str, Mark]:
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
        return str(error.reason), Mark(line, column, column + 1)
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error), START
    context, reason = error.context or "", error.problem or "not YAML"
    place = error.problem_mark
    if error.context_mark and ("quoted scalar" in context or "flow" in context):
        place = error.context_mark  # the opening quote or bracket says more than the end of file
    if context and "block" not in context and "next token" not in context:
        reason = f"{reason} {context}"
    if place is None:
        return reason, START
    return reason, Mark(place.line + 1, place.column + 1, place.column + 2)


def nulls(data: Any, route: Route = ()) -> Iterator[Route]:
    """Where a key or a list item has no value. Depth is bounded by MAX_DEPTH."""
    if isinstance(data, dict):
        items: Any = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    else:
        return
    for step, value in items:
        if value is None:
            yield (*route, step)
        else:
            yield from nulls(value, (*route, step))
