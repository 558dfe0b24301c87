"""Which certificate is served and which authorities are published, as time goes by. Pure.

    day 0             serve A                  caBundle A
    day 60            serve A, B is waiting    caBundle A, B
      + 10 min        serve B                  caBundle B, A
      + 10 min more   serve B                  caBundle B

Nobody ever meets a certificate whose authority they have not been told of: B waits for API
servers and their caches, A stays for replicas that have not read the Secret again yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from autoscaler.serve.access.certificates import Pair

SETTLE = 600.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What the replicas share. `old` is the authority (PEM) before `serving`'s."""

    serving: Pair
    waiting: Pair | None = None
    old: bytes | None = None

    @property
    def bundle(self) -> bytes:
        """All authorities that count, the one in use first."""
        waiting = self.waiting.authority if self.waiting else None
        return b"".join(one for one in (self.serving.authority, waiting, self.old) if one)


def advance(
    kept: Kept | None,
    names: tuple[str, ...],
    now: float,
    make: Callable[[], Pair],
    *,
    published: bool,
) -> Kept:
    """The state at `now`; the same object where nothing is to be done.

    `published`: every APIService of ours carries `kept.bundle`, so `waiting` may take over.
    """
    if kept is None or not _usable(kept.serving, names, now):
        # Nothing that could be served: no time to settle. The old authority may still be out.
        return Kept(make(), old=kept.serving.authority if kept is not None else None)
    if kept.waiting is not None:
        return _with_waiting(kept, kept.waiting, names, now, make, published=published)
    if kept.serving.renewal_due(now):
        return replace(kept, waiting=make())
    # `serving` was made, waited for SETTLE, and took over at the earliest then.
    if kept.old is not None and now >= kept.serving.created + 2 * SETTLE:
        return replace(kept, old=None)
    return kept


def _with_waiting(
    kept: Kept,
    waiting: Pair,
    names: tuple[str, ...],
    now: float,
    make: Callable[[], Pair],
    *,
    published: bool,
) -> Kept:
    if not _usable(waiting, names, now):
        return replace(kept, waiting=make())
    if published and now >= waiting.created + SETTLE:
        return Kept(waiting, old=kept.serving.authority)
    return kept


def _usable(pair: Pair, names: tuple[str, ...], now: float) -> bool:
    return now < pair.expires and set(names) <= set(pair.names)
