"""Label selectors: apimachinery's own cases, and properties against a naive reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.serve.metrics_api.selectors import (
    EVERYTHING,
    Requirement,
    Selector,
    SelectorError,
    parse,
)

KEYS = st.sampled_from(["app", "tier", "in", "notin", "example.com/role", "a.b_c-d", "x"])
VALUES = st.sampled_from(["", "a", "b", "1", "5", "-", "x_y.z-1", "in"]).filter(lambda v: v != "-")
LABELS = st.dictionaries(KEYS, VALUES)


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    key = draw(KEYS)
    operator = draw(st.sampled_from(["=", "!=", "in", "notin", "exists", "!", ">", "<"]))
    if operator in ("exists", "!"):
        return Requirement(key, operator)  # type: ignore[arg-type]
    if operator in (">", "<"):
        return Requirement(key, operator, (str(draw(st.integers(-9, 9))),))  # type: ignore[arg-type]
    if operator in ("in", "notin"):
        values = draw(st.sets(VALUES, min_size=1, max_size=4))
        return Requirement(key, operator, tuple(sorted(values)))  # type: ignore[arg-type]
    return Requirement(key, operator, (draw(VALUES),))  # type: ignore[arg-type]


SELECTORS = st.lists(requirements(), max_size=4).map(
    lambda found: Selector(tuple(sorted(set(found))))
)


def naive(requirement: Requirement, labels: dict[str, str]) -> bool:
    """As the API conventions word it."""
    key, values = requirement.key, requirement.values
    if requirement.operator in ("=", "in"):
        return key in labels and labels[key] in values
    if requirement.operator in ("!=", "notin"):
        return not (key in labels and labels[key] in values)
    if requirement.operator == "exists":
        return key in labels
    if requirement.operator == "!":
        return key not in labels
    try:
        found = int(labels[key])
    except (KeyError, ValueError):
        return False
    return found > int(values[0]) if requirement.operator == ">" else found < int(values[0])


@given(SELECTORS)
def test_what_is_printed_reads_back(selector: Selector) -> None:
    assert parse(str(selector)) == selector


@given(SELECTORS, LABELS)
def test_it_matches_where_every_requirement_does(
    selector: Selector, labels: dict[str, str]
) -> None:
    expected = all(naive(one, labels) for one in selector.requirements)
    assert selector.matches(labels) is expected
    assert parse(str(selector)).matches(labels) is expected


@given(SELECTORS, st.randoms(use_true_random=False))
def test_order_and_blanks_mean_nothing(selector: Selector, random: object) -> None:
    pieces = [str(one) for one in selector.requirements]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    assert parse(" , ".join(pieces)) == selector


@given(st.text(alphabet="ab/!=<>(), \tin.-é\x00", max_size=30))
def test_any_text_is_a_selector_or_a_named_error(text: str) -> None:
    try:
        found = parse(text)
    except SelectorError:
        with pytest.raises(SelectorError, match="column"):
            parse(text)
    else:
        assert parse(str(found)) == found


@given(SELECTORS)
def test_the_echo_says_the_same(selector: Selector) -> None:
    if any(one.operator in "<>" for one in selector.requirements):
        with pytest.raises(SelectorError):
            selector.as_label_selector()
        return
    echo = selector.as_label_selector() or {}
    words = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    found = [Requirement(key, "in", (value,)) for key, value in echo.get("matchLabels", {}).items()]
    found += [
        Requirement(one["key"], words[one["operator"]], tuple(one.get("values", ())))  # type: ignore[arg-type]
        for one in echo.get("matchExpressions", ())
    ]
    plain = {"=": "in", "!=": "notin"}
    assert sorted(found) == sorted(
        Requirement(one.key, plain.get(one.operator, one.operator), one.values)  # type: ignore[arg-type]
        for one in selector.requirements
    )


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        ("  ", ""),
        ("x=a,y=b,z=c", "x=a,y=b,z=c"),
        ("x==a", "x=a"),
        ("x=", "x="),
        ("x= ,z= ", "x=,z="),
        ("!x", "!x"),
        ("x in ()", "x in ()"),
        ("x in (a,,a,)", "x in (,a)"),
        ("x notin (abc,,def),bar,z in (),w", "bar,w,x notin (,abc,def),z in ()"),
        ("foo  in\t (abc)", "foo in (abc)"),
        ("in in (in)", "in in (in)"),
        ("x>1,x<7", "x<7,x>1"),
        ("example.com/a!=b", "example.com/a!=b"),
    ],
)
def test_what_the_api_server_accepts(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *("x=a||y=b", "x,,y", ",x", "x,", "!x=a", "!", "x y", "x in a", "x in (a", "x in (a b)"),
        *("x in (a))", "x=a=b", "x=(a)", "x<a", "x>", "=a", "X/y=a", "/y", "a/b/c", "x=é", "é"),
        *(f"x={'a' * 64}", "a" * 64, "-x", "x=-a", "((", "in (a)(b)"),
    ],
)
def test_what_the_api_server_refuses(text: str) -> None:
    with pytest.raises(SelectorError, match="column"):
        parse(text)


def test_nothing_selects_everything() -> None:
    assert EVERYTHING.matches({})
    assert not EVERYTHING
    assert EVERYTHING.as_label_selector() is None
