"""Which files a path stands for, and their contents."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoscaler.policy.diagnostics import Mark, Problem
from autoscaler.policy.source import MAX_BYTES, problem_at

SUFFIXES = frozenset({".yaml", ".yml"})
_START = Mark(1, 1, 2)


@dataclass(frozen=True, slots=True)
class File:
    """`name` is relative to the path it was found under; `shown` is how people find it."""

    name: str
    shown: str
    content: bytes


def read_files(paths: Sequence[Path]) -> tuple[list[File], list[Problem]]:
    """Files as they are; folders recursively, *.yaml and *.yml, each real file once."""
    files: list[File] = []
    problems: list[Problem] = []
    seen: set[Path] = set()
    for root in paths:
        found = list(_walk(root, set())) if root.is_dir() else [root]
        for path in found:
            real = path.resolve()
            if real in seen:
                continue
            seen.add(real)
            try:
                content = _read(path, regular=root.is_dir())
            except OSError as error:
                remedy = "check the path and its permissions"
                message = f"cannot be read: {error.strerror or error}"
                problems.append(problem_at("unreadable", str(path), _START, message, remedy))
                continue
            name = path.name if path == root else path.relative_to(root).as_posix()
            files.append(File(name, str(path), content))
    if not files and not problems:
        shown = ", ".join(str(path) for path in paths) or "."
        remedy = "name a file, or a folder that holds *.yaml"
        problems.append(problem_at("no-policy", shown, _START, "no policy files here", remedy))
    return files, problems


def _walk(folder: Path, visited: set[Path]) -> Iterator[Path]:
    """Links are followed, loops once; ConfigMap mounts keep versions in ..data: not looked into."""
    real = folder.resolve()
    if real in visited:
        return
    visited.add(real)
    try:
        children = sorted(folder.iterdir())
    except OSError:
        yield folder  # reading it names the reason
        return
    for child in children:
        if child.name.startswith("."):
            continue
        if child.is_dir():
            yield from _walk(child, visited)
        elif child.suffix in SUFFIXES:
            yield child


def _read(path: Path, regular: bool) -> bytes:
    """At most one byte more than allowed. In a folder, a pipe would block for ever."""
    if regular and not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "not a regular file")
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)
