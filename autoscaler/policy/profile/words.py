"""Answers in sentences, for the table, the policy's comments and the plot alike."""

from __future__ import annotations

from autoscaler.policy.profile.capacity import Answer, Refusal
from autoscaler.policy.profile.choose import Verdict
from autoscaler.policy.profile.duty_cycle import DutyCycle
from autoscaler.policy.profile.sweep import Point, Profile, load_name, load_number
from autoscaler.units import format_duration, format_number, format_share


def title(profile: Profile) -> str:
    """`perf.csv`, or `resnet50_config_3 (2 instances, max batch 8)`, or both without a name."""
    settings = profile.configuration
    file = profile.source.rpartition("/")[2]
    parts = [str(settings)] if settings.name else [file, str(settings)]
    shown = " ".join(part for part in parts if part)
    # A name out of a file must not be able to repaint the terminal
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown)


def capacity_words(profile: Profile, answer: Answer | Refusal) -> str:
    """How the number came about, or why there is none."""
    if isinstance(answer, Refusal):
        return f"No answer: {answer.reason}. What to do: {answer.remedy}"
    rate = f"{format_number(answer.requests_per_second)} requests/s"
    below = f"{load_name(profile, answer.below.load)} ({_measured(answer, answer.below)})"
    if answer.how == "interpolated":
        assert answer.above is not None
        above = f"{load_number(answer.above.load)} ({_measured(answer, answer.above)})"
        return f"{rate}: {answer.bound} is reached between {below} and {above}"
    if answer.above is None:
        return f"{rate}: the highest measured, at {below}"
    above = f"{load_name(profile, answer.above.load)} ({_measured(answer, answer.above)})"
    return f"{rate}: the highest measured within the SLA, at {below}; {above} breaks it"


def duty_words(found: DutyCycle | Refusal) -> list[str]:
    """The advice and what to know of it, or why there is none."""
    if isinstance(found, Refusal):
        return [f"No duty cycle target: {found.reason}. What to do: {found.remedy}"]
    advice = (
        f"dutyCycle averageUtilization {format_share(found.target)}: the GPU reads "
        f"{format_share(found.at_sla)} where the SLA is reached, and {format_share(found.highest)} "
        f"at most, so that one decision multiplies the replicas by {found.growth:.2f} at most"
    )
    return [advice, *found.published]


def notes(verdict: Verdict) -> tuple[str, ...]:
    return verdict.answer.notes if isinstance(verdict.answer, Answer) else ()


def _measured(answer: Answer, point: Point) -> str:
    """`1,631/s, p99 39.3ms, line 4`."""
    words = [f"{format_number(point.requests_per_second)}/s"]
    if answer.bound is not None:
        words.append(f"{answer.bound.name} {format_duration(answer.bound.of(point))}")
    words += [f"line {point.line}"] if point.line is not None else []
    return ", ".join(words)
