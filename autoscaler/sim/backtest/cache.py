"""Answers on disk, by what was asked: an interrupted pull goes on where it was."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import tempfile
import zlib
from pathlib import Path

SUFFIX = ".json.gz"


def default_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "triton-autoscaler" / "backtest"


class Cache:
    """One file an answer, named after url, query, range and step. `folder` None: nothing is kept.

    A file that cannot be read counts as none. `problem` says why nothing more is written, once
    that failed (disk full): a pull goes on without.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.problem: str | None = None

    def read(self, asked: dict[str, object]) -> bytes | None:
        path = self._path(asked)
        if path is None:
            return None
        try:
            head, _, body = gzip.decompress(path.read_bytes()).partition(b"\n")
            return body if json.loads(head) == asked else None
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, zlib.error):
            with contextlib.suppress(OSError):
                path.unlink()  # cut short by a crash, or not ours
            return None

    def write(self, asked: dict[str, object], body: bytes) -> None:
        path = self._path(asked)
        if path is None or self.problem is not None:
            return
        content = gzip.compress(json.dumps(asked).encode() + b"\n" + body, compresslevel=1)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                Path(name).replace(path)  # whole or not at all
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            self.problem = f"{path.parent} cannot be written: {error.strerror or error}"

    def _path(self, asked: dict[str, object]) -> Path | None:
        if self.folder is None:
            return None
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest[2:40]}{SUFFIX}"
