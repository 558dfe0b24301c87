"""`backtest`: what would a policy have done over recorded time, and what would it have cost?"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli import RuntimeTrouble, verbose_option
from autoscaler.cli.options import EXISTING, complain
from autoscaler.cli.output import say, wrap
from autoscaler.cli.units import Duration, Time, rfc3339

if TYPE_CHECKING:
    from autoscaler.model import Policy
    from autoscaler.observe.query_api import Access
    from autoscaler.sim.backtest.gather import Request
    from autoscaler.sim.backtest.pull import Progress
    from autoscaler.sim.backtest.result import Backtest
    from autoscaler.sim.curve import ServerCurve

INDENT = "    "
LAST = 14 * 86400.0


@click.command("backtest")
@click.option(
    "--policies",
    "-f",
    "policies",
    multiple=True,
    type=EXISTING,
    metavar="PATH",
    help="Policy file or directory; may be repeated.  [default: policies]",
)
@click.option("--policy", "name", metavar="[NS/]NAME", help="Which of several policies.")
@click.option(
    "--compare",
    nargs=2,
    type=EXISTING,
    metavar="A.yaml B.yaml",
    help="Two policies for one target, side by side.",
)
@click.option(
    "--prometheus",
    metavar="URL",
    envvar=["TRITON_AUTOSCALER_PROMETHEUS", "PROMETHEUS_URL"],
    show_envvar=True,
    required=True,
    help="Where the history is.",
)
@click.option("--prometheus-token-file", type=EXISTING, metavar="FILE", help="Bearer token.")
@click.option("--prometheus-ca-file", type=EXISTING, metavar="FILE", help="CA of its certificate.")
@click.option(
    "--prometheus-header",
    "headers",
    multiple=True,
    metavar="NAME=VALUE",
    help="Sent along, for example X-Scope-OrgID=team-a; may be repeated.",
)
@click.option("--from", "start", type=Time(), help="From here (RFC 3339, Unix).")
@click.option("--to", "end", type=Time(), help="… to here.  [default: now]")
@click.option(
    "--last", type=Duration(), metavar="DURATION", help="Instead of --from.  [default: 14d]"
)
@click.option("--step", type=Duration(), help="Between decisions.  [default: one for each scrape]")
@click.option(
    "--profile",
    type=EXISTING,
    metavar="FILE",
    help="Load sweep of one replica, for the model.  [default: fitted to the history]",
)
@click.option(
    "--cold-start",
    type=Duration(),
    help="From the order of a replica to Ready.  [default: by kube-state-metrics, else 21s]",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="A page with plots, which opens from disk.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the pull is kept.  [default: ~/.cache/triton-autoscaler/backtest]",
)
@click.option("--no-cache", is_flag=True, help="Keep nothing of the pull on disk.")
@click.option(
    "--output",
    "-o",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
)
@verbose_option
def command(
    output: str, html: Path | None, compare: tuple[Path, Path] | None, **given: Any
) -> None:
    """What would a policy have done, beside what really ran? Read-only.

    Pulls the target's history from Prometheus, in pieces that are kept on disk, replays the policy
    over it, and models the fleet that would have followed it. What the model adds is marked, with
    its error on this very history.
    """
    from autoscaler.sim.backtest.backtest import backtest
    from autoscaler.sim.backtest.findings import BacktestError
    from autoscaler.sim.backtest.gather import Telling

    request = _request(compare, given)
    progress = _Progress()
    try:
        found = backtest(request, Telling(say=progress.say, progress=progress.show))
    except BacktestError as error:
        progress.clear()
        raise RuntimeTrouble(str(error)) from error
    except KeyboardInterrupt:
        progress.clear()
        if request.cache is not None:
            say(f"Interrupted. What was pulled is kept in {request.cache}: run it again to go on.")
        raise
    for finding in found.findings:
        say(f"Mind: {finding}")
    if html is not None:
        _write(html, found)
    if output == "json":
        from autoscaler.sim.backtest.summary import document

        click.echo(json.dumps(document(found), indent=2, ensure_ascii=False))
    else:
        table(found)


def table(found: Backtest) -> None:
    from autoscaler.sim.backtest.summary import columns, rows, sentences

    lines = [("", [head.upper() for head in columns(found)]), *rows(found)]
    first = max(len(what) for what, _ in lines)
    widths = [max(len(cells[i]) for _, cells in lines) for i in range(len(columns(found)))]
    for what, cells in lines:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        click.echo("  ".join([what.ljust(first), *padded]).rstrip())
    for sentence in sentences(found):
        click.echo("\n".join(wrap(sentence, INDENT)))


def _request(compare: tuple[Path, Path] | None, given: dict[str, Any]) -> Request:
    from autoscaler.sim.backtest.cache import default_folder
    from autoscaler.sim.backtest.gather import Request

    start, end = _times(given["start"], given["end"], given["last"])
    policies = _policies(compare, given["policies"], given["name"])
    cache = None if given["no_cache"] else given["cache"] or default_folder()
    return Request(
        policies=policies,
        access=_access(given),
        start=start,
        end=end,
        tick=given["step"],
        server=_server(given["profile"]),
        cold_start=given["cold_start"],
        cache=cache,
    )


def _times(start: float | None, end: float | None, last: float | None) -> tuple[float, float]:
    if start is not None and last is not None:
        raise click.UsageError("--from and --last both say where it begins: give one")
    end = time.time() if end is None else end
    start = end - (last or LAST) if start is None else start
    if start >= end:
        raise click.UsageError(f"--to {rfc3339(end)} is not after --from {rfc3339(start)}")
    return start, end


def _policies(
    compare: tuple[Path, Path] | None, paths: tuple[Path, ...], name: str | None
) -> tuple[Policy, ...]:
    if compare is None:
        return (_only(paths or (Path("policies"),), name),)
    if paths:
        raise click.UsageError("--compare names both files: leave out -f")
    both = tuple(_only((path,), name) for path in compare)
    first, second = both
    if first.target != second.target:
        raise click.UsageError(
            f"{compare[0]} is for {first.target.namespace}/{first.target.name}, {compare[1]} for "
            f"{second.target.namespace}/{second.target.name}: compare policies of one target"
        )
    if first.cost and second.cost and first.cost.currency != second.cost.currency:
        raise click.UsageError(
            f"{compare[0]} counts in {first.cost.currency}, {compare[1]} in "
            f"{second.cost.currency}: give both prices in one currency"
        )
    if first.name != second.name:
        return both
    from dataclasses import replace

    return tuple(
        replace(policy, name=path.stem if compare[0].stem != compare[1].stem else str(path))
        for policy, path in zip(both, compare, strict=True)
    )


def _only(paths: tuple[Path, ...], name: str | None) -> Policy:
    from autoscaler.policy import load

    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise click.UsageError(f"no such file or folder: {', '.join(missing)}: give -f")
    found = load(paths)
    if not found.ok:
        complain(found)
        click.get_current_context().exit(1)
    chosen = [p for p in found.policies if name is None or name in (p.name, p.key)]
    if len(chosen) == 1:
        return chosen[0]
    where = ", ".join(str(path) for path in paths)
    if not chosen:
        raise click.UsageError(f"no policy {name or ''} in {where}".replace("  ", " "))
    names = ", ".join(policy.key for policy in chosen[:5])
    raise click.UsageError(f"{len(chosen)} policies in {where}: give --policy, one of {names}")


def _access(given: dict[str, Any]) -> Access:
    from autoscaler.observe.query_api import Access

    url = given["prometheus"]
    if not url.startswith(("http://", "https://")):
        raise click.BadParameter(
            f"{url!r} is no URL: write for example http://localhost:9090",
            param_hint="--prometheus",
        )
    headers = {}
    for header in given["headers"]:
        name, equals, value = header.partition("=")
        if not equals or not name:
            raise click.BadParameter(
                f"{header!r}: write NAME=VALUE", param_hint="--prometheus-header"
            )
        headers[name] = value
    return Access(
        url,
        token_file=given["prometheus_token_file"],
        ca_file=given["prometheus_ca_file"],
        headers=headers,
    )


def _server(path: Path | None) -> ServerCurve | None:
    if path is None:
        return None
    from autoscaler.policy.profile import ProfileError, parse_profile
    from autoscaler.sim.fit import curve_of

    try:
        return curve_of(parse_profile(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise RuntimeTrouble(f"{path} cannot be read: {error}") from error
    except ProfileError as error:
        raise RuntimeTrouble(f"{path}: {error.reason}; {error.remedy}") from error


def _write(path: Path, found: Backtest) -> None:
    from autoscaler.sim.backtest.page import write

    try:
        write(path, found)
    except OSError as error:
        raise RuntimeTrouble(f"{path} cannot be written: {error.strerror}") from error
    say(f"Report: {path}")


class _Progress:
    """One line on stderr that rewrites itself; off a terminal a line each tenth."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._told = 0

    def show(self, now: Progress) -> None:
        share = now.done / max(1, now.of)
        line = f"{now.done} of {now.of} pieces ({now.cached} from disk), {now.bytes / 1e6:,.1f} MB"
        if self._live:
            sys.stderr.write(f"\r\x1b[K{share:4.0%}  {line}")
            sys.stderr.flush()
        elif int(10 * share) > self._told:
            self._told = int(10 * share)
            say(f"{share:4.0%}  {line}")

    def clear(self) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def say(self, line: str) -> None:
        self.clear()
        say(line)
