"""The image cannot be built here (no daemon): what can be read of the Dockerfile is checked."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.unit.manifests.shipped import MANIFESTS, ROOT, documents

TEXT = (ROOT / "Dockerfile").read_text()
STEPS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n", " ", TEXT).splitlines()
    if line and not line.startswith("#")
]


def arguments(instruction: str) -> list[str]:
    return [rest for word, rest in STEPS if word == instruction]


def container() -> dict[str, object]:
    (deployment,) = documents(MANIFESTS / "base/deployment.yaml")
    spec = deployment["spec"]["template"]["spec"]
    return {**spec["containers"][0], "pod": spec["securityContext"]}


@pytest.mark.parametrize("base", arguments("FROM"))
def test_every_base_is_pinned(base: str) -> None:
    image = base.split(maxsplit=1)[0]
    assert re.search(r":\d+\.\d+\.\d+(-[\w.-]+)?$|@sha256:", image), image


def test_both_stages_have_the_same_python() -> None:
    """A virtual environment points to the interpreter that made it."""
    pythons = {base.split()[0] for base in arguments("FROM") if base.startswith("python:")}
    assert len(pythons) == 1


def test_uv_is_the_one_of_the_makefile() -> None:
    makefile = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert makefile is not None
    assert f"uv:{makefile[1]} " in TEXT


def test_it_runs_as_the_number_that_the_manifests_name() -> None:
    user = arguments("USER")[-1].partition(":")[0]
    assert user.isdigit()
    assert int(user) == container()["pod"]["runAsUser"]  # type: ignore[index]


def test_the_entrypoint_is_a_script_that_is_installed() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert arguments("ENTRYPOINT") == ['["triton-autoscaler"]']
    assert "triton-autoscaler" in scripts


def test_dependencies_are_the_locked_ones_without_those_of_development() -> None:
    syncs = [step for step in arguments("RUN") if "uv sync" in step]
    assert len(syncs) == 2
    assert all("--locked" in step and "--no-dev" in step for step in syncs)


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sources = [
        source
        for step in arguments("COPY")
        if not step.startswith("--from")
        for source in step.split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
