"""What the metrics API needs from others: who may ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Attributes:
    """A request as RBAC sees it; the fields of a SubjectAccessReview's resourceAttributes."""

    group: str
    version: str
    resource: str
    subresource: str
    name: str
    namespace: str
    verb: str


class Denied(Exception):  # noqa: N818 -- an answer, not a fault
    """The request is refused: 401, 403, or 503 where nobody can say; the message is shown."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Gate(Protocol):
    """Asked for every request but /healthz, /livez and /readyz, which anybody may see."""

    async def admit(self, request: web.BaseRequest, attributes: Attributes | None) -> None:
        """Return, or raise Denied. None: discovery, for whoever is authenticated."""
