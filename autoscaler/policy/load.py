"""From paths to policies: read, check, compile."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from autoscaler.model import GpuBudget, Policy
from autoscaler.policy.budgets import BudgetDocument, BudgetEntry, compile_budget
from autoscaler.policy.checks import review
from autoscaler.policy.checks.budgets import review_budgets
from autoscaler.policy.compile import compile_policy
from autoscaler.policy.diagnostics import Mark, Problem
from autoscaler.policy.entry import Entry, ReadProfile
from autoscaler.policy.files import File, read_files
from autoscaler.policy.shape import read_document
from autoscaler.policy.source import MAX_BYTES, MAX_PROBLEMS, problem_at, read_trees

_START = Mark(1, 1, 2)


@dataclass(frozen=True, slots=True)
class PolicySet:
    """What was read. With errors `policies` is empty: a set is taken whole or not at all.

    `hash` is over names and contents of the files and the profiles they name, 12 hex digits.
    `sources` is the text of each file, for showing problems in place.
    """

    policies: tuple[Policy, ...]
    problems: tuple[Problem, ...]
    hash: str
    files: int
    documents: int
    sources: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[Path, ...] = ()
    budgets: tuple[GpuBudget, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


def load(paths: Sequence[Path], *, scrape_interval: float = 15.0) -> PolicySet:
    """Policies of files and folders. Bad content and unreadable files become problems."""
    files, problems = read_files(paths)
    profiles: dict[Path, str] = {}

    def read_profile(file: str, name: str) -> str:
        path = Path(file).parent / name
        if path not in profiles:
            with path.open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise ValueError("it is larger than 1 MiB")
            profiles[path] = content.decode()
        return profiles[path]

    made = _build(files, problems, scrape_interval, read_profile)
    named = [(str(path), text.encode()) for path, text in profiles.items()]
    digest = _digest([*((file.name, file.content) for file in files), *named])
    return replace(made, hash=digest, profiles=tuple(sorted(profiles)))


def load_texts(
    texts: Mapping[str, str], *, scrape_interval: float = 15.0, folder: Path | None = None
) -> PolicySet:
    """Policies of texts by file name. `*.csv` among them are profiles.

    With `folder`, other profiles are read relative to it (standard input stands in the working
    directory); without, nothing is read from disk.
    """

    def read_profile(file: str, name: str) -> str:
        inside = (Path(file).parent / name).as_posix()
        if inside in texts:
            return texts[inside]
        if folder is None:
            raise FileNotFoundError(2, "no such file")
        with (folder / name).open("rb") as stream:
            return stream.read(MAX_BYTES).decode()

    raw = {name: _bytes(text) for name, text in texts.items()}
    files = [File(name, name, raw[name]) for name in texts if not name.endswith(".csv")]
    problems = []
    if not files:
        problems = [problem_at("no-policy", ".", _START, "no policy files here", "name a file")]
    made = _build(files, problems, scrape_interval, read_profile)
    return replace(made, hash=_digest(list(raw.items())))


def _build(
    files: list[File], problems: list[Problem], scrape_interval: float, read_profile: ReadProfile
) -> PolicySet:
    entries: list[Entry] = []
    budgets: list[BudgetEntry] = []
    sources: dict[str, str] = {}
    documents = 0
    for file in files:
        text, found = _decode(file)
        sources[file.shown] = text.removeprefix("\ufeff")
        if found:
            problems.append(found)
            continue
        trees, faults = read_trees(file.shown, text)
        problems += faults
        documents += len(trees)
        if any(fault.severity == "error" for fault in faults):
            continue  # of broken YAML more would be said than is true
        before = len(problems)
        for tree in trees:
            if len(problems) - before >= MAX_PROBLEMS:
                break
            document, faults = read_document(file.shown, tree)
            problems += faults
            if isinstance(document, BudgetDocument):
                budgets.append(BudgetEntry(file.shown, tree, document))
            elif document is not None:
                entries.append(Entry(file.shown, tree, document, scrape_interval, read_profile))
    problems += review(entries)
    problems += review_budgets(budgets, entries)
    wrong = any(problem.severity == "error" for problem in problems)
    problems = _bounded(problems)
    return PolicySet(
        policies=() if wrong else tuple(compile_policy(entry) for entry in entries),
        problems=tuple(problems),
        hash="",
        files=len(files),
        documents=documents,
        budgets=() if wrong else tuple(compile_budget(entry) for entry in budgets),
        sources=sources,
    )


def _bounded(problems: list[Problem]) -> list[Problem]:
    """In order; of each file the first MAX_PROBLEMS, errors before warnings."""
    files: dict[str, list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: (problem.severity, *problem.order)):
        files.setdefault(problem.file, []).append(problem)
    kept = []
    for found in files.values():
        kept += found[:MAX_PROBLEMS]
        if len(found) > MAX_PROBLEMS:
            remedy = f"{kept[-1].remedy} ({len(found) - MAX_PROBLEMS} further problems left out)"
            kept[-1] = replace(kept[-1], remedy=remedy)
    return sorted(kept, key=lambda problem: problem.order)


def _decode(file: File) -> tuple[str, Problem | None]:
    if len(file.content) > MAX_BYTES:
        remedy = "a policy has about 2 kB: was something else saved here?"
        message = "the file is larger than 1 MiB and was not read"
        return "", problem_at("file-too-large", file.shown, _START, message, remedy)
    try:
        return file.content.decode(), None
    except UnicodeDecodeError as error:
        before = file.content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        byte = file.content[error.start]
        mark = Mark(line, column, column + 1)
        message = f"not UTF-8: byte 0x{byte:02x} at position {error.start}"
        shown = file.content.decode("utf-8", "replace")
        return shown, problem_at("encoding", file.shown, mark, message, "save the file as UTF-8")


def _bytes(text: str) -> bytes:
    """Bytes that were not UTF-8 come through as Python escaped them (standard input)."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _digest(contents: list[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(contents):
        digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogatepass"))
        digest.update(content)
    return digest.hexdigest()[:12]
