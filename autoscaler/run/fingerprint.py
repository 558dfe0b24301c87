"""A cheap answer to "did the policies change?": a hash over what is there, without reading it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from autoscaler.policy.files import read_files


def fingerprint(paths: Sequence[Path], profiles: Iterable[Path] = ()) -> str:
    """Over names and contents of the policy files and of the profiles that they name.

    Contents, not times: a ConfigMap mount swaps a symlink and keeps them. What cannot be read is
    in the hash as well, so that its coming back is a change.
    """
    files, problems = read_files(paths)
    digest = hashlib.sha256()
    for file in files:
        _add(digest, file.shown, file.content)
    for problem in problems:
        _add(digest, problem.file, problem.message.encode())
    for path in profiles:
        _add(digest, str(path), _content(path))
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, content: bytes) -> None:
    digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
    digest.update(content)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        return str(error).encode()
