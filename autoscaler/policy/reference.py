"""The reference pages, made from the models and the registry so that they cannot drift.

`python -m autoscaler.policy.reference` in a checkout writes docs/reference/*.md and the schema.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autoscaler.policy.load import load_texts
from autoscaler.policy.registry import CHECKS, Check
from autoscaler.policy.report import render
from autoscaler.policy.schema import MODELS, schema

SCHEMA_FOLDER = Path("policies/schema")
EXPECT = re.compile(r"# expect: (\S+) line (\d+)")

# Types are told by their first example: JSON Schema has no word for them.
_UNITS = {"50ms": "duration", "20%": "share", "40": "quantity"}

_KINDS = {
    "integer": "whole number",
    "string": "text",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}

_POLICY_HEAD = """\
# The policy file

<!-- Made from the code: `python -m autoscaler.policy.reference`. Do not edit. -->

One YAML document of `apiVersion: triton-autoscaler/v1alpha1`, `kind: ScalingPolicy` for one fleet;
a cap on the GPUs of several fleets is a document of `kind: GpuBudget` beside them, at the end.
Several documents may stand in a file, several files in a folder (`*.yaml`, `*.yml`; names that
start with a dot are left out). `triton-autoscaler validate PATH…` checks them without a network.

Durations are text with a unit (`50ms`, `90s`, `10m`, `1h30m`), never bare numbers. Shares are
percentages or ratios (`20%`, `0.2`). Quantities are those of Kubernetes (`40`, `1500m`, `2k`).
Text is read as YAML 1.2; duplicate keys, aliases, merge keys and tags are refused.

Examples to copy: [`policies/examples`](../../policies/examples). What each diagnostic means:
[checks](checks.md).
"""

_CHECKS_HEAD = """\
# Checks

<!-- Made from the code: `python -m autoscaler.policy.reference`. Do not edit. -->

What `triton-autoscaler validate` looks for. Errors end it with 1; warnings only with `--strict`.
While running, a set with an error is not taken: the last good one stays.
"""


def policy_page() -> str:
    """docs/reference/policy.md: every field with its type, default and meaning."""
    return _POLICY_HEAD + "".join(text for kind in MODELS for text in _sections(schema(kind), kind))


def schema_path(kind: str) -> Path:
    return SCHEMA_FOLDER / f"{kind.lower()}.v1alpha1.json"


def _printed(made: Mapping[str, Any]) -> str:
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _sections(root: dict[str, Any], kind: str) -> Iterator[str]:
    stack: list[tuple[str, dict[str, Any]]] = [(kind, root)]
    while stack:
        place, node = stack.pop()
        yield f"\n## `{place}`\n\n{_sentence(node)}"
        yield "\n| field | type | required | meaning |\n|---|---|---|---|\n"
        below = []
        for name, child in node["properties"].items():
            required = "yes" if name in node.get("required", ()) else ""
            meaning = child.get("description", "").replace("|", "\\|")
            yield f"| `{name}` | {_type(child, root)} | {required} | {meaning} |\n"
            route = name if place == kind else f"{place}.{name}"
            for definition, suffix in _parts(child):
                below.append((route + suffix, root["$defs"][definition]))
        stack += reversed(below)


def _sentence(node: Mapping[str, Any]) -> str:
    text = node.get("description", "")
    return text + "\n" if text else ""


def _parts(child: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "$ref" in child:
        yield child["$ref"].rsplit("/", 1)[-1], ""
    for option in child.get("anyOf", ()):
        yield from _parts(option)
    if "items" in child:
        for name, _ in _parts(child["items"]):
            yield name, "[]"


def _type(child: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    if "anyOf" in child and "examples" not in child:
        kinds = [_type(option, root) for option in child["anyOf"] if option != {"type": "null"}]
        return " or ".join(dict.fromkeys(kinds))
    if "examples" in child:
        return _UNITS[child["examples"][0]]
    words = child.get("enum", [child["const"]] if "const" in child else [])
    if words:
        return " or ".join(f"`{word}`" for word in words)
    if isinstance(child.get("additionalProperties"), dict):
        return "map"
    return _KINDS[child.get("type", "object")]


def checks_page(corpus: Mapping[str, str]) -> str:
    """docs/reference/checks.md. `corpus` is text by file name: one fault each, with `# expect:`."""
    files: dict[str, list[str]] = {}
    for name, text in sorted(corpus.items()):
        match = EXPECT.match(text.removeprefix("\ufeff"))
        if match:
            files.setdefault(match[1], []).append(name)
    page = _CHECKS_HEAD
    for check in CHECKS.values():
        page += _check_section(check, files.get(check.id, []), corpus)
    return page


def _check_section(check: Check, names: list[str], corpus: Mapping[str, str]) -> str:
    text = f"\n## {check.id}\n\n**{check.severity}**: {check.summary} {check.why}\n"
    if names:
        found = load_texts({names[0]: corpus[names[0]]}, folder=Path(names[0]).parent)
        shown = render(found.problems[:1], found.sources).rstrip()
        text += f"\n```text\n{shown}\n```\n"
    return text


def corpus(root: Path) -> dict[str, str]:
    """The one-fault files of a checkout, by path from its root."""
    folders = ("policies/invalid", "policies/doubtful")
    files = [path for folder in folders for path in sorted((root / folder).glob("*.yaml"))]
    # a file that is not UTF-8 shows its own fault only when read as bytes
    texts = {path: path.read_bytes().decode("utf-8", "surrogateescape") for path in files}
    return {path.relative_to(root).as_posix(): text for path, text in texts.items()}


def pages(root: Path) -> dict[Path, str]:
    """Everything that is made from the code, by path from the checkout's root."""
    return {
        **{schema_path(kind): _printed(schema(kind)) for kind in MODELS},
        Path("docs/reference/policy.md"): policy_page(),
        Path("docs/reference/checks.md"): checks_page(corpus(root)),
    }


def main(root: Path) -> None:
    """Write the pages into a checkout."""
    for path, text in pages(root).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
