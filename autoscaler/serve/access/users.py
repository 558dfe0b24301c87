"""Whom a request comes from, as Kubernetes names it."""

from __future__ import annotations

from dataclasses import dataclass

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"
ANONYMOUS, NOBODY = "system:anonymous", "system:unauthenticated"


@dataclass(frozen=True, slots=True)
class User:
    """`extra`: (key, values) in order; hashable, since reviews are remembered by user."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


def authenticated(user: User) -> User:
    """With the group that every known user has, as the API server adds it itself: not to
    system:anonymous, who comes through the aggregator, too.
    """
    if AUTHENTICATED in user.groups or user.name == ANONYMOUS or NOBODY in user.groups:
        return user
    return User(user.name, user.uid, (*user.groups, AUTHENTICATED), user.extra)
