"""Which tool wrote this text, and the profiles in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autoscaler.policy.profile import (
    console,
    genai_perf,
    model_analyzer,
    perf_analyzer,
    request_log,
)
from autoscaler.policy.profile.plausible import check_rows
from autoscaler.policy.profile.sweep import Profile, ProfileError, load_name
from autoscaler.policy.profile.table import Table, read_tables

READ = (
    "give the CSV of perf_analyzer -f, the JSON of its --profile-export-file, Model Analyzer's "
    "metrics-model-inference.csv, or GenAI-Perf's profile_export.json"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user says of a file that it does not say itself.

    `batch`: inferences in one request; of a table with several of them, which. None: 1, or the
    only one. `model`: which of several. `latency_is`: the quantile of a latency without a name.
    """

    batch: int | None = None
    model: str | None = None
    latency_is: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds. `utilization`: of Model Analyzer's table of GPUs, for its other table."""

    tool: str
    profiles: tuple[Profile, ...] = ()
    utilization: Mapping[model_analyzer.Key, float] = field(default_factory=dict)


def parse_profile(text: str) -> Profile:
    """The one profile of a text, as a policy names it. Raises ProfileError where it holds several.

    Of a table with several models, configurations or client batches a policy does not say which
    one runs.
    """
    profiles = read_profiles(text).profiles
    if not profiles:
        raise ProfileError("has GPUs and no latencies", READ)
    if len(profiles) > 1:
        raise ProfileError(
            f"holds {len(profiles)} sweeps, of {_kinds(profiles)}, and a policy cannot know which "
            "one runs",
            "let triton-autoscaler profile choose, and give its number as requestsPerSecond",
        )
    if len({point.load for point in profiles[0].points}) == 1:
        only = profiles[0].points[0]
        raise ProfileError(
            f"holds one load only ({load_name(profiles[0], only.load)})",
            "measure several, up to one that breaks the SLA",
            only.line,
        )
    return profiles[0]


def read_profiles(text: str, choice: Choice | None = None, source: str = "") -> Reading:
    """All profiles of a text, each with `source` as the name of its file. Raises ProfileError."""
    choice = choice or Choice()
    start = text.lstrip("\ufeff \t\r\n")[:1]
    reading = _json(text) if start in {"{", "["} else _csv(text, choice)
    profiles = tuple(
        replace(_without_blanks(profile), source=source)
        for profile in reading.profiles
        if choice.model is None or profile.configuration.model in {"", choice.model}
    )
    if reading.profiles and not profiles:
        models = ", ".join(sorted({profile.configuration.model for profile in reading.profiles}))
        raise ProfileError(f"has no model {choice.model}", f"it has {models or 'no model names'}")
    return replace(reading, profiles=of_batch(profiles, choice.batch))


def _csv(text: str, choice: Choice) -> Reading:
    tables = read_tables(text)
    profiles: list[Profile] = []
    utilization: dict[model_analyzer.Key, float] = {}
    tool = ""
    for table in tables:
        if genai_perf.is_csv(table):
            raise genai_perf.refuse_csv(table)
        if model_analyzer.is_inference(table):
            tool = model_analyzer.TOOL
            profiles += model_analyzer.read_inference(table, choice.batch or 1)
        elif model_analyzer.is_gpu(table):
            tool = tool or f"{model_analyzer.TOOL}'s table of GPUs"
            utilization |= model_analyzer.read_utilization(table)
        elif console.is_console(table):
            tool = console.TOOL
            profiles += console.read_console(table, choice.batch or 1, choice.latency_is)
        elif perf_analyzer.is_sweep(table):
            tool = perf_analyzer.TOOL
            profiles.append(perf_analyzer.read_sweep(table, choice.batch or 1))
        else:
            raise _foreign(table, text)
    joined = [model_analyzer.with_utilization(profile, utilization) for profile in profiles]
    return Reading(tool, tuple(joined if utilization else profiles), utilization)


def _json(text: str) -> Reading:
    import orjson

    try:
        document: Any = orjson.loads(text.lstrip("\ufeff"))
    except orjson.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) - 1
        what = "is JSON that is cut off" if cut else f"is not JSON: {error.msg}"
        raise ProfileError(what, "run the tool again", error.lineno) from None
    profile = None
    if request_log.is_request_log(document):
        profile = request_log.read_request_log(document)
    elif genai_perf.is_run(document):
        profile = genai_perf.read_run(document)
    if profile is not None:
        check_rows(profile.points, profile.tool)
        return Reading(profile.tool, (profile,))
    keys = ", ".join(list(document)[:5]) if isinstance(document, dict) else "a list"
    raise ProfileError(f"is JSON of no tool that is read here ({keys})", READ, 1)


def _foreign(table: Table, text: str) -> ProfileError:
    """Of another tool: say what it looks like."""
    first = table.header[0].lower()
    if len(table.header) == 1 and any(mark in table.header[0] for mark in ";\t"):
        mark = "semicolons" if ";" in table.header[0] else "tabs"
        return ProfileError(f"parts its columns by {mark}", "save it with commas", table.line)
    if text.lstrip().startswith(("*** Measurement", "Request concurrency", "Inferences/Second vs")):
        return ProfileError("is perf_analyzer's console output", "run it with -f FILE.csv", 1)
    if first.startswith(("timestamp", "time")):
        what = "has a row a moment, not a row a load: it is a trace or a recording"
        return ProfileError(what, f"{READ}; a trace of requests goes to simulate", table.line)
    shown = ", ".join(name[:30] for name in table.header[:5])
    more = ", …" if len(table.header) > 5 else ""
    lacks = "Concurrency or Request Rate and Inferences/Second"
    what = f"is of another tool (columns {shown}{more}): it lacks the column {lacks}"
    return ProfileError(what, READ, table.line)


def of_batch(profiles: tuple[Profile, ...], batch: int | None) -> tuple[Profile, ...]:
    """Those of one client batch. A request of 8 inferences is another load than one of 1."""
    if batch is not None:
        kept = tuple(profile for profile in profiles if profile.batch == batch)
        counted = any(profile.tool == request_log.TOOL for profile in profiles)
        if profiles and not kept and not counted:
            has = ", ".join(f"{each}" for each in sorted({profile.batch for profile in profiles}))
            raise ProfileError(f"has no client batch {batch}", f"it has {has}")
        return kept or profiles
    first: dict[str, Profile] = {}
    for profile in profiles:
        other = first.setdefault(profile.configuration.model, profile)
        if other.batch != profile.batch:
            model = profile.configuration.model
            raise ProfileError(
                f"mixes client batches {other.batch} and {profile.batch}"
                f"{f' of {model}' if model else ''}, from line {profile.points[0].line} on",
                f"say what your clients send: --batch {min(other.batch, profile.batch)}",
                profile.points[0].line,
            )
    return profiles


def _without_blanks(profile: Profile) -> Profile:
    """A GPU that reads nothing at some loads and something at others was not watched there."""
    known = sum(point.gpu_utilization is not None for point in profile.points)
    if not known or known == len(profile.points):
        return profile
    note = f"GPU utilisation was measured at {known} of {len(profile.points)} loads only"
    return replace(profile, notes=(*profile.notes, note))


def _kinds(profiles: Sequence[Profile]) -> str:
    models = {profile.configuration.model for profile in profiles}
    return f"{len(models)} models" if len(models) > 1 else "several configurations"
