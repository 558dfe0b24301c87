"""Units on the command line: durations, sizes, times, addresses. Faults say what to write."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from autoscaler.units import UnitError, parse_duration, parse_quantity

UNIX = re.compile(r"\d{1,10}(\.\d+)?")  # up to the year 2286


class Duration(click.ParamType[float]):
    """`5s`, `1m30s` → seconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        try:
            seconds = parse_duration(value)
        except UnitError as error:
            self.fail(str(error), param, ctx)
        if seconds <= 0:
            self.fail(f"{value} is no time at all: write for example 5s", param, ctx)
        return seconds


class Size(click.ParamType[int]):
    """`64Mi`, `64MiB`, `1G` → bytes."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if isinstance(value, int):
            return value
        try:
            size = parse_quantity(value.removesuffix("B"))
        except UnitError as error:
            self.fail(f"{error} (or 64MiB)", param, ctx)
        if size < 4096:
            self.fail(f"{value} is too small: one line has about 4 kB", param, ctx)
        return int(size)


class Time(click.ParamType[float]):
    """RFC 3339 or Unix seconds → Unix seconds."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        if UNIX.fullmatch(value):
            return float(value)
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is not a time: write 2026-11-21T10:00:00Z or 1795248926", param, ctx
            )
        if at.tzinfo is None:
            self.fail(f"{value!r} has no time zone: write {value}Z, or +08:00", param, ctx)
        return at.timestamp()


class Listen(click.ParamType[Any]):
    """`HOST:PORT`, `[::1]:PORT`, `:PORT` or `none`."""

    name = "host:port"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, int] | None:
        if value is None or isinstance(value, tuple) or value == "none":
            return value if isinstance(value, tuple) else None
        host, colon, port = str(value).rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT: write 127.0.0.1:9797, or none", param, ctx)
        return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 -- `:9797` asks for all


def endpoints(entries: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """`NS/POD=URL`, or files of such lines (`#` comments), as a map for the scrape source."""
    found: dict[tuple[str, str], str] = {}
    for entry in entries:
        if "=" in entry:
            _add(found, entry, "--scrape")
            continue
        try:
            lines = Path(entry).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(
                f"{entry!r} is neither NAMESPACE/POD=URL nor a file of such lines ({error})",
                param_hint="--scrape",
            ) from error
        for number, line in enumerate(lines, start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                _add(found, line.strip(), f"{entry}:{number}")
    return found


def _add(found: dict[tuple[str, str], str], entry: str, place: str) -> None:
    key, _, url = entry.partition("=")
    namespace, slash, pod = key.strip().partition("/")
    url = url.strip()
    if not slash or not namespace or not pod:
        raise click.BadParameter(
            f"{entry!r}: write NAMESPACE/POD=URL, for example "
            "default/triton-0=http://127.0.0.1:8002/metrics",
            param_hint=place,
        )
    if not url.startswith(("http://", "https://")):
        raise click.BadParameter(f"{entry!r}: the URL must begin with http://", param_hint=place)
    if (namespace, pod) in found:
        raise click.BadParameter(f"{namespace}/{pod} is named twice", param_hint=place)
    found[namespace, pod] = url


def rfc3339(at: float) -> str:
    """1795248926.1 → 2026-11-21T10:15:26Z"""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
