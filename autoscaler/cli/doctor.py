"""`doctor`: is everything there that the policies need, and who else is at the wheel?"""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli import verbose_option
from autoscaler.cli.options import EXISTING, kubernetes_options, run_async
from autoscaler.cli.output import WIDTH, colors, say

if TYPE_CHECKING:
    from autoscaler.run.doctor.finding import Finding
    from autoscaler.run.doctor.gather import Where

COLORS = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "blue"}
WORDS = {"ok": "ok", "warn": "WARN", "fail": "FAIL", "unknown": "?"}
MARK_WIDTH, CHECK_WIDTH = 6, 22


@click.command("doctor")
@click.option(
    "--policies",
    "-f",
    multiple=True,
    type=EXISTING,
    metavar="PATH",
    help="Policy file or directory; may be repeated.  [default: policies, where it exists]",
)
@click.option(
    "--prometheus",
    metavar="URL",
    envvar=["TRITON_AUTOSCALER_PROMETHEUS", "PROMETHEUS_URL"],
    show_envvar=True,
    help="The Prometheus to examine.",
)
@click.option("--prometheus-token-file", type=EXISTING, metavar="FILE", help="Its bearer token.")
@click.option("--prometheus-ca-file", type=EXISTING, metavar="FILE", help="The CA of its TLS.")
@kubernetes_options
@click.option(
    "--service-account",
    metavar="NAMESPACE/NAME",
    help="Whose rights to check: the daemon's, from a laptop.  [default: yours]",
)
@click.option(
    "--output", "-o", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option("--quiet", "-q", is_flag=True, help="Only what is not fine.")
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@verbose_option
def command(output: str, quiet: bool, strict: bool, **given: Any) -> None:
    """Check Prometheus, the cluster and what else scales, against the policies. Writes nothing.

    Exit code 0: fine. 1: problems. 2: wrong usage. 3: neither Prometheus nor Kubernetes could be
    asked anything.
    """
    from autoscaler.run.doctor import examine, exit_code
    from autoscaler.run.doctor.gather import gather

    evidence = run_async(gather(_where(given), time.time()))
    findings = examine(evidence)
    shown = [f for f in findings if not (quiet and f.status == "ok")]
    if output == "json":
        _json(shown, findings)
    else:
        for line in table(shown, color=colors()):
            click.echo(line, color=colors())
        say(summary(findings))
    click.get_current_context().exit(exit_code(findings, strict=strict))


def _where(given: dict[str, Any]) -> Where:
    from autoscaler.observe.query_api import Access
    from autoscaler.run.doctor.gather import Where

    url, account = given["prometheus"], given["service_account"]
    if url and not url.startswith(("http://", "https://")):
        text = f"{url!r} is no URL: write for example http://localhost:9090"
        raise click.BadParameter(text, param_hint="--prometheus")
    if url is None and given["no_kubernetes"]:
        raise click.UsageError("nothing to look at: give --prometheus URL or leave Kubernetes in")
    if account is not None and account.count("/") != 1:
        text = f"{account!r}: write NAMESPACE/NAME, as in triton-autoscaler/triton-autoscaler"
        raise click.BadParameter(text, param_hint="--service-account")
    usual = Path("policies")
    paths = given["policies"] or ((usual,) if usual.is_dir() else ())
    access = url and Access(
        url, token_file=given["prometheus_token_file"], ca_file=given["prometheus_ca_file"]
    )
    return Where(
        policies=paths,
        namespace=given["namespace"],
        prometheus=access or None,
        kubernetes=not given["no_kubernetes"],
        kubeconfig=given["kubeconfig"],
        context=given["context"],
        service_account=account and account.replace("/", ":"),
    )


def table(findings: Sequence[Finding], *, color: bool) -> Iterator[str]:
    """Lines of at most 100 columns; those that could not look for one reason share a line."""
    indent = " " * (MARK_WIDTH + CHECK_WIDTH)
    for finding in findings:
        if finding.status == "unknown" and not finding.subject and not finding.remedy:
            continue
        text = f"{finding.subject}: {finding.what}" if finding.subject else finding.what
        first, *more = _wrap(text, WIDTH - len(indent))
        yield _mark(finding.status, color) + finding.check.ljust(CHECK_WIDTH) + first
        yield from (indent + line for line in more)
        if finding.remedy:
            first, *more = _wrap(finding.remedy, WIDTH - len(indent) - 2)
            yield f"{indent}→ {first}"
            yield from (f"{indent}  {line}" for line in more)
    yield from _not_looked(findings, color)


def _not_looked(findings: Iterable[Finding], color: bool) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for finding in findings:
        if finding.status == "unknown" and not finding.subject and not finding.remedy:
            reasons.setdefault(finding.what, []).append(finding.check)
    for reason, checks in reasons.items():
        lines = _wrap(f"not checked: {', '.join(checks)}: {reason}", WIDTH - MARK_WIDTH)
        yield _mark("unknown", color) + lines[0]
        yield from (" " * MARK_WIDTH + line for line in lines[1:])


def _wrap(text: str, width: int) -> list[str]:
    """A command is not broken at its hyphens; control characters of hostile names are shown."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return textwrap.wrap(clean, width, break_on_hyphens=False) or [""]


def _mark(status: str, color: bool) -> str:
    word = WORDS[status].ljust(MARK_WIDTH)
    return click.style(word, fg=COLORS[status], bold=status == "fail") if color else word


def summary(findings: Iterable[Finding]) -> str:
    count = Counter(finding.status for finding in findings)
    problems = "1 problem" if count["fail"] == 1 else f"{count['fail']} problems"
    warnings = "1 warning" if count["warn"] == 1 else f"{count['warn']} warnings"
    return f"{problems}, {warnings}, {count['ok']} fine, {count['unknown']} could not be checked"


def _json(shown: Sequence[Finding], findings: Sequence[Finding]) -> None:
    import dataclasses
    import json

    counts = Counter(finding.status for finding in findings)
    data = {
        "findings": [dataclasses.asdict(finding) for finding in shown],
        "summary": {status: counts[status] for status in ("ok", "warn", "fail", "unknown")},
    }
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))
