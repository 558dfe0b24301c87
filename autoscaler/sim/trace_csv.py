"""A trace from a user's CSV: request counts or rates over time, or what is wrong with the file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from autoscaler.sim.trace import Trace

TIMES = ("timestamp_s", "timestamp", "time", "unix_time")
COUNTS = ("requests", "count")
RATES = ("requests_per_second", "rate_rps", "rps")
SHAPE = "a CSV with the columns timestamp_s,requests (or timestamp_s,requests_per_second)"
# A clock of milliseconds reads 1.8e12 today, one of seconds 1.8e9.
NOT_SECONDS = 1e11
# How far a count may lie from rate × step: both columns say the same within rounding.
AGREE = 0.02
LARGEST = 100e6  # bytes

# Headers of files that people have at hand and that are no traces.
_OTHERS = {
    "Inferences/Second": "a load sweep of perf_analyzer, which `profile` reads",
    "Requests/s": "a summary of Locust",
    "metric_name": "raw samples of k6",
    "allThreads": "raw samples of JMeter",
    "context_tokens": "a log of LLM requests",
}


class TraceError(ValueError):
    """A file that gives no trace. `line` counts from 1; None where no one line is at fault."""

    def __init__(self, file: str, line: int | None, reason: str, remedy: str) -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {reason}. {remedy}")
        self.file, self.line, self.reason, self.remedy = file, line, reason, remedy


class _Row(NamedTuple):
    line: int
    at: float
    value: float
    rate: float | None  # beside a count


def read_trace(path: Path) -> Trace:
    """Requests per bin of an even step. Raises TraceError; other columns are passed over.

    Times are Unix seconds, seconds since some start, or ISO 8601, of each bin's beginning. A bin
    that is not there is no bin of 0 requests: nobody knows what came then.
    """
    file = str(path)
    try:
        if path.stat().st_size > LARGEST:
            raise TraceError(
                file, None, "is larger than 100 MB", "Sum it up to one row per 15 s first."
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise TraceError(file, None, reason, "Check its name and its rights.") from error
    except UnicodeDecodeError as error:
        raise TraceError(file, None, "is no text in UTF-8", f"A trace is {SHAPE}.") from error
    return parse_trace(text, file)


def parse_trace(text: str, file: str = "trace") -> Trace:
    """The same of a text. `file` is its name, for the errors and the trace."""
    lines = csv.reader(io.StringIO(text))
    header = next((row for row in lines if any(cell.strip() for cell in row)), None)
    if header is None:
        raise TraceError(file, None, "is empty", f"A trace is {SHAPE}.")
    columns = _columns(file, [cell.strip() for cell in header], lines.line_num)
    rows = list(_rows(file, lines, columns, len(header)))
    if len(rows) < 2:
        found = "one row" if rows else "a header and no rows"
        raise TraceError(file, None, f"has {found}", "A trace has at least two bins.")
    step = _step(file, rows)
    name = Path(file).stem
    if "count" in columns:
        counts = tuple(row.value for row in rows)
        _check_agreement(file, rows, step)
    else:
        counts = tuple(row.value * step for row in rows)
    if not any(counts):
        raise TraceError(file, None, "has no requests in it", "Choose a time with traffic.")
    return Trace(rows[0].at, step, counts, name)


def _columns(file: str, header: Sequence[str], line: int) -> dict[str, int]:
    """Where time, count and rate stand."""
    names = {name.lower(): index for index, name in enumerate(header)}
    found = {}
    for role, known in (("time", TIMES), ("count", COUNTS), ("rate", RATES)):
        here = [names[name] for name in known if name in names]
        if here:
            found[role] = here[0]
    if "time" in found and ("count" in found or "rate" in found):
        return found
    other = next((what for mark, what in _OTHERS.items() if mark in header), None)
    if other is not None:
        raise TraceError(file, line, f"is no trace but {other}", f"A trace is {SHAPE}.")
    missing = "no time" if "time" not in found else "neither requests nor requests_per_second"
    shown = ", ".join(header)[:80]
    raise TraceError(file, line, f"has {missing} among its columns ({shown})", f"Give {SHAPE}.")


def _rows(
    file: str, lines: Iterator[list[str]], columns: Mapping[str, int], width: int
) -> Iterator[_Row]:
    time, value = columns["time"], columns.get("count", columns.get("rate", 0))
    beside = columns.get("rate") if "count" in columns else None
    # csv readers know the line they are at; a row over several lines counts by its last.
    numbered = ((lines.line_num, row) for row in lines)  # type: ignore[attr-defined]
    for line, row in numbered:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != width:
            reason = f"has {len(row)} fields where the header has {width}"
            raise TraceError(file, line, reason, "The file may be cut off: make it again.")
        rate = None if beside is None else _number(file, line, row[beside])
        yield _Row(line, _time(file, line, row[time]), _number(file, line, row[value]), rate)


def _time(file: str, line: int, cell: str) -> float:
    text = cell.strip()
    try:
        at = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            remedy = "Write seconds (1795248926), or ISO 8601 (2026-11-21T08:00:00Z)."
            raise TraceError(file, line, f"{text[:40]!r} is no time", remedy) from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(at):
        raise TraceError(file, line, f"{text!r} is no time", "Write seconds.")
    if abs(at) >= NOT_SECONDS:
        reason = f"{text} are not seconds: milliseconds or finer"
        raise TraceError(file, line, reason, "Divide the times by 1,000 (or 1,000,000).")
    return at


def _number(file: str, line: int, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        remedy = "Write 0 where nobody came, and no row at all where nobody counted."
        raise TraceError(file, line, f"{cell.strip()[:40]!r} is no number of requests", remedy)
    return value


def _step(file: str, rows: Sequence[_Row]) -> float:
    """The bin's width: the commonest step, and every step has to be it."""
    steps = [after.at - before.at for before, after in pairwise(rows)]
    step = sorted(steps)[len(steps) // 2]
    for row, length in zip(rows[1:], steps, strict=True):
        if length <= 0:
            reason = f"time {row.at:.15g} is not after the row before"
            raise TraceError(file, row.line, reason, "Sort by time, and sum up double rows.")
    for row, length in zip(rows[1:], steps, strict=True):
        if abs(length - step) <= 0.01 * step:
            continue
        if length > step:
            missing = length / step - 1
            reason = f"{length:g} s without a row where the step is {step:g} s"
            remedy = (
                "Write rows with 0 where nobody came; where nobody counted, cut the file there."
            )
            if missing == int(missing):
                reason += f" ({missing:.0f} missing)"
            raise TraceError(file, row.line, reason, remedy)
        reason = f"a step of {length:g} s where the others are {step:g} s: mixed bins"
        raise TraceError(file, row.line, reason, "Sum it up to bins of one width.")
    return step


def _check_agreement(file: str, rows: Sequence[_Row], step: float) -> None:
    """Where a file has counts and rates, one may be in another unit (per minute, say)."""
    if rows[0].rate is None:
        return
    counts = sum(row.value for row in rows)
    made = sum(row.rate or 0.0 for row in rows) * step
    if abs(counts - made) > AGREE * max(counts, made):
        reason = (
            f"has counts and rates that disagree: {counts:,.0f} requests in all, and the rates "
            f"make {made:,.0f} at a step of {step:g} s"
        )
        raise TraceError(file, None, reason, "Leave out the column that is in another unit.")
