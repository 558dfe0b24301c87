"""`validate`: are the policy files right?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from autoscaler.policy import PolicySet

OK, PROBLEMS = 0, 1


@click.command("validate")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="For people, for programs, for annotations on a pull request.",
)
@click.option(
    "--scrape-interval",
    default="15s",
    show_default=True,
    metavar="DURATION",
    help="How often Prometheus scrapes: queries must span at least two scrapes.",
)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
def command(paths: tuple[str, ...], output: str, scrape_interval: str, strict: bool) -> None:
    """Check policy files and folders (*.yaml, *.yml); - reads standard input.

    Exit code 0: fine. 1: problems. 2: wrong usage.
    """
    found = _load(paths, _seconds(scrape_interval))
    form: Literal["text", "json", "github"]
    form = "json" if output == "json" else "github" if output == "github" else "text"
    _show(found, form)
    failed = not found.ok or (strict and bool(found.problems))
    click.get_current_context().exit(PROBLEMS if failed else OK)


validate = command


def _seconds(text: str) -> float:
    from autoscaler.units import UnitError, parse_duration

    try:
        seconds = parse_duration(text)
    except UnitError as error:
        raise click.BadParameter(str(error), param_hint="--scrape-interval") from None
    if not 0.1 <= seconds <= 3600:
        raise click.BadParameter("must be within 100ms and 1h", param_hint="--scrape-interval")
    return seconds


def _load(paths: tuple[str, ...], scrape_interval: float) -> PolicySet:
    from autoscaler.policy import load, load_texts

    if "-" in paths:
        if len(paths) > 1:
            raise click.UsageError("give either - or paths, not both")
        content = sys.stdin.buffer.read()
        text = content.decode("utf-8", "surrogateescape")
        texts = {"<stdin>": text}
        return load_texts(texts, scrape_interval=scrape_interval, folder=Path.cwd())
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise click.UsageError(f"no such file or folder: {', '.join(missing)}")
    return load([Path(path) for path in paths], scrape_interval=scrape_interval)


def _show(found: PolicySet, form: Literal["text", "json", "github"]) -> None:
    from autoscaler.cli.output import colors
    from autoscaler.policy.report import render, summary

    facts = {"files": found.files, "documents": found.documents, "hash": found.hash}
    color = form == "text" and colors()
    text = render(found.problems, found.sources, form, color, facts)
    click.echo(text, nl=False, color=color)
    if form != "json":
        words = summary(found.problems, found.files, found.documents)
        click.echo(f"{words} (hash {found.hash})", err=form == "github")
    sys.stdout.flush()
