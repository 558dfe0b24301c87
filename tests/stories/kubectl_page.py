"""The page of outputs, docs/how-to/what-kubectl-shows.md: read and filled."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "what-kubectl-shows.md"
_BLOCK = re.compile(r"(<!-- run: ([\w-]+) -->\n```\n)(.*?)(```\n)", re.DOTALL)


def filled(text: str, blocks: dict[str, str]) -> str:
    """The page with these blocks; every block that it has must be among them, and none more."""
    found = {match[2] for match in _BLOCK.finditer(text)}
    if found != set(blocks):
        raise ValueError(f"the page has {sorted(found)}, the run has {sorted(blocks)}")
    return _BLOCK.sub(lambda match: f"{match[1]}{blocks[match[2]]}\n{match[4]}", text)


def documented(name: str) -> Any:
    """The JSON that the page shows under this name."""
    (block,) = (match[3] for match in _BLOCK.finditer(PAGE.read_text()) if match[2] == name)
    return json.loads(block.partition("\n")[2])


def shape(document: Any) -> Any:
    """Keys and types, not values: of a list, the shapes that occur in it."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        return sorted({json.dumps(shape(one), sort_keys=True) for one in document})
    return type(document).__name__
