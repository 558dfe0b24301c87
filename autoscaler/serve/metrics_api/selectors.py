"""Label selectors as the API server reads them: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`,
`!a`, `a>5`, `a<5`, joined by commas.

Grammar and odd corners after apimachinery's `labels.Parse`: `a in ()` is `a in ("")`, `a=` asks
for an empty value, `!=` and `notin` also hold where the label is absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

Operator: TypeAlias = Literal["=", "!=", "in", "notin", "exists", "!", ">", "<"]

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_SYMBOLS = frozenset(("==", "!=", "=", "!", "(", ")", ",", "<", ">"))
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
MAX_PREFIX = 253


class SelectorError(ValueError):
    """Text that is no selector: says where, what was found and what was expected."""


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """`values` are sorted and distinct; empty for `exists` and `!`, one for `=`, `!=`, `>`, `<`."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "=" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case ">" | "<":
                if value is None or not _INTEGER.fullmatch(value):
                    return False
                found, bound = int(value), int(self.values[0])
                return found > bound if self.operator == ">" else found < bound

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(self.values)})"
            case _:
                return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements hold, in the order of their text. None of them: everything matches."""

    requirements: tuple[Requirement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def matches(self, labels: Mapping[str, str]) -> bool:
        for requirement in self.requirements:  # noqa: SIM110 -- half the time of all()
            if not requirement.matches(labels):
                return False
        return True

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def as_label_selector(self) -> dict[str, Any] | None:
        """The metav1.LabelSelector that the API echoes; None for everything. May raise
        SelectorError: `>` and `<` have no such form.
        """
        if not self.requirements:
            return None
        exact, expressions = {}, []
        for one in self.requirements:
            if one.operator in "<>":
                raise SelectorError(f"{one}: {one.operator!r} is not possible here, write in or =")
            if one.operator == "=" and one.key not in exact:
                exact[one.key] = one.values[0]
            else:
                expressions.append(_expression(one))
        found: dict[str, Any] = {}
        if exact:
            found["matchLabels"] = exact
        if expressions:
            found["matchExpressions"] = expressions
        return found


EVERYTHING = Selector()
_WORDS = {"=": "In", "in": "In", "!=": "NotIn", "notin": "NotIn", "exists": "Exists"}


def _expression(requirement: Requirement) -> dict[str, Any]:
    operator = _WORDS.get(requirement.operator, "DoesNotExist")
    found: dict[str, Any] = {"key": requirement.key, "operator": operator}
    if requirement.values:
        found["values"] = list(requirement.values)
    return found


def parse(text: str) -> Selector:
    """May raise SelectorError, naming the column (from 1)."""
    return Selector(tuple(sorted(set(_Parser(text).selector()))))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        # (token, column), and one for the end: ("", length + 1)
        self._tokens = [(found[1], found.start(1) + 1) for found in _TOKEN.finditer(text)]
        self._tokens.append(("", len(text) + 1))
        self._at = 0

    def selector(self) -> list[Requirement]:
        found: list[Requirement] = []
        if self._peek() == "":
            return found
        while True:
            found.append(self._requirement())
            after = self._take()
            if not after:
                return found
            if after != ",":
                self._fail("',' or the end")

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._take()
        key = self._key()
        if absent:
            return Requirement(key, "!")
        if self._peek() in ("", ","):
            return Requirement(key, "exists")
        operator = self._take()
        if operator in ("=", "==", "!="):
            return Requirement(key, "!=" if operator == "!=" else "=", (self._value(),))
        if operator in ("in", "notin"):
            return Requirement(key, "in" if operator == "in" else "notin", self._values())
        if operator not in (">", "<"):
            self._fail("=, ==, !=, in, notin, >, < or ','")
        return Requirement(key, ">" if operator == ">" else "<", (self._bound(),))

    def _key(self) -> str:
        key = self._take()
        if key == "" or key in _SYMBOLS:
            self._fail("the name of a label")
        prefix, slash, name = key.rpartition("/")
        if slash and (len(prefix) > MAX_PREFIX or not _PREFIX.fullmatch(prefix)):
            self._fail("a label whose prefix is a DNS name in lower case, as in example.com/role")
        if not _NAME.fullmatch(name):
            self._fail("a label of 1 to 63 letters, digits, '-', '_' or '.'")
        return key

    def _value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        return self._literal()

    def _literal(self) -> str:
        value = self._take()
        if value == "" or value in _SYMBOLS:
            self._fail("a value")
        if not _NAME.fullmatch(value):
            self._fail("a value of at most 63 letters, digits, '-', '_' or '.'")
        return value

    def _bound(self) -> str:
        value = self._take()
        if not _INTEGER.fullmatch(value):
            self._fail("an integer")
        return str(int(value))

    def _values(self) -> tuple[str, ...]:
        """`(a,b)`; `()` and a comma without a neighbour stand for the empty value."""
        if self._take() != "(":
            self._fail("'('")
        found, expected = set(), True
        while True:
            ahead = self._peek()
            if ahead in (",", ")"):
                self._take()
                if expected:
                    found.add("")
                if ahead == ")":
                    return tuple(sorted(found))
                expected = True
            elif expected:
                found.add(self._literal())
                expected = False
            else:
                self._take()
                self._fail("',' or ')'")

    def _peek(self) -> str:
        return self._tokens[self._at][0]

    def _take(self) -> str:
        token = self._tokens[self._at][0]
        self._at = min(self._at + 1, len(self._tokens))
        return token

    def _fail(self, expected: str) -> NoReturn:
        """About the token that was taken last."""
        token, column = self._tokens[min(self._at, len(self._tokens)) - 1]
        found = f"found {token[:40]!r}" if token else "it ends"
        raise SelectorError(f"{self._text[:200]!r}, column {column}: {found}, expected {expected}")
