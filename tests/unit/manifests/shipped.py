"""The shipped manifests as files and, built by kubectl, as objects."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
MANIFESTS = ROOT / "manifests"
OVERLAYS = sorted(folder.name for folder in (MANIFESTS / "overlays").iterdir())
RUNBOOKS = ROOT / "docs" / "runbooks"

Object = dict[str, Any]


def documents(path: Path) -> list[Object]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def rules() -> Object:
    """The groups of the PrometheusRule: what promtool reads."""
    (rule,) = documents(MANIFESTS / "components/monitoring/rules.yaml")
    return {"groups": rule["spec"]["groups"]}


def alerts() -> Iterator[Object]:
    for group in rules()["groups"]:
        yield from group["rules"]


def build(kubectl: Path, overlay: str) -> str:
    """`kubectl kustomize`, which needs no cluster."""
    folder = MANIFESTS / "overlays" / overlay
    command = [str(kubectl), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # deprecations are said here
    return done.stdout


def find(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found
