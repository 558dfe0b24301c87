"""What is on show: the daemon writes it after each tick, the handlers only read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from autoscaler.model import Decision

# The heartbeat may miss two beats; a tick may be slow. Never less than this many seconds.
LEAST_HEARTBEAT = 30.0


class Standing(Protocol):
    """Whether this daemon leads, asked at each look: `autoscaler.run.leadership` has it."""

    @property
    def identity(self) -> str: ...

    @property
    def leading(self) -> bool: ...

    @property
    def holder(self) -> str | None: ...

    @property
    def problem(self) -> str | None: ...


@dataclass(slots=True)
class Board:
    """Times named `…_at` are Unix time, `beat` is on the monotonic clock; all in seconds."""

    version: str
    interval: float
    dry_run: bool
    beat: float  # when a tick last finished; before the first: when the daemon started
    ticks: int = 0
    tick_at: float | None = None
    tick_duration: float = 0.0
    decisions: tuple[Decision, ...] = ()
    observed_at: dict[str, float] = field(default_factory=dict)
    observed_once: bool = False
    blind: str | None = None  # why the newest tick could read nothing at all
    faults: tuple[str, ...] = ()
    journal_lost: int = 0
    # policies: what runs, and the newest edit where that is another one
    policies: int = 0
    policies_hash: str = ""
    reload_good: bool = True
    reload_at: float = 0.0
    reload_errors: tuple[str, ...] = ()
    state_error: str | None = None
    standing: Standing | None = None  # None: there is no election, this daemon leads

    @property
    def leads(self) -> bool:
        return self.standing is None or self.standing.leading

    @property
    def heartbeat_limit(self) -> float:
        return max(3 * self.interval, LEAST_HEARTBEAT)


@dataclass(frozen=True, slots=True)
class Verdict:
    good: bool
    reason: str


def standing(board: Board) -> str | None:
    """Who leads, in words; None where there is no election."""
    given = board.standing
    if given is None or not given.identity:
        return None
    if given.leading:
        return f"leads as {given.identity}"
    why = f": {given.problem}" if given.problem else ""
    if given.holder == given.identity:
        return f"holds the lease, but does not write yet: another daemon may still believe to{why}"
    return f"stands by, {given.holder or 'nobody'} leads; nothing is written from here{why}"


def plural(policies: int) -> str:
    return "1 policy" if policies == 1 else f"{policies} policies"


def alive(board: Board, monotonic: float) -> Verdict:
    """The loop's heartbeat and nothing else: a dead Prometheus must not restart the daemon."""
    silent = monotonic - board.beat
    limit = board.heartbeat_limit
    if silent > limit:
        return Verdict(False, f"no tick finished in {silent:.0f} s (limit {limit:.0f} s)")
    return Verdict(True, f"{board.ticks} ticks, the last one finished {silent:.1f} s ago")


def ready(board: Board) -> Verdict:
    """Policies are loaded, the state was read and the world was seen once."""
    if board.policies == 0:
        return Verdict(False, "no policies are loaded")
    if board.state_error is not None:
        return Verdict(False, board.state_error)
    if not board.observed_once:
        return Verdict(False, board.blind or "nothing was observed yet")
    return Verdict(True, f"{plural(board.policies)}, observing")
