"""The options of who writes, and where the state is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli.options import in_cluster

if TYPE_CHECKING:
    from autoscaler.run.writing import Place, StatePlace, WriteSettings

CONFIGMAP = "configmap"


def write_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option(
                "--dry-run", is_flag=True, help="Decide and show, write nothing to the cluster."
            ),
            click.option(
                "--server-dry-run",
                is_flag=True,
                help="Send each write with dryRun=All: the API server checks it and forgets it.",
            ),
            click.option(
                "--leader-elect/--no-leader-elect",
                default=None,
                help="Write only while holding the lease; or write without one.  [default: elect "
                "in a cluster; elsewhere one of them must be said before anything is written]",
            ),
            click.option(
                "--lease",
                metavar="[NS/]NAME",
                help="The lease.  [default: triton-autoscaler in our own namespace]",
            ),
            click.option(
                "--state",
                metavar="FILE|configmap[:[NS/]NAME]",
                help="Remember cooldowns and windows across restarts and failovers.  [default: the "
                "ConfigMap triton-autoscaler-state where a leader is elected, else in memory]",
            ),
        )
    ):
        command = option(command)
    return command


def write_settings(given: dict[str, Any], *, daemon: bool) -> WriteSettings:
    """Raises click.UsageError."""
    from autoscaler.run.writing import LEASE, Place, WriteSettings

    dry = given["dry_run"] or given["server_dry_run"]
    if given["dry_run"] and given["server_dry_run"]:
        raise click.UsageError("--dry-run asks nobody, --server-dry-run the API server: give one")
    if given["leader_elect"] and not daemon:
        raise click.UsageError(
            "a single look wins no election: leave out --leader-elect, or give --no-leader-elect "
            "where you know that no daemon writes"
        )
    state = _state(given["state"])
    if dry and state is not None and not isinstance(state, Path):
        raise click.UsageError(
            "a dry run writes nothing to the cluster, a ConfigMap neither: give --state FILE"
        )
    lease = given["lease"]
    if given["leader_elect"] and not in_cluster() and "/" not in (lease or ""):
        raise click.UsageError(
            "outside a cluster --leader-elect needs --lease NAMESPACE/NAME: the one that the "
            "daemons in the cluster hold (triton-autoscaler/triton-autoscaler as shipped); with "
            "another one both would write"
        )
    return WriteSettings(
        dry_run=given["dry_run"],
        server_dry_run=given["server_dry_run"],
        elect=given["leader_elect"],
        lease=_place(lease, "--lease") if lease else Place(LEASE),
        state=state,
        daemon=daemon,
        in_cluster=in_cluster(),
    )


def _state(given: str | None) -> StatePlace:
    """`configmap`, `configmap:NAME`, `configmap:NS/NAME`, or a file; a file of that name is
    ./configmap.
    """
    from autoscaler.run.writing import STATE, Place

    if given is None:
        return None
    kind, _, place = given.partition(":")
    if kind != CONFIGMAP:
        if place and kind.lower().replace("-", "").replace("_", "") in {CONFIGMAP, "cm"}:
            raise click.BadParameter(
                f"{given!r}: write {CONFIGMAP}:{place} (or ./{given} for a file of that name)",
                param_hint="--state",
            )
        return Path(given)
    return _place(place, "--state") if place else Place(STATE)


def _place(given: str, option: str) -> Place:
    from autoscaler.run.writing import Place

    namespace, slash, name = given.rpartition("/")
    if not name or "/" in namespace or (slash and not namespace):
        raise click.BadParameter(
            f"{given!r} names no object: write NAMESPACE/NAME or NAME", param_hint=option
        )
    return Place(name, namespace or None)
