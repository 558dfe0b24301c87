"""Options that several commands share, spelled as kubectl spells them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autoscaler.cli import RuntimeTrouble, verbose_option
from autoscaler.cli.output import FORMATS, colors, say
from autoscaler.cli.units import Duration, endpoints

if TYPE_CHECKING:
    from autoscaler.policy import PolicySet
    from autoscaler.run.app import Settings

F = TypeVar("F", bound=Callable[..., Any])
EXISTING = click.Path(path_type=Path)


def _stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _existing(_: click.Context, __: click.Parameter, value: tuple[Path, ...]) -> tuple[Path, ...]:
    """A default that nobody typed is a matter of usage, not a faulty file."""
    if value == (Path("policies"),) and not value[0].exists():
        raise click.UsageError("where are the policies? There is no folder policies here: give -f")
    return value


policies_option: Callable[[Any], Any] = click.option(
    "--policies",
    "-f",
    "policies",
    multiple=True,
    type=EXISTING,
    metavar="PATH",
    default=["policies"],
    show_default=True,
    callback=_existing,
    help="Policy file or directory; may be repeated.",
)

signals_options: Callable[[Any], Any] = _stack(
    click.option(
        "--prometheus",
        metavar="URL",
        envvar=["TRITON_AUTOSCALER_PROMETHEUS", "PROMETHEUS_URL"],
        show_envvar=True,
        help="Read signals from this Prometheus.",
    ),
    click.option(
        "--prometheus-token-file",
        type=EXISTING,
        metavar="FILE",
        help="Bearer token for Prometheus, read again when it changes.",
    ),
    click.option(
        "--prometheus-ca-file",
        type=EXISTING,
        metavar="FILE",
        help="CA that signed Prometheus' certificate.",
    ),
    click.option(
        "--scrape",
        multiple=True,
        metavar="NS/POD=URL|FILE",
        help="Read a pod's Triton metrics page directly, without Prometheus; or a FILE of such "
        "lines; may be repeated.",
    ),
    click.option(
        "--scrape-interval",
        type=Duration(),
        help="How often the pods are scraped.  [default: seen in the data]",
    ),
)

kubernetes_options: Callable[[Any], Any] = _stack(
    click.option("--namespace", "-n", metavar="NAME", help="Only policies of this namespace."),
    click.option("--kubeconfig", type=EXISTING, metavar="FILE", help="How to reach Kubernetes."),
    click.option("--context", metavar="NAME", help="Which context of the kubeconfig."),
    click.option(
        "--no-kubernetes",
        is_flag=True,
        help="Do not ask Kubernetes: count replicas by the pods seen in the series.",
    ),
)


def output_options(default: str | None) -> Callable[[Any], Any]:
    return _stack(
        click.option(
            "--output",
            "-o",
            type=click.Choice(FORMATS),
            default=default,
            show_default=True,
            help="How to print decisions; json is one line each.",
        ),
        click.option("--no-headers", is_flag=True, help="Tables without the header line."),
        verbose_option,
    )


def signals(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a source, from the options above; exactly one source."""
    scrape = endpoints(given["scrape"])
    prometheus = given["prometheus"]
    if scrape and prometheus and not _given_on_the_line("prometheus"):
        prometheus = None  # --scrape on the line beats PROMETHEUS_URL in the environment
    if bool(scrape) == bool(prometheus):
        raise click.UsageError(
            "give one source of signals, --prometheus or --scrape"
            if scrape
            else "where are the signals? Give --prometheus URL (or set PROMETHEUS_URL), "
            "or --scrape NAMESPACE/POD=URL"
        )
    if prometheus and not prometheus.startswith(("http://", "https://")):
        raise click.BadParameter(
            f"{prometheus!r} is no URL: write for example http://localhost:9090",
            param_hint="--prometheus",
        )
    return {
        "prometheus": prometheus,
        "scrape": scrape,
        "scrape_interval": given["scrape_interval"],
        "token_file": given["prometheus_token_file"],
        "ca_file": given["prometheus_ca_file"],
    }


def kubernetes(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "namespace": given["namespace"],
        "kubernetes": not given["no_kubernetes"],
        "kubeconfig": given["kubeconfig"],
        "context": given["context"],
    }


def load_or_exit(settings: Settings) -> PolicySet:
    """The policies, or their diagnostics on stderr and exit code 1."""
    from autoscaler.run.app import load_policies

    found = load_policies(settings)
    if not found.ok:
        complain(found)
        click.get_current_context().exit(1)
    policies = [
        p for p in found.policies if settings.namespace is None or p.namespace == settings.namespace
    ]
    if not policies:
        names = ", ".join(str(path) for path in settings.policies)
        where = f" in namespace {settings.namespace}" if settings.namespace else ""
        say(f"Error: no policy{where} found in {names}: give --policies PATH")
        click.get_current_context().exit(1)
    return found


def complain(found: PolicySet) -> None:
    """The diagnostics, as `validate` shows them, on stderr."""
    from autoscaler.policy.report import render

    color = colors() and sys.stderr.isatty()
    click.echo(render(found.problems, found.sources, "text", color), nl=False, err=True)


def run_async(main: Any) -> Any:
    """asyncio.run; parts that cannot be put together are a runtime error, not a trace."""
    import asyncio

    from autoscaler.run.app import SetupError

    try:
        return asyncio.run(main)
    except SetupError as error:
        raise RuntimeTrouble(str(error)) from error


def in_cluster() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ


def _given_on_the_line(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE
