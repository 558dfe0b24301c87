"""The alerts in the real promtool: they parse, and fire when they should and not before."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.testbed.parts import PrometheusBinaries
from tests.unit.manifests.shipped import rules

pytestmark = pytest.mark.real


def promtool(binaries: PrometheusBinaries, folder: Path, *words: str) -> str:
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules()))
    done = subprocess.run(
        [str(binaries.promtool), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_rules(prometheus_versions: PrometheusBinaries, tmp_path: Path) -> None:
    assert "SUCCESS" in promtool(prometheus_versions, tmp_path, "check", "rules", "rules.yaml")


def test_alerts_fire_when_they_should(
    prometheus_versions: PrometheusBinaries, tmp_path: Path
) -> None:
    tests = Path(__file__).parent / "alerts_test.yaml"
    (tmp_path / "alerts_test.yaml").write_text(tests.read_text())
    promtool(prometheus_versions, tmp_path, "test", "rules", "alerts_test.yaml")
