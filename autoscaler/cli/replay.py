"""A decision made again from its journal line, and what differs: nothing, one hopes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autoscaler.wire import JournalLine, to_data


def differences(line: JournalLine) -> list[str] | None:
    """In words, one a field; [] when identical, None when the pipeline was not asked then."""
    from autoscaler.decide import decide
    from autoscaler.run.hold import BINDING

    if line.decision.binding == BINDING:
        return None
    again, _ = decide(line.policy, line.observation, line.state, line.decision.at)
    return list(_compare("", to_data(line.decision), to_data(again)))


def _compare(place: str, then: Any, now: Any) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*then, *now]):
            inner = f"{place}.{key}" if place else key
            yield from _compare(inner, then.get(key), now.get(key))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _compare(f"{place}[{number}]", one, other)
    elif then != now:
        yield f"{place}: {_short(then)} then, {_short(now)} now"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
