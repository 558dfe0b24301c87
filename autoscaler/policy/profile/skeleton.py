"""A policy to begin with, from a profile: nothing in it that a person would have to tune."""

from __future__ import annotations

import json
import textwrap

from autoscaler.model import Sla
from autoscaler.policy.profile.capacity import Answer, capacity_at
from autoscaler.policy.profile.choose import Verdict
from autoscaler.policy.profile.read import parse_profile
from autoscaler.policy.profile.sweep import ProfileError, percentile
from autoscaler.policy.profile.words import capacity_words, notes
from autoscaler.policy.source import MAX_BYTES
from autoscaler.units import format_number, format_share

_NEXT = (
    "Next: triton-autoscaler validate on this file, then run --dry-run beside what scales the "
    "fleet today, then mode: recommend or scale."
)


# Words that a YAML parser, of 1.1 or 1.2, takes for something else than text
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def policy_text(
    verdict: Verdict,
    sla: Sla,
    *,
    namespace: str,
    name: str,
    file: str,
    text: str,
    command: str,
    max_replicas: int,
    headroom: float,
    gpu_hour: float | None = None,
) -> str:
    """YAML of a ScalingPolicy. `text` is the content of `file`, `command` what made this.

    Where reading `file` at `sla.latency`, as a policy does, gives the same number, the policy names
    the file; else (other configurations in it, a client batch, a queue time) the number itself.
    Raises ProfileError where the profile has no answer.
    """
    answer = verdict.answer
    if not isinstance(answer, Answer):
        raise ProfileError(answer.reason, answer.remedy, answer.line)
    rate = answer.requests_per_second
    fleet = format_number(rate * (1 - headroom) * max_replicas)
    where = f"{{namespace: {_quoted(namespace)}, name: {_quoted(name)}}}"
    quota = f"max: what your GPU quota allows; {max_replicas} carry {fleet} requests/s within the"
    lines = [
        *_comment(f"Made by: {command}"),
        "#",
        *_comment(f"One replica carries {capacity_words(verdict.profile, answer)}."),
        *(line for note in notes(verdict) for line in _comment(f"{note}.", "  ")),
        "#",
        *_comment(_NEXT),
        "apiVersion: triton-autoscaler/v1alpha1",
        "kind: ScalingPolicy",
        f"metadata: {{namespace: {_quoted(namespace)}, name: {_quoted(name)}}}",
        "spec:",
        "  # a Deployment; of another kind add apiVersion and kind",
        f"  target: {where}",
        "  mode: observe  # decides and shows, writes nothing",
        *_comment(f"{quota} SLA, {format_share(headroom)} kept free", at="  "),
        f"  replicas: {{min: 1, max: {max_replicas}}}",
        *_sla(sla),
        *_capacity(sla, rate, file, text),
        f"    headroom: {_plain(headroom * 100)}%",
        *([f"  cost: {{gpuHour: {_plain(gpu_hour)}}}"] if gpu_hour is not None else []),
    ]
    return "\n".join(lines) + "\n"


def _sla(sla: Sla) -> list[str]:
    lines = ["  sla:"]
    if sla.latency:
        limits = (f"{percentile(q)}: {_milliseconds(limit)}" for q, limit in sla.latency)
        lines.append(f"    latency: {{{', '.join(limits)}}}")
    if sla.queue_time is not None:
        lines.append(f"    queueTime: {_milliseconds(sla.queue_time)}")
    return lines


def _capacity(sla: Sla, rate: float, file: str, text: str) -> list[str]:
    if _reads_the_same(sla, rate, text):
        return ["  capacity:", f"    profile: {_quoted(file)}  # relative to this file"]
    # Down, not up: 68.97 requests/s are not 69
    number = _plain(int(rate * 10) / 10 if rate >= 10 else int(rate * 1e4) / 1e4)
    comment = "one sweep, batch or promise of the file: a policy that named it could not tell which"
    return ["  capacity:", f"    # {comment}", f"    requestsPerSecond: {number}  # from {file}"]


def _reads_the_same(sla: Sla, rate: float, text: str) -> bool:
    """Whether a policy that names the file would find this rate in it."""
    if not sla.latency or len(text.encode()) > MAX_BYTES:
        return False
    try:
        found = capacity_at(parse_profile(text), Sla(latency=sla.latency))
    except ProfileError:
        return False
    return isinstance(found, Answer) and abs(found.requests_per_second - rate) < 1e-9 * rate


def _comment(text: str, indent: str = "", at: str = "") -> list[str]:
    clean = "".join(char if char.isprintable() else " " for char in text)
    first, then = f"{at}# {indent}", f"{at}#   {indent}"
    return textwrap.wrap(clean, 98, initial_indent=first, subsequent_indent=then)


def _milliseconds(seconds: float) -> str:
    """To the digit: format_duration is for reading and makes 1234ms 1.23s."""
    return f"{_plain(seconds * 1e3)}ms"


def _quoted(text: str) -> str:
    """Plain words as they are, all else as a JSON string, which is YAML too."""
    plain = text.isascii() and text[:1].isalpha() and all(c.isalnum() or c in "-./_" for c in text)
    return text if plain and text.lower() not in _NOT_TEXT else json.dumps(text)


def _plain(number: float) -> str:
    return f"{number:.10g}"
