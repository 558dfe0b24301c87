"""Files of load sweeps → verdicts, with a problem for each file that gives none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoscaler.model import Sla
from autoscaler.policy.diagnostics import Problem
from autoscaler.policy.profile import Choice, Profile, ProfileError, Reading, Refusal, read_profiles
from autoscaler.policy.profile.choose import Verdict, best, judge
from autoscaler.policy.profile.join import one_sweep, with_gpus
from autoscaler.policy.profile.read import of_batch

# perf_analyzer's export of a long sweep at thousands of requests/s; it is read into memory.
MAX_BYTES = 1 << 30
_TOO_LARGE = "export fewer loads to one file, or give the CSV of perf_analyzer -f"


@dataclass(frozen=True, slots=True)
class Found:
    """`best` by model. `texts` of the files that could be read, `tools` what wrote them."""

    files: tuple[str, ...]
    sla: Sla
    verdicts: tuple[Verdict, ...]
    best: Mapping[str, Verdict]
    problems: tuple[Problem, ...]
    texts: Mapping[str, str]
    tools: Mapping[str, str]
    gpu_hour: float | None
    gpus: int
    headroom: float


def read_files(files: tuple[str, ...], sla: Sla, given: Mapping[str, Any]) -> Found:
    """All files, each once; what cannot be read becomes a problem."""
    choice = Choice(given["batch"], given["model"], given["latency_is"])
    texts: dict[str, str] = {}
    readings: dict[str, Reading] = {}
    problems: list[Problem] = []
    for file in dict.fromkeys(files):
        try:
            texts[file] = _text(Path(file))
            readings[file] = read_profiles(texts[file], choice, file)
        except ProfileError as error:
            problems.append(_problem(file, texts, error.reason, error.remedy, error.line))
    profiles: list[Profile] = []
    try:
        profiles = _together(list(readings.values()), choice, join=given["join"])
    except ProfileError as error:
        problems.append(_problem(files[-1], texts, error.reason, error.remedy, error.line))
    if not profiles and not problems:
        reason = "has the GPUs of measurements, not their latencies"
        remedy = "give metrics-model-inference.csv with it"
        problems.append(_problem(files[0], texts, reason, remedy, 1))
    verdicts = judge(profiles, sla, given["headroom"])
    winners = best(verdicts)
    problems += _unanswered(verdicts, winners, texts)
    return Found(
        files,
        sla,
        tuple(verdicts),
        winners,
        tuple(problems),
        texts,
        {file: reading.tool for file, reading in readings.items()},
        given["gpu_hour"],
        given["gpus_per_replica"],
        given["headroom"],
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        remedy = "check the path and its permissions"
        raise ProfileError(f"cannot be read: {error.strerror or error}", remedy) from None
    if len(content) > MAX_BYTES:
        raise ProfileError("is larger than 1 GiB", _TOO_LARGE)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        remedy = "give the file as the tool wrote it, not a spreadsheet or an archive"
        raise ProfileError("is not UTF-8 text", remedy, line) from None


def _together(readings: Sequence[Reading], choice: Choice, *, join: bool) -> list[Profile]:
    profiles = with_gpus(readings)
    if join and profiles:
        return [one_sweep(profiles)]
    return list(of_batch(tuple(profiles), choice.batch))


def _unanswered(
    verdicts: Sequence[Verdict], winners: Mapping[str, Verdict], texts: Mapping[str, str]
) -> list[Problem]:
    """One for each model that no configuration serves: the refusal of its first one."""
    problems = []
    for verdict in verdicts:
        model = verdict.profile.configuration.model
        if model in winners or not isinstance(verdict.answer, Refusal):
            continue
        winners = {**winners, model: verdict}  # said once
        refusal = verdict.answer
        name = f"{verdict.profile.configuration}: " if str(verdict.profile.configuration) else ""
        problems.append(
            _problem(
                verdict.profile.source,
                texts,
                name + refusal.reason,
                refusal.remedy,
                refusal.line,
                refusal.check,
            )
        )
    return problems


def _problem(
    file: str,
    texts: Mapping[str, str],
    reason: str,
    remedy: str,
    line: int | None,
    check: str = "profile-unreadable",
) -> Problem:
    """At its line, or at the head of the file."""
    number = line or 1
    lines = texts.get(file, "").splitlines()
    width = len(lines[number - 1]) if number <= len(lines) else 1
    return Problem(check, "error", file, number, 1, width + 1, reason, remedy)
