"""The outputs on the how-to page of profiles are what the commands on it print.

python -m tests.golden.test_profile_page    # writes them anew
"""

from __future__ import annotations

import re
import shlex
from contextlib import chdir

from click.testing import CliRunner

from autoscaler.cli.profile import command
from tests.conftest import ROOT

PAGE = ROOT / "docs/how-to/from-a-perf-analyzer-csv-to-a-policy.md"
_BLOCK = re.compile(r"```\n\$ (triton-autoscaler profile [^\n]+)\n(.*?)```", re.DOTALL)


def rendered(page: str) -> str:
    def again(match: re.Match[str]) -> str:
        _, _, *arguments = shlex.split(match[1])
        result = CliRunner().invoke(command, arguments)
        return f"```\n$ {match[1]}\n{result.stdout}```"

    with chdir(ROOT):  # the page's paths are those of the checkout
        return _BLOCK.sub(again, page)


def test_the_page_shows_what_the_commands_print() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(_BLOCK.findall(page)) == 5
    assert page == rendered(page), "stale: run python -m tests.golden.test_profile_page"


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
