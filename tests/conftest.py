"""Shared by all tests: the test bed's fixtures, and where third parties' data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.testbed.plugin"]

ROOT = Path(__file__).parent.parent
RECORDINGS = ROOT / "tests" / "data" / "recordings"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The project's own recordings from real H200s."""
    return RECORDINGS


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Third parties' traces and pages; never part of the project, so a test may have to skip."""
    folder = Path(os.environ.get("REFERENCE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no reference data in {folder} (set REFERENCE_DATA)")
    return folder
