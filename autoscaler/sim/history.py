"""What a simulated fleet went through, in arrays of one row per minute (or as fine as asked)."""

from __future__ import annotations

from array import array
from dataclasses import dataclass


@dataclass(slots=True)
class Totals:
    """Of the whole fleet since the start. Requests may be fractions: they are flows."""

    sent: float = 0.0
    answered: float = 0.0
    refused: float = 0.0  # at a full queue
    lost: float = 0.0  # sent to nobody, or inside a server that died
    late: float = 0.0  # waited longer than the SLA's queue time, or will
    queued: float = 0.0  # seconds
    gpu_seconds: float = 0.0

    @property
    def missed(self) -> float:
        return self.late + self.refused + self.lost


class History:
    """Columns of equal length; row i covers [start + i·resolution, …).

    Requests are counts in the row, by when they arrived (`answered`: by when that was); `queued`
    is seconds of queueing of the answered ones. `wanted`, `ready`, `pending` are as at its end.
    """

    FLOWS = ("sent", "answered", "refused", "lost", "late", "queued", "gpu_seconds")

    def __init__(self, start: float, resolution: float) -> None:
        self.start, self.resolution = start, resolution
        self.sent, self.answered = array("d"), array("d")
        self.refused, self.lost, self.late = array("d"), array("d"), array("d")
        self.queued, self.gpu_seconds = array("d"), array("d")
        self.wanted, self.ready, self.pending = array("d"), array("d"), array("d")
        self._before = dict.fromkeys(self.FLOWS, 0.0)

    def __len__(self) -> int:
        return len(self.sent)

    def at(self, row: int) -> float:
        """Unix time at which a row begins."""
        return self.start + row * self.resolution

    def add(self, totals: Totals, wanted: float, ready: float, pending: float) -> None:
        """A row: what the totals have grown by since the last one."""
        before = self._before
        for name in self.FLOWS:
            now = getattr(totals, name)
            getattr(self, name).append(now - before[name])
            before[name] = now
        self.wanted.append(wanted)
        self.ready.append(ready)
        self.pending.append(pending)

    def missed(self, row: int) -> float:
        """Requests of a row that were late, refused or lost."""
        return self.late[row] + self.refused[row] + self.lost[row]

    def queue_time(self, row: int) -> float | None:
        """Seconds, mean of those answered; None where nobody was."""
        return self.queued[row] / self.answered[row] if self.answered[row] > 1e-6 else None
