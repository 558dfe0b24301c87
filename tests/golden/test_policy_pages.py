"""Pages made from the code are as the code makes them."""

from __future__ import annotations

from autoscaler.policy.reference import pages
from autoscaler.policy.registry import CHECKS
from tests.conftest import ROOT


def test_the_schema_and_the_reference_pages_are_up_to_date() -> None:
    for path, text in pages(ROOT).items():
        shown = (ROOT / path).read_text(encoding="utf-8")
        assert shown == text, f"{path} is stale: run python -m autoscaler.policy.reference"


def test_every_check_has_its_section() -> None:
    page = (ROOT / "docs/reference/checks.md").read_text(encoding="utf-8")
    for check in CHECKS:
        assert f"\n## {check}\n" in page
