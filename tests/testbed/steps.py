"""One command of a build: bounded, its progress told, its last words kept."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.testbed.cache import say

_TELL_EVERY_S = 30.0
_TAIL_LINES = 12


class StepFailed(Exception):  # noqa: N818 - named for what happened
    pass


def step(
    what: str,
    argv: Sequence[str | Path],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Runs it to its end and returns what it printed."""
    say(what)
    began = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        try:
            process = subprocess.Popen(
                [str(word) for word in argv],
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise StepFailed(f"{what}: {error}") from error
        with process:
            try:
                _wait(process, what, began, timeout_s)
            except BaseException:
                process.kill()
                raise
        output.seek(0)
        printed = output.read()
    if process.returncode != 0:
        tail = "\n".join(printed.splitlines()[-_TAIL_LINES:])
        raise StepFailed(f"{what}: exit status {process.returncode}\n{tail}")
    return printed


def _wait(process: subprocess.Popen[bytes], what: str, began: float, timeout_s: float) -> None:
    while True:
        left = timeout_s - (time.monotonic() - began)
        if left <= 0:
            raise StepFailed(f"{what}: not done after {timeout_s:.0f} s")
        try:
            process.wait(min(_TELL_EVERY_S, left))
        except subprocess.TimeoutExpired:
            say(f"{what}: {time.monotonic() - began:.0f} s so far")
        else:
            return
