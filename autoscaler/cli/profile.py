"""`profile`: from a load sweep to what one replica carries, and to a policy."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli import PROGRAM, RuntimeTrouble, verbose_option
from autoscaler.cli.output import FORMATS
from autoscaler.cli.units import Duration
from autoscaler.units import UnitError, parse_share

if TYPE_CHECKING:
    from autoscaler.cli.profile_reading import Found
    from autoscaler.model import Sla

_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]+)?)")
OK, PROBLEMS = 0, 1


class Percentile(click.ParamType[float]):
    """`p99` → 0.99."""

    name = "percentile"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        match = _PERCENTILE.fullmatch(str(value))
        if match is None or float(match[1]) <= 0:
            self.fail(f"{value!r} is not a percentile: write for example p99", param, ctx)
        return round(float(match[1]) / 100, 9)


class Limit(click.ParamType[tuple[float, float]]):
    """`p99=100ms` → (0.99, 0.1)."""

    name = "limit"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals:
            self.fail(f"{value!r}: write PERCENTILE=DURATION, for example p99=100ms", param, ctx)
        quantile = Percentile().convert(name, param, ctx)
        return quantile, Duration().convert(text, param, ctx)


class Share(click.ParamType[float]):
    """`20%`, `0.2` → 0.2; less than all of it."""

    name = "share"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, float):
            return value
        try:
            share = parse_share(str(value))
        except UnitError as error:
            self.fail(str(error), param, ctx)
        if share >= 1:
            self.fail(f"{value} leaves nothing to serve with: write for example 20%", param, ctx)
        return share


@click.command("profile")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--sla",
    "limits",
    type=Limit(),
    multiple=True,
    metavar="pNN=DURATION",
    help="Latency to keep, for example p99=100ms; may be repeated.",
)
@click.option("--queue-time", type=Duration(), help="Mean time in Triton's queue to keep.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    metavar="N",
    help="Client batch, perf_analyzer's -b: inferences in one request. Of a table with several, "
    "which.  [default: 1, or the only one]",
)
@click.option("--model", metavar="NAME", help="Only this model of a file with several.")
@click.option(
    "--latency-is",
    type=Percentile(),
    metavar="pNN",
    help="What the latency of a file is that does not say it.",
)
@click.option(
    "--join", is_flag=True, help="The files are loads of one sweep, not configurations to compare."
)
@click.option(
    "--gpu-hour",
    type=click.FloatRange(min=0, min_open=True),
    metavar="PRICE",
    help="Price of one GPU for one hour: shows the cost of a million requests.",
)
@click.option(
    "--gpus-per-replica", type=click.IntRange(min=1), default=1, show_default=True, metavar="N"
)
@click.option(
    "--headroom",
    type=Share(),
    default="20%",
    show_default=True,
    help="Kept free, in the policy and in the duty cycle.",
)
@click.option("--target", metavar="NS/NAME", help="The policy's target (with -o yaml).")
@click.option(
    "--max-replicas",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="The policy's upper bound: what your GPU quota allows.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Also draw the sweeps, as a page that opens from disk.",
)
@click.option(
    "--output",
    "-o",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="wide: every sweep with its notes. yaml: a policy to begin with.",
)
@click.option("--no-headers", is_flag=True, help="Tables without the header line.")
@verbose_option
def command(files: tuple[str, ...], output: str, plot: Path | None, **given: Any) -> None:
    """What does one replica carry within the SLA? Reads load sweeps.

    FILE: CSV of perf_analyzer -f or JSON of its --profile-export-file, Model Analyzer's
    metrics-model-inference.csv (with metrics-model-gpu.csv beside it), GenAI-Perf's
    profile_export.json. Requests/s are interpolated between measured loads, never extrapolated.

    Exit code 0: answered. 1: a file or a model without an answer. 2: wrong usage.
    """
    from autoscaler.cli import profile_output
    from autoscaler.cli.profile_reading import read_files

    sla = _sla(given["limits"], given["queue_time"])
    if output == "yaml":
        _target(given["target"])
    found = read_files(files, sla, given)
    if plot is not None and found.verdicts:
        _write(plot, profile_output.html(found))
    if output == "yaml" and not found.problems:
        click.echo(_policy(found, given), nl=False)
    elif output == "json":
        click.echo(profile_output.json_text(found), nl=False)
    elif output != "yaml":
        profile_output.table(found, wide=output == "wide", headers=not given["no_headers"])
    profile_output.complain(found)
    click.get_current_context().exit(PROBLEMS if found.problems else OK)


def _sla(limits: tuple[tuple[float, float], ...], queue_time: float | None) -> Sla:
    from autoscaler.model import Sla

    if not limits and queue_time is None:
        raise click.UsageError("within what? Give --sla p99=100ms, or --queue-time 50ms, or both")
    if len({quantile for quantile, _ in limits}) < len(limits):
        raise click.BadParameter("a percentile is given twice", param_hint="--sla")
    return Sla(queue_time, tuple(sorted(limits)))


def _target(target: str | None) -> tuple[str, str]:
    namespace, slash, name = (target or "").partition("/")
    if not (slash and namespace and name):
        raise click.UsageError("a policy needs its target: --target NAMESPACE/NAME")
    return namespace, name


def _policy(found: Found, given: dict[str, Any]) -> str:
    from autoscaler.policy.profile.skeleton import policy_text

    if len(found.best) > 1:
        models = ", ".join(found.best)
        raise click.UsageError(f"a policy is for one model: give --model, one of {models}")
    if len({verdict.profile.mode for verdict in found.verdicts}) > 1:
        raise click.UsageError(
            "a closed loop reads higher than an open one: for a policy give only the rate sweeps"
        )
    (verdict,) = found.best.values()
    namespace, name = _target(given["target"])
    file = verdict.profile.source if verdict.profile.source in found.texts else found.files[0]
    return policy_text(
        verdict,
        found.sla,
        namespace=namespace,
        name=name,
        file=file,
        text="" if given["join"] else found.texts[file],
        command=_typed(found.files, given),
        max_replicas=given["max_replicas"],
        headroom=given["headroom"],
        gpu_hour=given["gpu_hour"],
    )


def _typed(files: tuple[str, ...], given: dict[str, Any]) -> str:
    """The command again, as one would type it."""
    words = [PROGRAM, "profile", *files]
    words += [f"--sla=p{q * 100:.10g}={limit * 1e3:.10g}ms" for q, limit in given["limits"]]
    if given["queue_time"] is not None:
        words.append(f"--queue-time={given['queue_time'] * 1e3:.10g}ms")
    for name in ("batch", "model", "gpu_hour"):
        if given[name] is not None:
            words.append(f"--{name.replace('_', '-')}={given[name]}")
    if given["latency_is"] is not None:
        words.append(f"--latency-is=p{given['latency_is'] * 100:.10g}")
    words += ["--join"] if given["join"] else []
    words += [f"--target={given['target']}", "-o", "yaml"]
    return shlex.join(words)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RuntimeTrouble(f"{path} cannot be written: {error.strerror}") from error
