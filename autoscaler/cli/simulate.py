"""`simulate`: what a policy would do to a trace, what it would miss, and what it would cost."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli import RuntimeTrouble, verbose_option
from autoscaler.cli.options import policies_option
from autoscaler.cli.output import say
from autoscaler.cli.units import Duration

if TYPE_CHECKING:
    from autoscaler.cli.simulate_parts import Parts

OK = 0
# In the order of autoscaler.sim.workloads, which would be imported for nothing by --help.
NAMES = ("diurnal", "office", "bursty", "steps", "flash")


@click.command("simulate")
@policies_option
@click.option("--policy", metavar="NS/NAME", help="Which one, where there are several.")
@click.option(
    "--trace",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.csv",
    help="Requests over time: timestamp_s,requests or timestamp_s,requests_per_second.",
)
@click.option(
    "--workload",
    type=click.Choice(NAMES),
    help="A built-in workload instead, made with the statistics of real ones.  [default: bursty]",
)
@click.option(
    "--days",
    type=click.FloatRange(min=0.02, max=60),
    metavar="N",
    help="Length of the built-in workload; of a trace, its first days.  [default: 7, or all of it]",
)
@click.option(
    "--mean",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Scale the load to N replicas' worth on average.  [default: a trace as it is; a "
    "workload so that its peak needs three quarters of the policy's maximum]",
)
@click.option(
    "--profile",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Load sweep that one simulated server is made of (perf_analyzer, Model Analyzer).  "
    "[default: a recorded BERT-large on H200, brought to the policy's capacity]",
)
@click.option(
    "--cold-start",
    type=Duration(),
    default="60s",
    show_default=True,
    help="From a replica's creation to Ready, on a node that is there.",
)
@click.option(
    "--node-start",
    type=Duration(),
    default="180s",
    show_default=True,
    help="From the request for a node to one that takes pods; only with spec.nodes.driver.",
)
@click.option(
    "--scrape-interval",
    type=Duration(),
    default="15s",
    show_default=True,
    help="How old and how averaged the signals are.",
)
@click.option(
    "--interval", type=Duration(), default="15s", show_default=True, help="Between two decisions."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of traffic and starts.")
@click.option(
    "--frontier",
    is_flag=True,
    help="Also sweep headroom and minimum (with a node pool: spare): money over SLA-miss minutes.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="one per core",
    metavar="N",
    help="Processes for the sweep.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="The report (with --frontier, the frontier) as a page that opens from disk.",
)
@click.option(
    "--output",
    "-o",
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="How to print the figures.",
)
@verbose_option
def command(output: str, html: Path | None, **given: Any) -> None:
    """What would this policy do to this traffic, and at what price?

    Drives the real decisions over a simulated fleet: queues, batching, refusals, cold starts,
    nodes. A minute is missed when more than 1 % of its requests waited longer than sla.queueTime,
    were refused or were lost.
    """
    from autoscaler.cli import simulate_output as show
    from autoscaler.cli.simulate_parts import gather, run, run_frontier

    parts = gather(given)
    if html is not None:
        _check_writable(html)
    for note in parts.notes:
        say(f"Note: {note}.")
    result = run(parts)
    points = run_frontier(parts, given["jobs"], _progress()) if given["frontier"] else []
    if html is not None:
        show.html(html, parts, result, points)
    if output == "json":
        click.echo(show.json_text(parts, result, points), nl=False)
    else:
        show.table(parts, result, points)
        _name_report(html, parts)
    click.get_current_context().exit(OK)


def _progress() -> Any:
    """A line on a terminal that rewrites itself."""

    def told(done: int, of: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {of} runs" + ("\r\x1b[K" if done == of else ""))
            sys.stderr.flush()

    return told


def _name_report(html: Path | None, parts: Parts) -> None:
    if html is None:
        say("Draw it: --html simulate.html" + ("" if parts.frontier else "; choose: --frontier"))
    else:
        say(f"Report: {html.resolve().as_uri()}")


def _check_writable(path: Path) -> None:
    """Before the minute is spent, not after."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            pass
    except OSError as error:
        raise RuntimeTrouble(f"{path} cannot be written: {error.strerror}") from error
