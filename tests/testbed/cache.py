"""The folder outside the tree in which parts are built once and then kept."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT_VARIABLE = "TRITON_AUTOSCALER_CACHE"


def root() -> Path:
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "triton-autoscaler" / "testbed"


def key_of(*facts: str | bytes) -> str:
    """Length-prefixed, so that moving a byte from one fact to the next changes the key."""
    digest = hashlib.sha256()
    for fact in facts:
        raw = fact.encode() if isinstance(fact, str) else fact
        digest.update(f"{len(raw)}:".encode())
        digest.update(raw)
    return digest.hexdigest()[:12]


def place(name: str, key: str) -> Path:
    return root() / f"{name}-{key}"


def kept(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """The finished folder for `key`; `make` fills it if no process has done so yet.

    It is filled under another name and renamed: a build that died half-way is never taken
    for a finished one.
    """
    home = place(name, key)
    if home.is_dir():
        return home
    with _only_one(name):
        if home.is_dir():
            return home
        # The lock is ours, so a leftover belongs to a build that was killed.
        for leftover in root().glob(f".{name}.*"):
            shutil.rmtree(leftover)
        scratch = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root()))
        try:
            make(scratch)
            scratch.rename(home)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return home


@contextmanager
def _only_one(name: str) -> Iterator[None]:
    root().mkdir(parents=True, exist_ok=True)
    with (root() / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is preparing {name}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(message: str) -> None:
    print(f"testbed: {message}", file=sys.stderr, flush=True)
