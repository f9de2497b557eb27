"""The command `vecstore`: its entry point and its error messages."""

from __future__ import annotations

import inspect
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any, TextIO

import typer
from typer.main import get_command

from .. import __version__
from ..errors import VecstoreError
from . import (
    catalogue,
    declaring,
    evaluation,
    following,
    importing,
    indexing,
    loading,
    migrations,
    models,
    plotting,
    reading,
    serving,
    swap,
    syncing,
    upkeep,
    writing,
)
from .exits import CODES, INTERRUPTED, PIPE_CLOSED, USAGE, Failure, describe_os_error, find_hint, get_exit_code
from .masking import find_secrets, mask_secrets
from .output import dump_json, escape_controls, say

# typer brings its own click, or uses the installed one, depending on its version.
_UsageError: Any = typer.BadParameter.__mro__[1]
_ClickException: Any = typer.BadParameter.__mro__[2]

_HELP = f"""
Vector search in the storage you already have.

URL is the place of the stores, such as file:./kb for a directory. NAME is one store there. Try this:

\b
  vecstore add file:./kb notes docs/
  vecstore search file:./kb notes "how do I install it?"

{CODES}
"""

app = typer.Typer(
    name="vecstore",
    help=_HELP,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
_migrate = typer.Typer(name="migrate", help=migrations.HELP, rich_markup_mode=None)
_model = typer.Typer(name="model", help=models.HELP, rich_markup_mode=None)
_sync = typer.Typer(name="sync", help=syncing.HELP, rich_markup_mode=None)
_eval = typer.Typer(name="eval", help=evaluation.HELP, rich_markup_mode=None)
_COMMANDS = (
    writing.add, loading.load, importing.import_, reading.search, reading.get, writing.delete, reading.count,
    reading.digest, reading.export, catalogue.ls, upkeep.info, upkeep.verify, indexing.reindex, indexing.calibrate,
    indexing.recall,
    upkeep.compact, upkeep.backup, upkeep.rebuild, declaring.declare, declaring.undeclare, swap.copy, swap.move,
    catalogue.drop, plotting.plot, serving.mcp, following.follow,
)  # fmt: skip
for group, commands in (
    (app, _COMMANDS),
    (_migrate, migrations.COMMANDS),
    (_model, models.COMMANDS),
    (_sync, syncing.COMMANDS),
    (_eval, evaluation.COMMANDS),
):
    for command in commands:
        text = inspect.cleandoc(command.__doc__ or "")
        # \b is typer's mark for lines that are not wrapped.
        group.command(help=text.replace("\nFor example:", "\n\b\nFor example:"))(command)
app.add_typer(_migrate)
app.add_typer(_model)
app.add_typer(_sync)
app.add_typer(_eval)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"vecstore {__version__}")
        raise typer.Exit


@app.callback()
def _read_options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Show the version."),
) -> None:
    """Read the options before a command."""
    if context.invoked_subcommand is None:
        say(context.get_help())


@cache
def _make_command() -> Any:
    return get_command(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
        getattr(sys, name).reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning
    logging.basicConfig(format="vecstore: %(message)s", level=logging.WARNING)
    # It warns of a lost connection, which the command's own error tells.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        code = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _handle_closed_pipe()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Errors are printed on stderr."""
    machine, secrets = "--json" in arguments, find_secrets(arguments)
    # gRPC's core writes lines of its own to stderr where a handshake fails, among our errors and JSON.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        code = _make_command().main(args=arguments, prog_name="vecstore", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit:  # typer's answer to a closed pipe
        return _handle_closed_pipe()
    except (Failure, VecstoreError, OSError, _ClickException) as error:
        return _report_error(error, secrets, machine=machine)
    if code == INTERRUPTED:
        _tell("Interrupted", "Interrupted.", INTERRUPTED, machine=machine)
    return code if isinstance(code, int) else 0


def _report_error(error: BaseException, secrets: Sequence[str], *, machine: bool) -> int:
    if isinstance(error, _ClickException):
        message, kind, code = error.format_message(), "Usage", USAGE
        context = getattr(error, "ctx", None)
        if isinstance(error, _UsageError) and context is not None and not machine:
            message = message.rstrip(".")
            message = f"{message}{'' if message.endswith('?') else '.'} See: {context.command_path} --help"
    elif isinstance(error, OSError) and not isinstance(error, VecstoreError):
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        message, kind, code = f"{place}{describe_os_error(error)}.", "OSError", get_exit_code(error)
    else:
        message, kind, code = f"{error} {find_hint(error)}".rstrip(), type(error).__name__, get_exit_code(error)
    message = mask_secrets(message, secrets)
    _tell(kind, message, code, machine=machine, retryable=getattr(error, "retryable", False))
    return code


def _tell(kind: str, message: str, code: int, *, machine: bool, retryable: bool = False) -> None:
    if machine:
        error = {"type": kind, "message": message, "retryable": retryable, "exit_code": code}
        line = dump_json({"error": error})
    else:
        line = escape_controls(f"vecstore: {' '.join(message.split())}")
    sys.stderr.write(line + "\n")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    sys.stderr.write(escape_controls(f"vecstore: warning: {' '.join(str(message).split())}") + "\n")


def _handle_closed_pipe() -> int:
    """Discard what the interpreter flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return PIPE_CLOSED
