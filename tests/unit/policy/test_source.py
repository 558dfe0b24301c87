"""YAML text → data with marks, and what is refused on the way."""

from __future__ import annotations

import pytest

from autoscaler.policy import load_texts
from autoscaler.policy.diagnostics import Mark
from autoscaler.policy.source import Plain, read_trees
from tests.unit.policy.texts import checks, load_text, policy_text


def test_every_key_and_value_has_its_place() -> None:
    trees, problems = read_trees("a.yaml", "spec:\n  objectives:\n    - metric: {query: 'up'}\n")
    assert not problems
    route = ("spec", "objectives", 0, "metric", "query")
    assert trees[0].mark(route) == Mark(3, 23, 27)
    assert trees[0].mark(route, on_key=True) == Mark(3, 16, 21)


def test_a_place_that_is_not_in_the_text_is_that_of_its_nearest_ancestor() -> None:
    trees, _ = read_trees("a.yaml", "spec:\n  sla: {queueTime: 5ms}\n")
    assert trees[0].mark(("spec", "sla", "latency", "p99")) == Mark(2, 3, 6)
    assert trees[0].mark(("metadata",)) == Mark(1, 1, 2)


def test_columns_count_characters_not_bytes() -> None:
    trees, _ = read_trees("a.yaml", 'grüße: {"größe": 1}\n')
    assert trees[0].mark(("grüße", "größe")) == Mark(1, 18, 19)


def test_scalars_arrive_as_text_and_remember_whether_they_were_quoted() -> None:
    trees, _ = read_trees("a.yaml", "a: 014\nb: '014'\nc: on\nd: ~\ne:\n")
    data = trees[0].data
    assert data == {"a": "014", "b": "014", "c": "on", "d": None, "e": None}
    assert isinstance(data["a"], Plain)
    assert not isinstance(data["b"], Plain)


def test_several_documents_have_lines_of_the_whole_file() -> None:
    text = policy_text() + "---\n" + policy_text("mode: nothing", name="tulip")
    (problem,) = load_text(text).problems
    assert (problem.check, problem.line) == ("bad-choice", 16)


def test_a_duplicate_names_the_line_of_the_first() -> None:
    (problem,) = load_text(policy_text("mode: scale", "mode: observe")).problems
    assert problem.check == "duplicate-key"
    assert "line 8" in problem.message
    assert problem.line == 9


def test_a_billion_laughs_stay_a_few_bytes() -> None:
    text = "a: &a [x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)
    )
    assert set(checks(load_text(text))) == {"yaml-alias"}


@pytest.mark.parametrize("text", ["[" * 500_000, "{a: " * 200_000, "- " * 100_000])
def test_a_tower_of_brackets_is_refused_at_depth_50(text: str) -> None:
    assert checks(load_text(text)) == ["too-deep"]


def test_an_alias_that_holds_itself_ends() -> None:
    assert checks(load_text("a: &a [*a]\n")) == ["yaml-alias"]


def test_windows_line_ends_are_as_good_as_others() -> None:
    assert load_text(policy_text().replace("\n", "\r\n")).ok


def test_a_file_of_comments_is_not_a_policy() -> None:
    assert checks(load_text("# nothing\n---\n---\n")) == ["empty-file"]


def test_a_lone_surrogate_is_an_encoding_problem() -> None:
    assert checks(load_text(policy_text() + "# \ud800\n")) == ["encoding"]


def test_a_broken_second_document_does_not_hide_the_first_ones_lines() -> None:
    (problem,) = load_text(policy_text() + "---\nspec: [1, 2\n").problems
    assert (problem.check, problem.line) == ("yaml-syntax", 9)


def test_problems_come_in_the_order_of_files_and_lines() -> None:
    wrong = policy_text("mode: x", "paused: y")
    found = load_texts({"b.yaml": wrong, "a.yaml": wrong})
    assert [(p.file, p.line) for p in found.problems] == [
        ("a.yaml", 8),
        ("a.yaml", 9),
        ("b.yaml", 8),
        ("b.yaml", 9),
    ]


METRIC = "  - metric: {query: 'x[2m]', value: 1}\n"


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n---\n" * 5000,
        "a: &a 1\nb: [" + "*a, " * 5000 + "]\n",
        policy_text("mode: observe\n" * 5000),
        policy_text("objectives:\n" + METRIC * 5000),
    ],
    ids=["documents", "aliases", "duplicates", "queries"],
)
def test_of_thousands_of_faults_a_file_shows_a_hundred(text: str) -> None:
    found = load_text(text)
    assert not found.ok
    assert len(found.problems) == 100


def test_of_many_problems_the_errors_are_kept() -> None:
    doubtful = METRIC.replace("x[2m]", "delta(x_total[2m])") * 200
    found = load_text(
        policy_text(f"objectives:\n{doubtful}".rstrip(), "whenBlind: {then: {replicas: 9}}")
    )
    assert not found.ok
    assert checks(found).count("when-blind-bounds") == 1
    assert any("101 further problems left out" in problem.remedy for problem in found.problems)


def test_a_key_of_a_thousand_letters_is_shown_in_a_screenful() -> None:
    (problem,) = load_text(policy_text(f"{'k' * 1000}: 1")).problems
    assert problem.check == "unknown-field"
    assert len(problem.message) == 400
