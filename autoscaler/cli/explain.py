"""`explain`: one decision in sentences; with --replay, made again from its journal line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli import RuntimeTrouble, verbose_option
from autoscaler.cli.output import say
from autoscaler.cli.units import Time, rfc3339

if TYPE_CHECKING:
    from autoscaler.model import Decision
    from autoscaler.wire import JournalLine


@click.command()
@click.argument("journal", type=click.Path(path_type=Path), default="-", metavar="[JOURNAL|-]")
@click.option("--policy", "-p", metavar="NAMESPACE/NAME", help="Only this policy's decisions.")
@click.option("--at", type=Time(), help="The decision in force at this time (RFC 3339 or Unix).")
@click.option("--last", type=click.IntRange(min=1), default=1, help="The last N.  [default: 1]")
@click.option("--replay", is_flag=True, help="Decide again and compare; 1 when something differs.")
@verbose_option
def command(journal: Path, policy: str | None, at: float | None, last: int, replay: bool) -> None:
    """One decision in sentences: what was seen, what each objective said, what each stage did.

    JOURNAL is what `run --journal` wrote; standard input may also carry bare decisions, as
    `decide` and `run -o json` print them.
    """
    lines = _select(journal, policy, at, last)
    if not lines:
        wanted = f" of policy {policy}" if policy else ""
        when = f" at or before {rfc3339(at)}" if at is not None else ""
        raise RuntimeTrouble(f"no decision{wanted}{when} in {_name(journal)}")
    differs = False
    for number, line in enumerate(lines):
        if number:
            click.echo("")
        differs |= _replay(line) if replay else _tell(line)
    if differs:
        click.get_current_context().exit(1)


def _tell(line: JournalLine | Decision) -> bool:
    from autoscaler.cli.explanation import explain
    from autoscaler.model import Decision

    if isinstance(line, Decision):
        click.echo("\n".join(explain(line, None)))
    else:
        click.echo("\n".join(explain(line.decision, line.observation)))
        if line.standby:
            click.echo("  By a standby: another daemon led, nothing was written for this.")
    return False


def _replay(line: JournalLine | Decision) -> bool:
    from autoscaler.cli.replay import differences
    from autoscaler.model import Decision

    if isinstance(line, Decision):
        raise click.UsageError("--replay needs a journal: a bare decision lacks its observation")
    decision = line.decision
    found = differences(line)
    name = f"{decision.policy} at {rfc3339(decision.at)}"
    if found is None:
        click.echo(f"{name}: held by the daemon itself, nothing to replay ({decision.hold})")
        return False
    if not found:
        click.echo(f"{name}: identical")
        return False
    click.echo(f"{name}: differs")
    for difference in found:
        click.echo(f"  {difference}")
    return True


def _select(
    journal: Path, policy: str | None, at: float | None, last: int
) -> list[JournalLine | Decision]:
    """The last N that match, without holding the whole journal in memory."""
    from collections import deque

    from autoscaler.wire import WireError

    kept: deque[tuple[int, bytes]] = deque(maxlen=last)
    for number, line, decision in _decisions(journal):
        if policy is not None and decision.get("policy") != policy:
            continue
        when = decision.get("at")
        if at is not None and not (isinstance(when, (int, float)) and when <= at):
            continue
        kept.append((number, line))
    try:
        return [_parse(line) for _, line in kept]
    except WireError as error:
        numbers = ", ".join(str(number) for number, _ in kept)
        raise RuntimeTrouble(f"{_name(journal)}, line {numbers}: {error}") from error


def _parse(line: bytes) -> JournalLine | Decision:
    from autoscaler.model import Decision
    from autoscaler.wire import JournalLine, from_json

    if b'"observation"' in line and b'"state"' in line:
        return from_json(JournalLine, line)
    return from_json(Decision, line)


def _decisions(journal: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """(line number, line, the decision as plain data) of each readable line."""
    import orjson

    for number, line in enumerate(_lines(journal), start=1):
        if not line.strip():
            continue
        try:
            data = orjson.loads(line)
            decision = data.get("decision", data)
            if not isinstance(decision, dict):
                raise TypeError("no decision in it")  # noqa: TRY301 -- same complaint as no JSON
        except (ValueError, TypeError, AttributeError) as error:
            # a daemon that was killed leaves half a line at most; the others are good
            say(f"Note: {_name(journal)}, line {number} is left out: {error}")
            continue
        yield number, line, decision


def _lines(journal: Path) -> Iterator[bytes]:
    if str(journal) == "-":
        if sys.stdin.isatty():
            raise click.UsageError("give a JOURNAL, or pipe decisions in")
        yield from sys.stdin.buffer
        return
    try:
        with journal.open("rb") as file:
            yield from file
    except OSError as error:
        raise RuntimeTrouble(f"journal {journal} cannot be read: {error.strerror}") from error


def _name(journal: Path) -> str:
    return "standard input" if str(journal) == "-" else str(journal)
