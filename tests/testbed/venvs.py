"""Pinned wheels in a virtual environment of their own, inside the cache."""

import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from tests.testbed import cache
from tests.testbed.steps import StepFailed, step
from tests.testbed.unavailable import PartUnavailable


def venv_key(requirements: Sequence[str]) -> str:
    # A venv borrows the interpreter it was made by: another interpreter needs another venv.
    return cache.key_of(sys.version, sys.base_prefix, *requirements)


def venv_of(part: str, name: str, requirements: Sequence[str], note: str) -> Path:
    """`--no-deps`: the wheels here name whole client stacks that nothing of ours imports."""

    def make(folder: Path) -> None:
        python = folder / "bin" / "python"
        step(f"{part}: virtual environment", [sys.executable, "-m", "venv", folder], timeout_s=120)
        step(
            f"{part}: pip install {' '.join(requirements)} ({note})",
            [
                *(python, "-m", "pip", "install", "--no-input"),
                *("--no-deps", "--only-binary=:all:", *requirements),
            ],
            timeout_s=900,
        )

    try:
        return cache.kept(name, venv_key(requirements), make)
    except StepFailed as error:
        raise PartUnavailable(
            part,
            str(error),
            "let pip reach a package index (PIP_INDEX_URL), on x86-64 Linux with glibc 2.35 or "
            "newer; where the venv itself fails, install Python's venv module",
        ) from error


def site_packages(venv: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(venv)}))
