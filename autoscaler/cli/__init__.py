"""The command line: `main`, the command tree and what each exit code means.

0 fine, 1 problems found, 2 usage, 3 and above runtime. Data goes to stdout, talk to stderr.
Commands are imported when they are called: `--help` loads click and nothing else.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from autoscaler import __version__

PROGRAM = "triton-autoscaler"
RUNTIME_ERROR = 3
INTERNAL_ERROR = 70  # EX_SOFTWARE
INTERRUPTED = 130
CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "auto_envvar_prefix": "TRITON_AUTOSCALER",
    "max_content_width": 100,
}

# In the order of an SRE's way in. Each module holds its click command as `command`.
COMMANDS = {
    "validate": "Check policy files: offline, in CI, in an editor.",
    "schema": "Print the JSON Schema of policies, observations or decisions.",
    "profile": "From a load sweep to what one replica carries, and to a policy.",
    "simulate": "What would a policy do to a trace, what would it miss, and what would it cost?",
    "backtest": "What would a policy have done over recorded time, beside what really ran?",
    "doctor": "Is all there that the policies need, and who else is at the wheel? Read-only.",
    "plan": "Look once, read-only, and say what would be done and why.",
    "run": "The daemon: observe, decide, journal, serve; or once; or over recorded time.",
    "decide": "Observations on stdin, decisions on stdout, one JSON line each.",
    "explain": "One decision in sentences, from the journal or stdin.",
    "demo": "Watch a simulated fleet kept inside its SLA, in under two minutes.",
}


class RuntimeTrouble(click.ClickException):
    """The world is not as it must be (unreachable, unreadable); the text names place and remedy."""

    exit_code = RUNTIME_ERROR


class LazyGroup(click.Group):
    """Knows its commands by name and one line; imports one only to run it or show its help."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"autoscaler.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _be_verbose(ctx: click.Context, _: click.Parameter, value: int) -> int:
    """`-v` may stand before or after the command."""
    root = ctx.find_root()
    root.meta["verbose"] = max(value, root.meta.get("verbose", 0))
    return value


verbose_option = click.option(
    "-v",
    "--verbose",
    count=True,
    expose_value=False,
    callback=_be_verbose,
    help="Say more; with an internal error, show the trace.",
)


@click.command(cls=LazyGroup, context_settings=CONTEXT)
@click.version_option(__version__, prog_name=PROGRAM)
@verbose_option
def cli() -> None:
    """Keeps Triton fleets inside their SLA for the fewest GPU-hours, and explains every move.

    Exit codes: 0 fine, 1 problems found, 2 usage, 3 and above runtime. Each option may also come
    from the environment, for example TRITON_AUTOSCALER_RUN_INTERVAL=5s.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an ASCII terminal gets ? for →, not a trace
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        result = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _internal(error, arguments)
        _reader_left()
        click.echo(f"{PROGRAM}: standard output cannot be written: {error.strerror}", err=True)
        return RUNTIME_ERROR
    except Exception as error:  # noqa: BLE001 -- the last line of defence: one line, not a trace
        return _internal(error, arguments)
    return result if isinstance(result, int) else 0


def _reader_left() -> int:
    """`plan | head`: the reader has what it wanted; keep the interpreter from complaining."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _internal(error: Exception, arguments: Sequence[str]) -> int:
    if any(a == "--verbose" or (a[:1] == "-" and a[1:2] != "-" and "v" in a) for a in arguments):
        import traceback

        traceback.print_exception(error)
        hint = ""
    else:
        hint = " (run with --verbose for the trace)"
    text = f"{PROGRAM}: internal error: {type(error).__name__}: {error}{hint}"
    click.echo(text, err=True)
    return INTERNAL_ERROR
