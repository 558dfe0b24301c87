"""Problems as text, JSON and GitHub annotations."""

from __future__ import annotations

import json

from inline_snapshot import snapshot

from autoscaler.policy import PolicySet, load_texts
from autoscaler.policy.diagnostics import Problem
from autoscaler.policy.report import render, summary
from tests.unit.policy.texts import load_text, policy_text


def text_of(found: PolicySet, color: bool = False) -> str:
    return render(found.problems, found.sources, color=color)


def test_a_problem_reads_like_a_compilers() -> None:
    found = load_text(policy_text(sla="{queuetime: 50ms}"))
    assert text_of(found) == snapshot("""\
flower.yaml:7:9: error[unknown-field]: spec.sla.queuetime is not known
    7 |   sla: {queuetime: 50ms}
      |         ^^^^^^^^^
      = help: did you mean queueTime?

""")


def test_nothing_but_the_message_is_wider_than_100_columns() -> None:
    models = ", ".join(f"model-{i}: {i}" for i in range(1, 40))
    found = load_text(policy_text(f"capacity: {{models: {{{models}, last: many}}}}"))
    lines = text_of(found).splitlines()
    assert max(len(line) for line in lines) <= 100
    column = lines[2].index("^")
    assert lines[1][column : column + 4] == "many"


def test_carets_stand_under_wide_characters() -> None:
    found = load_text(policy_text("mode: '日本語'  # e"))
    shown, carets = text_of(found).splitlines()[1:3]
    assert shown == "    8 |   mode: '日本語'  # e"
    assert carets == "      |         ^^^^^^^^"


def test_a_file_cannot_repaint_the_terminal() -> None:
    found = load_texts({"a\x1b[2J.yaml": 'x: "\x7f\u202e'})
    assert "\x1b" not in text_of(found)
    assert "\u202e" not in text_of(found)


def test_color_only_when_asked() -> None:
    found = load_text(policy_text("mode: x"))
    assert "\x1b[31m" in text_of(found, color=True)
    assert "\x1b" not in text_of(found)


def test_json_carries_everything_and_counts() -> None:
    found = load_text(policy_text("mode: x", "cooldown: {scaleUp: 9m}"))
    data = json.loads(render(found.problems, found.sources, "json", facts={"hash": "abc"}))
    assert (data["errors"], data["warnings"], data["hash"]) == (1, 0, "abc")
    assert data["problems"] == snapshot(
        [
            {
                "check": "bad-choice",
                "severity": "error",
                "file": "flower.yaml",
                "line": 8,
                "column": 9,
                "message": "spec.mode: 'x' is not observe, recommend or scale",
                "remedy": "write observe, recommend or scale",
                "endColumn": 10,
            }
        ]
    )


def test_github_annotations_escape_what_would_end_them() -> None:
    problem = Problem("x", "warning", "a,b:c.yaml", 3, 5, 9, "50% of\nit", "do: this, that")
    assert render([problem], {}, "github") == snapshot("""\
::warning file=a%2Cb%3Ac.yaml,line=3,col=5,endColumn=8,title=x::50%25 of%0Ait%0Ahelp: do: this, that
""")


def test_the_summary_counts_in_english() -> None:
    found = load_text(policy_text("mode: x"))
    assert summary(found.problems, 1, 1) == "1 error in 1 file, 1 document"
    assert summary([], 2, 3) == "no problems in 2 files, 3 documents"
    assert summary(found.problems * 2, 2, 3) == "2 errors in 2 files, 3 documents"
