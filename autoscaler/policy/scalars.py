"""Scalars: text of a policy → numbers in base units, with the reason where that fails.

Every reader takes what `source` made of the YAML and returns the value or raises an error whose
type is the id of a check. YAML 1.2 core types are applied here and nowhere else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from autoscaler import units
from autoscaler.policy.diagnostics import did_you_mean, listing
from autoscaler.policy.source import Plain

INT32_MAX = 2**31 - 1
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BOOLEANS = {"true": True, "True": True, "TRUE": True}
_BOOLEANS |= {"false": False, "False": False, "FALSE": False}
_NOT_FINITE = re.compile(r"[-+]?\.?(inf|infinity|nan)", re.IGNORECASE)
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_PERCENTILE = re.compile(r"p([1-9][0-9]?(\.[0-9]{1,3})?)")


def fault(check: str, message: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError(check, "{message}", {"message": message, "remedy": remedy})


def describe(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {_short(value)}"
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else "a mapping"


def _short(text: str) -> str:
    return repr(str(text) if len(text) <= 40 else text[:39] + "…")


# --- what YAML 1.1 would have made of it -----------------------------------------------------


def yaml11_reading(text: str) -> str | None:
    """`on` → `true`, `1:30` → `90`, `014` → `12`; None where 1.1 and 1.2 agree."""
    if text in _BOOLEANS or _INTEGER.fullmatch(text):
        return None
    loader = yaml.SafeLoader("")
    try:
        tag = loader.resolve(  # type: ignore[no-untyped-call]
            yaml.ScalarNode, text, (True, False)
        )
        if tag == "tag:yaml.org,2002:str":
            return None
        value = loader.construct_object(yaml.ScalarNode(tag, text))
    except (yaml.YAMLError, ValueError, OverflowError, IndexError):
        return None
    if value is None or _same_number(text, value):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _same_number(text: str, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return bool(_NUMBER.fullmatch(text)) and float(text) == value


def _no_surprise(value: Any, wanted: str) -> None:
    if not isinstance(value, Plain):
        return
    reading = yaml11_reading(value)
    if reading is None:
        return
    remedy = f"write {wanted}"
    if _NUMBER.fullmatch(value):
        remedy = f"write {wanted} without the leading zero"
    elif re.fullmatch(r"[0-9]+(:[0-9]+)+", value):
        remedy = f"write {wanted}; with a unit if it is a time, for example 1h30m"
    message = f"YAML 1.1 reads {_short(value)} as {reading}, which is not what it seems to be"
    raise fault("yaml11-surprise", message, remedy)


# --- readers ---------------------------------------------------------------------------------


def _scalar(value: Any, wanted: str) -> str:
    if isinstance(value, str):
        if _NOT_FINITE.fullmatch(value):
            raise fault("not-finite", f"{value} is not a usable number", f"write {wanted}")
        return value
    raise fault("wrong-type", f"must be {wanted}, not {describe(value)}", f"write {wanted}")


def _in_range(number: float, text: str, low: float, high: float) -> None:
    if low <= number <= high:
        return
    limit = f"at least {low:g}" if number < low else f"at most {high:.15g}"
    raise fault("out-of-range", f"{_short(text)} must be {limit}", f"write a number of {limit}")


def integer(low: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        text = _scalar(value, "a whole number")
        _no_surprise(value, "a whole number")
        if not isinstance(value, Plain) and _INTEGER.fullmatch(text):
            raise fault("wrong-type", f"'{text}' is quoted: a text", f"write {text} without quotes")
        if not _INTEGER.fullmatch(text):
            message = f"must be a whole number, not {describe(value)}"
            raise fault("wrong-type", message, "write for example 3")
        if len(text) > 11:
            raise fault("out-of-range", f"{_short(text)} is too large", f"at most {INT32_MAX}")
        _in_range(int(text), text, low, INT32_MAX)
        return int(text)

    return read


def boolean(value: Any) -> bool:
    text = _scalar(value, "true or false")
    _no_surprise(value, "true or false")
    if isinstance(value, Plain) and text in _BOOLEANS:
        return _BOOLEANS[text]
    raise fault(
        "wrong-type", f"must be true or false, not {describe(value)}", "write true or false"
    )


def text(value: Any) -> str:
    """Text: quoted, or plain where YAML 1.2 reads it as text."""
    if not isinstance(value, str):
        raise fault("wrong-type", f"must be text, not {describe(value)}", "write a text")
    if isinstance(value, Plain) and (value in _BOOLEANS or _NUMBER.fullmatch(value)):
        kind = "a boolean" if value in _BOOLEANS else "a number"
        raise fault("wrong-type", f"must be text, but {value} is {kind}", f'write "{value}"')
    if not value.strip():
        raise fault("empty-value", "the text is empty", "write a text or leave the field out")
    return str(value)


def choice(*words: str) -> Callable[[Any], str]:
    """One of a few words."""
    wanted = listing(words)

    def read(value: Any) -> str:
        if not isinstance(value, str):
            message = f"must be {wanted}, not {describe(value)}"
            raise fault("wrong-type", message, f"write {wanted}")
        if value in words:
            return str(value)
        _no_surprise(value, wanted)
        close = did_you_mean(value, words)
        remedy = f"did you mean {close}?" if close else f"write {wanted}"
        raise fault("bad-choice", f"{_short(value)} is not {wanted}", remedy)

    return read


def name(value: Any) -> str:
    read = text(value)
    if not _DNS_NAME.fullmatch(read):
        remedy = (
            "write lower-case letters, digits and '-', starting and ending with one of the first"
        )
        raise fault("bad-name", f"{_short(read)} cannot be the name of a Kubernetes object", remedy)
    return read


def duration(low: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        example = "a duration, for example 50ms, 90s or 10m"
        text = _scalar(value, example)
        _no_surprise(value, example)
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            remedy = f"write {text}s for seconds, or {text}ms, {text}m"
            raise fault("duration-without-unit", f"{text} has no unit", remedy)
        try:
            seconds = units.parse_duration(text)
        except units.UnitError as error:
            raise _unit_fault("bad-duration", error) from None
        if seconds < low or not seconds < 1e9:
            raise fault(
                "out-of-range", f"{_short(text)} is too {_way(seconds)}", f"write {example}"
            )
        return seconds

    return read


def _way(seconds: float) -> str:
    return "long" if seconds >= 1e9 else "short"


def share(value: Any) -> float:
    """A ratio; above 1 only where a percentage says so (checked per field)."""
    text = _scalar(value, "a share, for example 20% or 0.2")
    _no_surprise(value, "a share, for example 20%")
    try:
        ratio = units.parse_share(text)
    except units.UnitError as error:
        raise _unit_fault("bad-share", error) from None
    if not math.isfinite(ratio):
        raise fault("out-of-range", f"{_short(text)} is too large", "write for example 20%")
    return ratio


def quantity(value: Any) -> float:
    """A positive Kubernetes quantity: `40`, `1500m`, `2k`."""
    example = "a quantity, for example 40, 1500m or 2k"
    text = _scalar(value, example)
    _no_surprise(value, example)
    try:
        number = units.parse_quantity(text)
    except units.UnitError as error:
        raise _unit_fault("bad-quantity", error) from None
    if not 0 < number < 1e15:
        raise fault(
            "out-of-range", f"{_short(text)} must be above 0 and below 1e15", f"write {example}"
        )
    return number


def percentile(value: Any) -> str:
    if isinstance(value, str) and _PERCENTILE.fullmatch(value):
        return str(value)
    remedy = "write p50, p90, p95, p99 or p99.9"
    raise fault("bad-percentile", f"{_short(str(value))} is not a percentile", remedy)


def _unit_fault(check: str, error: units.UnitError) -> PydanticCustomError:
    message, _, remedy = str(error).partition(": ")
    return fault(check, message, remedy or "see the reference of the field")


# --- field types -----------------------------------------------------------------------------

_DURATION = {
    "type": "string",
    "pattern": r"^(\d+(\.\d+)?(us|µs|ms|s|m|h|d))+$",
    "examples": ["50ms", "90s", "10m", "1h30m"],
}
_SHARE = {
    "anyOf": [
        {"type": "string", "pattern": r"^\d+(\.\d+)?%?$"},
        {"type": "number", "minimum": 0, "maximum": 1},
    ],
    "examples": ["20%", 0.2],
}
_QUANTITY = {
    "anyOf": [
        {"type": "string", "pattern": r"^\+?\d+(\.\d*)?([eE][+-]?\d+)?([numkMGTPE]|[KMGTPE]i)?$"},
        {"type": "number", "exclusiveMinimum": 0},
    ],
    "examples": ["40", "1500m", 340],
}
_NAME = {"type": "string", "pattern": f"^{_DNS_NAME.pattern}$"}

Boolean = Annotated[bool, BeforeValidator(boolean), WithJsonSchema({"type": "boolean"})]
Count = Annotated[
    int,
    BeforeValidator(integer(0)),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": INT32_MAX}),
]
PositiveCount = Annotated[
    int,
    BeforeValidator(integer(1)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": INT32_MAX}),
]
Duration = Annotated[float, BeforeValidator(duration(0.0)), WithJsonSchema(_DURATION)]
PositiveDuration = Annotated[float, BeforeValidator(duration(1e-6)), WithJsonSchema(_DURATION)]
Share = Annotated[float, BeforeValidator(share), WithJsonSchema(_SHARE)]
Quantity = Annotated[float, BeforeValidator(quantity), WithJsonSchema(_QUANTITY)]
Text = Annotated[str, BeforeValidator(text), WithJsonSchema({"type": "string", "minLength": 1})]
Name = Annotated[str, BeforeValidator(name), WithJsonSchema(_NAME)]
Percentile = Annotated[str, BeforeValidator(percentile)]
