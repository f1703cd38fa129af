"""The program: subcommands imported when asked for, mistakes as one line on stderr."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from rafm_bench import __version__
from rafm_bench.errors import Interrupted, RunError, UserError

COMMANDS = (
    "demo",
    "sources",
    "fetch",
    "generate",
    "prepare",
    "verify",
    "inspect",
    "explain",
    "train",
    "tune",
    "evaluate",
    "encode",
    "predict",
    "compare",
    "export",
    "import",
    "reproduce",
    "backends",
    "bench",
)
USER_MISTAKE, FAILURE, INTERRUPT, BY_SIGNAL = 2, 1, 130, 128


class Program(click.Group):
    """A click group whose subcommand NAME is `command` of rafm_bench.cli.NAME."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands in the order of a first visit."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"rafm_bench.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def main(self, *args: Any, **options: Any) -> Any:
        """Run; exit 0, or 2 (user), 1 (failure), 130 or 143 (signals), with a line."""
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except Exception as error:
            code, message = explain(error)
            if message:
                click.echo(message, err=True)
        sys.exit(code if isinstance(code, int) else 0)


def explain(error: Exception) -> tuple[int, str]:
    """Return exit code and message of an error that has one; raise any other again."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return USER_MISTAKE, error.format_message()
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE, ""
    code, message = _judge(error)
    return code, f"rafm-bench: {message}"


def _judge(error: Exception) -> tuple[int, str]:
    from rafm_datasets import DataError, WriteError

    match error:
        case UserError() | DataError():
            return USER_MISTAKE, str(error)
        case click.UsageError():
            return USER_MISTAKE, _usage(error)
        case click.ClickException():
            return USER_MISTAKE, error.format_message()
        case NotImplementedError():  # of a backend, which names what it lacks
            return USER_MISTAKE, f"{error}; choose another --backend"
        case RunError() | WriteError():
            return FAILURE, str(error)
        case MemoryError():
            return FAILURE, f"not enough memory: {error}"
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return FAILURE, f"{where}{error.strerror or error}"
        case Interrupted():
            return BY_SIGNAL + error.number, str(error)
        case click.Abort():
            return INTERRUPT, "interrupted; nothing was written"
    raise error


def _usage(error: click.UsageError) -> str:
    """Make click's complaint one sentence that names the help to read."""
    message = error.format_message().rstrip(".")
    message = message[:1].lower() + message[1:]
    command = error.ctx.command_path if error.ctx else "rafm-bench"
    return f"{message}; see `{command} --help`"


@click.group(
    cls=Program,
    epilog="\b\nExample:\n  rafm-bench demo --out demo",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="rafm-bench")
def main() -> None:
    """Prepare, train and compare factorization machines on data bigger than memory."""
