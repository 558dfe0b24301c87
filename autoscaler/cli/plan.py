"""`plan`: look once, read-only, and say what would be done and why."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli import RuntimeTrouble
from autoscaler.cli.options import (
    kubernetes,
    kubernetes_options,
    load_or_exit,
    output_options,
    policies_option,
    run_async,
    signals,
    signals_options,
)
from autoscaler.cli.output import Printer, say
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.policy import PolicySet
    from autoscaler.run.app import Settings
    from autoscaler.run.loop import Tick

# Nobody waits at a prompt for longer, and a laptop's way to Prometheus may be slow.
BUDGET = 30.0
# Pages scraped each second give rates over 4 s; the usual 5 s would ask for 20.
INTERVAL = 1.0


@click.command()
@policies_option
@signals_options
@kubernetes_options
@output_options("table")
def command(policies: tuple[Any, ...], output: str, no_headers: bool, **given: Any) -> None:
    """Look once and say what would be done, and why. Writes nothing, remembers nothing."""
    from autoscaler.cli.logs import configure
    from autoscaler.run.app import Settings

    log = configure("text", logging.ERROR)
    settings = Settings(
        policies=policies, interval=INTERVAL, budget=BUDGET, **signals(given), **kubernetes(given)
    )
    found = load_or_exit(settings)
    tick = run_async(look(settings, found, log))
    Printer(output, headers=not no_headers, flips=True).show(tick.decisions)
    tell_problems(tick)


async def look(settings: Settings, found: PolicySet, log: Any) -> Tick:
    """One tick, given back whatever came of it."""
    from autoscaler.run.app import assemble

    app = await assemble(settings, found, log, say, lambda *_: None)
    try:
        if settings.prometheus is None:
            say(f"Scraping for {format_duration(app.source.windows.fast)}, to see rates.")
        await app.warm_up()
        return await app.loop.tick()
    finally:
        await app.close()


def tell_problems(tick: Tick) -> None:
    """What went wrong, on stderr; nothing readable at all is a runtime error."""
    for fault in tick.problems:
        if fault.text != tick.failed:
            say(f"Note: {fault}")
    if tick.failed is not None:
        raise RuntimeTrouble(tick.failed)
    if tick.decisions and all(decision.current is None for decision in tick.decisions):
        raise RuntimeTrouble(f"nothing can be decided: {tick.decisions[0].hold}")
    broken = [fault for fault in tick.problems if fault.cause in {"state", "decide", "tick"}]
    if broken:
        raise RuntimeTrouble(str(broken[0]))
