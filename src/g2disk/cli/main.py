"""The `g2disk` command."""

from __future__ import annotations

import asyncio
import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from g2disk.cli import plugin, serve
from g2disk.cli.exit_codes import EXIT_CODE, USAGE
from g2disk.errors import DiskError

app = typer.Typer(
    help="Giant block devices in userspace: any service that reads and writes bytes becomes a disk.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("plugin")(plugin.plugin)


def main() -> NoReturn:
    """Parse, run, and turn every error into one line and an exit code."""
    try:
        code = typer.main.get_command(app).main(prog_name="g2disk", standalone_mode=False)
    except DiskError as error:
        _complain(str(error))
        code = EXIT_CODE[type(error)]
    except TyperException as error:
        _complain(f"{error.format_message()} See g2disk --help.")
        code = USAGE
    except (KeyboardInterrupt, asyncio.CancelledError):
        _complain("interrupted")
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 141
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> None:
    print(f"g2disk: error: {message}", file=sys.stderr)  # noqa: T201
