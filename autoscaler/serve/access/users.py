"""Whom a request comes from, as Kubernetes names it."""

from __future__ import annotations

from dataclasses import dataclass

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class User:
    """`extra`: (key, values) in order; hashable, since reviews are remembered by user."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


def authenticated(user: User) -> User:
    """With the group that every known user has, as the API server adds it itself."""
    if AUTHENTICATED in user.groups:
        return user
    return User(user.name, user.uid, (*user.groups, AUTHENTICATED), user.extra)
