"""The comparison as one HTML file: a row for each trace, a bar for each contestant."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from autoscaler.sim.judging import LEVELS
from autoscaler.sim.standings import OURS, Line, Row, Standing, rows

STYLE = """
.bars{display:grid;grid-template-columns:7rem 1fr;gap:2px 8px;align-items:center;
margin:.3rem 0 1.2rem}
.bars .bar{height:.9rem;background:#8899aa;border-radius:2px;min-width:2px}
.bars .ours .bar{background:#2a7f4f}.bars .dear .bar{background:repeating-linear-gradient(45deg,
#b5b5b5 0 4px,transparent 4px 8px)}.bars .row{display:contents}.bars .cell{display:flex;gap:6px;
align-items:center;white-space:nowrap;font-size:.85rem}
"""


def plot(lines: Sequence[Line]) -> str:
    """HTML; bars are logarithmic in 1 + missed minutes."""
    style = (files("autoscaler.sim") / "report.css").read_text(encoding="utf-8") + STYLE
    heading = "Missed minutes at equal cost"
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading}</title><style>{style}</style></head><body>"
        f"<header><h1>{heading}</h1><p>SLA-miss minutes, logarithmic. Striped: its cheapest run "
        "costs more than the level.</p></header><main>"
        + "".join(_sections(lines))
        + "</main></body></html>\n"
    )


def _sections(lines: Sequence[Line]) -> Iterator[str]:
    for cold_start in sorted({line["cold_start"] for line in lines}):
        for level in LEVELS:
            found = rows(lines, cold_start, level)
            if not found:
                continue
            most = max(one.missed for row in found for one in (row.ours, *row.others))
            yield f"<h2>{level:g} × the clairvoyant's GPU-hours, cold start {cold_start} s</h2>"
            for row in found:
                yield _row(row, most)


def _row(row: Row, most: float) -> str:
    bars = "".join(_bar(one, most) for one in (row.ours, *row.others))
    return f'<h3>{escape(row.trace)}</h3><div class="bars">{bars}</div>'


def _bar(one: Standing, most: float) -> str:
    width = 80 * math.log1p(one.missed) / math.log1p(most) if most > 0 else 0.0
    kind = " ours" if one.who == OURS else ""
    kind += "" if one.reached else " dear"
    told = f"{one.missed:.0f}" + ("" if one.reached else f" at {one.cost:.2f} ×")
    return (
        f'<div class="row{kind}"><div class="cell">{escape(one.who)}</div>'
        f'<div class="cell"><div class="bar" style="width:{width:.1f}%"></div>{told}</div></div>'
    )
