"""CSV text → tables with line numbers. A file may hold several, parted by empty lines."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.policy.profile.sweep import ProfileError

AGAIN = "run the tool again, or delete that line"


@dataclass(frozen=True, slots=True)
class Row:
    """`line` of the file, from 1."""

    line: int
    cells: Mapping[str, str]

    def number(self, column: str) -> float:
        """A finite number, not below 0."""
        text = self.cells.get(column, "").strip()
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            found = f" ({text[:20]!r})" if text else ""
            raise ProfileError(
                f"has no number under {column} in line {self.line}{found}",
                "measure that load again, or delete that line",
                self.line,
            )
        return number

    def whole(self, column: str) -> int | None:
        """None where the cell is empty."""
        text = self.cells.get(column, "").strip()
        return int(self.number(column)) if text else None


@dataclass(frozen=True, slots=True)
class Table:
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    line: int

    def lower(self) -> dict[str, str]:
        """Column names in lower case → as they are written."""
        return {name.lower(): name for name in self.header}


def read_tables(text: str) -> list[Table]:
    """Raises ProfileError: not CSV, empty, cut off."""
    tables: list[Table] = []
    header: tuple[str, ...] = ()
    rows: list[Row] = []
    start = 0
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                tables += [Table(header, tuple(rows), start)] if header else []
                header, rows = (), []
            elif not header:
                header, start = tuple(cell.strip() for cell in cells), reader.line_num
            else:
                rows.append(_row(header, cells, reader.line_num))
    except csv.Error as error:
        raise ProfileError(
            f"is not CSV: {error}", "give the file that the tool wrote", reader.line_num
        ) from None
    tables += [Table(header, tuple(rows), start)] if header else []
    if not tables:
        raise ProfileError("is empty, it has no rows", _NO_ROWS)
    if not any(table.rows for table in tables):
        raise ProfileError("has a header and no rows", _NO_ROWS, 1)
    return [table for table in tables if table.rows]


_NO_ROWS = (
    "a load that does not become stable has no row: measure longer, for example "
    "perf_analyzer -s 60 -r 3 -p 3000 -f FILE.csv"
)


def _row(header: tuple[str, ...], cells: list[str], line: int) -> Row:
    """Fields too many are of a trailing comma, which perf_analyzer leaves after GPU columns."""
    if len(cells) < len(header):
        raise ProfileError(
            f"has {len(cells)} of {len(header)} fields in line {line}: it is cut off",
            AGAIN,
            line,
        )
    if any(cell.strip() for cell in cells[len(header) :]):
        raise ProfileError(
            f"has {len(cells)} fields under {len(header)} columns in line {line}",
            "give numbers without thousands separators, with a point for decimals",
            line,
        )
    return Row(line, dict(zip(header, cells, strict=False)))
