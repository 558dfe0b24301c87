"""The outputs on the how-to page of `simulate` are what the commands on it print.

python -m tests.stories.test_simulate_page    # writes them anew
"""

from __future__ import annotations

import re
import shlex
from contextlib import chdir

from click.testing import CliRunner

from autoscaler.cli.simulate import command
from tests.conftest import ROOT
from tests.stories.fidelity import compare, short

PAGE = ROOT / "docs/how-to/simulate.md"
_BLOCK = re.compile(r"```\n\$ (triton-autoscaler simulate [^\n]+)\n(.*?)```", re.DOTALL)
_FIDELITY = re.compile(r"\| relative error of .*\n(?:\|.*\n)+")


def rendered(page: str) -> str:
    def again(match: re.Match[str]) -> str:
        _, _, *arguments = shlex.split(match[1])
        result = CliRunner().invoke(command, [*arguments, "--jobs", "1"])
        return f"```\n$ {match[1]}\n{result.stdout}```"

    told = ((what, errors.replace(", ", " | ")) for what, errors in short(*compare()))
    rows = "".join(f"| {what} | {errors} |\n" for what, errors in told)
    table = f"| relative error of | median | p90 |\n|---|---|---|\n{rows}"
    with chdir(ROOT):  # the page's paths are those of the checkout
        return _FIDELITY.sub(table, _BLOCK.sub(again, page))


def test_the_page_shows_what_the_commands_print() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(_BLOCK.findall(page)) == 2
    assert page == rendered(page), "stale: run python -m tests.stories.test_simulate_page"


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
