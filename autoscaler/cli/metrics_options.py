"""The options of the metrics API, and what they come to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli.units import Listen

if TYPE_CHECKING:
    from autoscaler.run.metrics import MetricsSettings
    from autoscaler.serve.access.assembly import CertificateSource

FILE = click.Path(path_type=Path)


def metrics_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option(
                "--metrics-api",
                type=Listen(),
                help="Serve custom.metrics.k8s.io and external.metrics.k8s.io here, over TLS.",
            ),
            click.option("--tls-cert", type=FILE, metavar="FILE", help="Its certificate …"),
            click.option("--tls-key", type=FILE, metavar="FILE", help="… and key; read when new."),
            click.option(
                "--tls-self-signed",
                metavar="SERVICE.NAMESPACE[:SECRET]",
                help="Or make one, keep it in the Secret, and put its CA into our APIServices.",
            ),
            click.option(
                "--metric-name",
                multiple=True,
                metavar="NAME=NEW",
                help="Serve a metric under another name, as your HPAs know it; may be repeated.",
            ),
        )
    ):
        command = option(command)
    return command


def metrics_settings(given: dict[str, Any]) -> MetricsSettings | None:
    """None without --metrics-api; raises click.UsageError."""
    listen = given["metrics_api"]
    if listen is None:
        if any(given[name] for name in ("tls_cert", "tls_key", "tls_self_signed", "metric_name")):
            raise click.UsageError("--tls-… and --metric-name are for --metrics-api HOST:PORT")
        return None
    from autoscaler.run.metrics import MetricsSettings
    from autoscaler.serve.metrics_api.catalog import CatalogError, parse_names

    try:
        catalog = parse_names(given["metric_name"])
    except CatalogError as error:
        raise click.UsageError(str(error)) from error
    host, port = listen
    return MetricsSettings(host, port, _certificate(given), catalog)


def _certificate(given: dict[str, Any]) -> CertificateSource:
    from autoscaler.serve.access.assembly import MountedFiles, parse_self_signed

    files, self_signed = (given["tls_cert"], given["tls_key"]), given["tls_self_signed"]
    if all(files) and not self_signed:
        return MountedFiles(*files)
    if any(files) or not self_signed:
        raise click.UsageError(
            "--metrics-api needs a certificate: --tls-cert with --tls-key, or "
            "--tls-self-signed SERVICE.NAMESPACE"
        )
    try:
        return parse_self_signed(self_signed)
    except ValueError as error:
        raise click.UsageError(f"--tls-self-signed {error}") from error
