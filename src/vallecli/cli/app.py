"""The table of commands, and the only place that turns an error into a message and an exit code.

0 success · 1 a bug in valle · 2 usage · 3 bad input · 4 checkpoint · 5 device or memory · 6 rows of a batch failed
· 7 a missing optional package or program, or a file without a watermark (valle detect) · 129 hung up (SIGHUP)
· 130 interrupted (Ctrl-C) · 143 terminated (SIGTERM)
· 141 the reader of stdout exited (128 + SIGPIPE, as shells report it), which is no error and prints nothing.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer

from vallecli import __version__, errors
from vallecli.cli import (
    batch,
    bench,
    checkpoints,
    detect,
    dub,
    evaluate,
    read,
    script,
    serve,
    signals,
    speak,
    text,
    voices,
)
from vallecli.cli.hints import hint_for
from vallecli.cli.options import with_optional_values
from vallecli.cli.reporter import Reporter
from vallecli.cli.signals import EXIT_INTERRUPTED, exit_on_signals
from vallecli.errors import InputError, UsageError, VallecliError
from vallecli.settings import suggest

COMPLETE = "_VALLE_COMPLETE"  # variable that the completion scripts of shells set
EXIT_BUG, EXIT_CLOSED_PIPE = 1, 141

app = typer.Typer(
    add_completion=True,
    rich_markup_mode=None,  # boxes would import rich, a tenth of a second, for each --help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("speak", epilog=speak.EPILOG)(speak.speak)
app.command("batch", epilog=batch.EPILOG)(batch.batch)
app.command("read", epilog=read.EPILOG)(read.read)
app.command("dub", epilog=dub.EPILOG)(dub.dub)
app.command("script", epilog=script.EPILOG)(script.script)
app.command("eval", epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command("detect", epilog=detect.EPILOG)(detect.detect)
app.command("text", epilog=text.EPILOG)(text.text)
app.command("serve", epilog=serve.EPILOG)(serve.serve)
app.command("bench", epilog=bench.EPILOG)(bench.bench)
app.add_typer(voices.app, name="voices")
app.add_typer(checkpoints.app, name="checkpoints")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"valle {__version__}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog="Start with: valle speak --prompt reference.wav --text 'Hello, this is my voice.'",
)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Speak a text in the voice of a short recording."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@cache
def commands() -> Any:
    """Return the commands, which typer makes once."""
    return typer.main.get_command(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (sys.argv without the program's name by default) and return its exit code."""
    reporter = Reporter()
    exit_on_signals()
    try:
        # Not command.main(): it handles interrupts, closed pipes and usage errors differently.
        command = commands()
        if os.environ.get(COMPLETE):
            command.main(prog_name="valle")  # prints the completions and exits
        arguments = with_optional_values(sys.argv[1:] if argv is None else argv)
        reporter.options = options_of(command, arguments)
        with command.make_context("valle", arguments, obj=reporter) as context:
            command.invoke(context)
        sys.stdout.flush()  # here, where a closed pipe can still be handled
    except typer.Exit as wish:
        return wish.exit_code
    except (KeyboardInterrupt, typer.Abort):  # the latter for Ctrl-C or Ctrl-D at a question
        return _left(reporter, EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Python flushes stdout once more at exit; discard that.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_CLOSED_PIPE
    except Exception as error:
        if (code := signals.received()) is not None:  # libraries turn an interrupt into other errors, at import
            return _left(reporter, code)
        known = explain(error)
        if known is not None:
            reporter.error(f"error: {known.message}", hint_for(known, reporter.options))
            return known.exit_code
        if reporter.verbose:
            reporter.error(traceback.format_exc().rstrip())
        first_line = (str(error).splitlines() or [""])[0]  # libraries append their C++ stack
        reporter.error(
            f"this is a bug in valle {__version__}: {type(error).__name__}: {first_line}",
            "Please report it with the output of the same command and -v.",
        )
        return EXIT_BUG
    return 0


def _left(reporter: Reporter, code: int) -> int:
    """Return the exit code of a command that was ended by a signal; an interrupt is reported."""
    if code == EXIT_INTERRUPTED:
        reporter.error("interrupted")
    return code


def options_of(command: Any, arguments: Sequence[str]) -> list[str]:
    """Return the options of the command that arguments name, such as "--force"."""
    for argument in arguments:
        command = getattr(command, "commands", {}).get(argument, command)
        if not hasattr(command, "commands"):
            break
    return [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]


def explain(error: Exception) -> VallecliError | None:
    """Return the meaning of any library's error for the user, or None if it can only be a bug in valle."""
    if isinstance(error, typer.TyperException):
        return _usage(error)
    if isinstance(error, FileNotFoundError) and not _has_folder():
        return InputError("the current folder does not exist any more", "Change to another folder.")
    return errors.explain(error)


def _has_folder() -> bool:
    """Return whether the current folder exists: relative paths need it."""
    try:
        return bool(os.getcwd())  # noqa: PTH109  # Path.cwd does the same
    except FileNotFoundError:
        return False


def _usage(error: typer.TyperException) -> UsageError:
    """Return an error of the command-line parser as one of ours."""
    near = getattr(error, "possibilities", None)
    if near:
        return UsageError(error.message, suggest(getattr(error, "option_name", ""), near))
    context = getattr(error, "ctx", None)
    return UsageError(error.format_message(), f"Try: {context.command_path if context else 'valle'} --help")
