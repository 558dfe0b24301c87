"""The status page: plain HTML that a phone at 3 a.m. can read. Every value is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from autoscaler.model import Decision
from autoscaler.serve.board import Board, alive, plural, ready, standing
from autoscaler.units import format_duration

STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:64rem;padding:1rem}
h1{font-size:1.2rem;margin:0 0 .5rem}
.bad{border-left:.4rem solid #c62828;padding:.4rem .8rem;margin:.5rem 0;background:#c6282818}
article{border-top:1px solid #8886;padding:.8rem 0}
h2{font-size:1rem;margin:0;display:flex;justify-content:space-between;gap:1rem}
.up{color:#2e7d32}.down{color:#1565c0}.hold{color:#b26a00}
p{margin:.3rem 0}small{opacity:.75}
"""


def render(board: Board, now: float, monotonic: float) -> str:
    """The whole document; `now` is Unix time, `monotonic` the clock of the heartbeat."""
    refresh = max(2, round(board.interval))
    rows = "".join(_policy(decision, board, now) for decision in board.decisions)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="refresh" content="{refresh}">'
        f"<title>triton-autoscaler</title><style>{STYLE}</style></head><body>"
        f"<h1>triton-autoscaler {escape(board.version)}</h1>"
        f"<p>{_summary(board, now)}</p>{_alarms(board, monotonic)}"
        f"{rows or '<p>No decision yet.</p>'}"
        '<p><small><a href="/v1/decisions">JSON</a> · <a href="/metrics">metrics</a> · '
        '<a href="/readyz">readyz</a></small></p></body></html>\n'
    )


def _summary(board: Board, now: float) -> str:
    said = [f"{plural(board.policies)} <code>{escape(board.policies_hash[:12])}</code>"]
    if board.dry_run:
        said.append("<b>dry run: nothing is written</b>")
    role = standing(board)
    if role is not None:
        said.append(escape(role))
    if board.tick_at is not None:
        said.append(
            f"decided {_ago(now - board.tick_at)} in {format_duration(board.tick_duration)}"
        )
    return " · ".join(said)


def _alarms(board: Board, monotonic: float) -> str:
    alarms: list[str] = []
    alarms += [
        verdict.reason for verdict in (alive(board, monotonic), ready(board)) if not verdict.good
    ]
    if not board.reload_good:
        alarms.append("The newest edit of the policies is not what runs; the last good set stays:")
        alarms += board.reload_errors
    alarms += board.faults
    if board.journal_lost:
        alarms.append(f"{board.journal_lost} journal lines were lost")
    return "".join(f'<p class="bad">{escape(text)}</p>' for text in dict.fromkeys(alarms))


def _policy(decision: Decision, board: Board, now: float) -> str:
    target = decision.target
    name = f"{target.kind} {target.namespace}/{target.name}"
    observed = board.observed_at.get(decision.policy)
    age = "never observed" if observed is None else f"observed {_ago(now - observed)}"
    kind, change = _change(decision)
    held = f'<p class="hold">Holding: {escape(decision.hold)}</p>' if decision.hold else ""
    flip = (
        f"<p><small>What would change it: {escape(decision.flip)}</small></p>"
        if decision.flip
        else ""
    )
    return (
        f'<article><h2><span>{escape(decision.policy)}</span><span class="{kind}">{change}</span>'
        f"</h2><p>{escape(decision.sentence)}</p>{held}{flip}"
        f"<p><small>{escape(name)} · {escape(decision.mode)} · decided by "
        f"{escape(decision.binding)} · ready {_number(decision.ready)} · {age}</small></p>"
        f"{_notes(decision.notes)}</article>"
    )


def _change(decision: Decision) -> tuple[str, str]:
    current, desired = decision.current, decision.desired
    if current is None or desired is None:
        return "hold", f"{_number(current)} → {_number(desired)}"
    if current == desired:
        return "same", f"{current}"
    return ("up" if desired > current else "down"), f"{current} → {desired}"


def _notes(notes: Sequence[str]) -> str:
    return "".join(f"<p><small>{escape(note)}</small></p>" for note in notes)


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


def _ago(seconds: float) -> str:
    return "just now" if seconds < 1 else f"{format_duration(seconds)} ago"
