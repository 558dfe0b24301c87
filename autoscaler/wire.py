"""The JSON form of the vocabulary: reading with errors that name the place, writing, schemas."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from autoscaler.model import Decision, Observation, Policy, State, camel

T = TypeVar("T")


class WireError(ValueError):
    """JSON that is not what it should be; the text names the field and what is wrong with it."""


class JournalLine(BaseModel):
    """One decision with all that it was made from: enough to make it again, identically."""

    model_config = ConfigDict(alias_generator=camel, populate_by_name=True, extra="forbid")
    policy: Policy
    observation: Observation
    state: State
    decision: Decision
    standby: bool = False  # another daemon led: nothing was written for this decision


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Built once per type and only when asked for: it costs milliseconds."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def to_json(value: Any) -> bytes:
    """One line of JSON, camelCase, without the newline."""
    return _adapter(type(value)).dump_json(value, by_alias=True)


def to_data(value: Any) -> Any:
    """Plain dicts and lists, camelCase: for YAML output."""
    return _adapter(type(value)).dump_python(value, mode="json", by_alias=True)


def from_json(kind: type[T], text: str | bytes) -> T:
    """Parse and check; raises WireError naming each faulty field (at most five)."""
    try:
        value: T = _adapter(kind).validate_json(text)
    except ValidationError as error:
        raise WireError(_explain(kind, error)) from None
    return value


def json_schema(kind: type[Any]) -> dict[str, Any]:
    return _adapter(kind).json_schema(by_alias=True)


def _explain(kind: type[Any], error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    lines = []
    for problem in problems[:5]:
        place = ".".join(str(part) for part in problem["loc"]) or "the line"
        lines.append(f"{place}: {problem['msg']}")
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    return f"not a valid {kind.__name__}: " + "; ".join(lines) + more
