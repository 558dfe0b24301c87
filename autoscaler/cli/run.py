"""`run`: the daemon; --once for a single tick, --from and --to for recorded time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli import RuntimeTrouble
from autoscaler.cli.metrics_options import metrics_options, metrics_settings
from autoscaler.cli.options import (
    EXISTING,
    in_cluster,
    kubernetes,
    kubernetes_options,
    load_or_exit,
    output_options,
    policies_option,
    run_async,
    signals,
    signals_options,
)
from autoscaler.cli.output import Printer, say, shorten
from autoscaler.cli.plan import INTERVAL, look, tell_problems
from autoscaler.cli.units import Duration, Listen, Size, Time, rfc3339
from autoscaler.cli.write_options import write_options, write_settings

if TYPE_CHECKING:
    from autoscaler.model import Decision
    from autoscaler.policy import PolicySet
    from autoscaler.run.app import Settings
    from autoscaler.run.loop import Tick

PORT = 9797
REPLAY_BUDGET = 30.0


@click.command()
@policies_option
@signals_options
@kubernetes_options
@click.option("--once", is_flag=True, help="One tick, then exit.")
@write_options
@click.option("--interval", type=Duration(), default="5s", show_default=True, help="Between ticks.")
@click.option("--journal", type=EXISTING, metavar="FILE", help="Append each decision, as JSON.")
@click.option(
    "--journal-max",
    type=Size(),
    default="64MiB",
    show_default=True,
    help="At this size the journal becomes FILE.1 and a new one begins.",
)
@click.option(
    "--journal-unchanged",
    type=Duration(),
    default="1m",
    show_default=True,
    help="A decision that says the same again is journaled this often; a change at once.",
)
@click.option(
    "--listen",
    type=Listen(),
    default=lambda: f"{'0.0.0.0' if in_cluster() else '127.0.0.1'}:{PORT}",  # noqa: S104
    show_default=f"127.0.0.1:{PORT}, in a cluster 0.0.0.0:{PORT}",
    help="Metrics, health and status page; or none.",
)
@metrics_options
@click.option("--log-format", type=click.Choice(["text", "json"]), help="[default: text on a TTY]")
@click.option(
    "--from", "start", type=Time(), help="Replay recorded time from here (RFC 3339, Unix)."
)
@click.option("--to", "end", type=Time(), help="… to here.")
@click.option("--step", type=Duration(), default="15s", show_default=True, help="… in such steps.")
@output_options(None)
def command(
    policies: tuple[Path, ...],
    once: bool,
    interval: float,
    journal: Path | None,
    journal_max: int,
    journal_unchanged: float,
    listen: tuple[str, int] | None,
    log_format: str | None,
    start: float | None,
    end: float | None,
    step: float,
    output: str | None,
    no_headers: bool,
    **given: Any,
) -> None:
    """Observe, decide, journal and serve, until stopped.

    SIGTERM stops cleanly, SIGHUP reads the policies again. With --once: a single tick. With
    --from and --to: the same loop over what Prometheus recorded, on a clock that walks.
    """
    from autoscaler.cli.logs import configure
    from autoscaler.run.app import Settings

    replay = _check_replay(start, end, once)
    daemon = not (once or replay)
    verbose = click.get_current_context().find_root().meta.get("verbose", 0)
    quiet = logging.INFO if daemon else logging.WARNING
    log = configure(log_format or (None if daemon else "text"), logging.DEBUG if verbose else quiet)
    settings = Settings(
        policies=policies,
        interval=step if replay else min(interval, INTERVAL) if once else interval,
        budget=None if daemon else REPLAY_BUDGET,
        journal=journal,
        journal_max=journal_max,
        journal_unchanged=journal_unchanged,
        writes=write_settings(given, daemon=daemon),
        watches=daemon,
        metrics=metrics_settings(given) if daemon else None,
        replay_from=start if replay else None,
        **signals(given),
        **(kubernetes(given) | ({"kubernetes": False} if replay else {})),
    )
    if replay and settings.writes.state is not None:
        raise click.UsageError("--state is the daemon's of today: recorded time starts without one")
    if replay and settings.prometheus is None:
        raise click.UsageError("--from needs --prometheus: pages scraped directly have no past")
    found = load_or_exit(settings)
    if replay:
        say("Recorded time has no Kubernetes: replicas are counted by the pods in the series.")
    printer = _printer(output, headers=not no_headers, daemon=daemon, found=found, once=once)
    if once:
        _once(settings, found, log, printer)
    elif replay:
        run_async(_replay(settings, found, log, printer, end))
    else:
        run_async(_daemon(settings, found, log, printer, listen))


def _check_replay(start: float | None, end: float | None, once: bool) -> bool:
    if start is None and end is None:
        return False
    if start is None or end is None:
        raise click.UsageError("recorded time needs both --from and --to")
    if end < start:
        raise click.UsageError(f"--to {rfc3339(end)} is before --from {rfc3339(start)}")
    if once:
        raise click.UsageError("--once looks at now; --from and --to at the past: give one")
    return True


def _printer(
    output: str | None, *, headers: bool, daemon: bool, found: PolicySet, once: bool
) -> Printer | None:
    """The daemon prints decisions only where -o asks for it: its log tells them anyway."""
    if output is None and daemon:
        return None
    width = max((len(shorten(policy.key)) for policy in found.policies), default=0)
    return Printer(output or "table", headers=headers, times=not once, flips=once, name_width=width)


def _shower(printer: Printer | None) -> Any:
    """Tables show what changed, JSON and YAML every decision."""

    def show(tick: Tick, changed: list[Decision]) -> None:
        if printer is not None:
            printer.show(tick.decisions if printer.complete else changed)

    return show


def _once(settings: Settings, found: PolicySet, log: Any, printer: Printer | None) -> None:
    tick = run_async(look(settings, found, log))
    if printer is not None:
        printer.show(tick.decisions)
    tell_problems(tick)


async def _replay(
    settings: Settings, found: PolicySet, log: Any, printer: Printer | None, end: float | None
) -> None:
    from autoscaler.cli.progress import Progress
    from autoscaler.run.app import assemble

    assert end is not None
    assert settings.replay_from is not None
    progress = Progress(settings.replay_from, end)
    show = _shower(printer)
    failures: list[str] = []

    def on_tick(tick: Tick, changed: list[Decision]) -> None:
        progress.clear()
        show(tick, changed)
        progress.at(tick.at, len(changed))
        if tick.failed is not None:
            failures.append(tick.failed)

    app = await assemble(settings, found, log, say, on_tick)
    try:
        await app.loop.run(until=end)
    finally:
        await app.close()
    progress.done()
    if failures and len(failures) == app.board.ticks:
        raise RuntimeTrouble(failures[-1])


async def _daemon(
    settings: Settings,
    found: PolicySet,
    log: Any,
    printer: Printer | None,
    listen: tuple[str, int] | None,
) -> None:
    from autoscaler.run.app import assemble
    from autoscaler.run.daemon import serve_until_stopped
    from autoscaler.serve.server import ListenError

    app = await assemble(settings, found, log, log.warning, _shower(printer))
    try:
        await serve_until_stopped(app, log, listen)
    except ListenError as error:
        raise RuntimeTrouble(str(error)) from error
    finally:
        await app.close()
