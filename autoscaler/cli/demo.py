"""`demo`: a simulated fleet, kept inside its SLA by the real loop; composed here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli import RuntimeTrouble, verbose_option
from autoscaler.cli.options import run_async
from autoscaler.cli.output import say

if TYPE_CHECKING:
    from autoscaler.model import Policy
    from autoscaler.run.faults import Fault
    from autoscaler.run.loop import Loop, Tick
    from autoscaler.sim.demo import Parts

TITLE = (
    "A simulated fleet of Triton servers (BERT-large on H200s) under load. Ctrl-C: stop, report."
)


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(0, 600),
    default=70.0,
    show_default=True,
    help="Wall time for 15 simulated minutes; 0: as fast as it goes.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the simulated traffic.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="demo.html",
    show_default=True,
    help="Where the report goes.",
)
@verbose_option
def command(seconds: float, seed: int, out: Path) -> None:
    """A fleet of simulated Triton servers under bursts, an overload and a crash.

    Real Triton metric pages, the real scrape source, the real decisions; the servers alone are
    simulated. Leaves an HTML report that opens from disk, and beside it the journal of the
    decisions. Ctrl-C ends it early, with its report.
    """
    from autoscaler.cli.logs import configure
    from autoscaler.sim.demo import demo
    from autoscaler.sim.screen import screen_for

    configure("text", 40)  # errors of libraries; the screen shows the rest
    policy = _policy()
    _check_writable(out)
    journal = out.with_suffix(".jsonl")
    if journal == out:
        raise click.BadParameter("the report is HTML: name it demo.html", param_hint="--out")
    journal.unlink(missing_ok=True)  # of an earlier demo: one file, one run
    parts = Composition(journal)
    say(TITLE)
    screen = screen_for(sys.stderr)
    summary = run_async(demo(policy, parts.loop, screen, out, seconds=seconds, seed=seed))
    click.echo(summary)
    click.echo(f"  {'report':<12}{out.resolve().as_uri()}")
    click.echo(f"  {'journal':<12}{journal} (triton-autoscaler explain {journal} --last 3)")
    parts.tell()


class Composition:
    """Makes the loop of the simulator's parts, and keeps what went wrong in its ticks."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._faults: dict[tuple[str, str], Fault] = {}

    def loop(self, parts: Parts) -> Loop:
        from autoscaler.run.journal import FileJournal
        from autoscaler.run.loop import Loop

        def on_tick(tick: Tick) -> None:
            for fault in tick.problems:
                self._faults.setdefault((fault.cause, fault.where), fault)
            parts.on_tick(tick)

        return Loop(
            parts.policies,
            parts.source,
            cluster=parts.cluster,
            executor=parts.executor,
            journal=FileJournal(self._journal),
            clock=parts.clock,
            interval=parts.interval,
            on_tick=on_tick,
        )

    def tell(self) -> None:
        """A crashed replica's page cannot be read and that is the story; a broken loop is not."""
        broken = [
            f
            for f in self._faults.values()
            if f.cause in {"decide", "act", "tick", "state", "journal"}
        ]
        for fault in broken:
            say(f"Error: {fault}")
        if broken:
            raise RuntimeTrouble("the demo's loop met the faults above")


def _policy() -> Policy:
    from importlib.resources import files

    from autoscaler.policy import load

    path: Any = files("autoscaler.sim") / "demo.yaml"
    found = load([Path(str(path))], scrape_interval=5.0)
    return found.policies[0]


def _check_writable(out: Path) -> None:
    """Before the minute is spent, not after."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a"):
            pass
    except OSError as error:
        raise RuntimeTrouble(
            f"{out} cannot be written: {error.strerror}; give --out FILE"
        ) from error
