"""All commands of `g2disk`, and what their errors become."""

from __future__ import annotations

import os
import signal
import traceback
from typing import Any

import typer
from typer.exceptions import Abort, TyperException

from g2disk.cli import attach, create, delete, detach, export, import_file, info, plugin, resize, serve, status
from g2disk.cli.exit_codes import EXIT_CODE, SIGNALLED, USAGE
from g2disk.cli.list import list_disks
from g2disk.cli.output import complain
from g2disk.cli.running import Interrupted
from g2disk.errors import DiskError, Internal, from_os_error

app = typer.Typer(
    help="Giant block devices in userspace: any service that reads and writes bytes becomes a disk.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("plugin")(plugin.plugin)
app.command("create")(create.create)
app.command("list")(list_disks)
app.command("info")(info.info)
app.command("resize")(resize.resize)
app.command("delete")(delete.delete)
app.command("import")(import_file.import_file)
app.command("export")(export.export)
app.command("attach")(attach.attach)
app.command("detach")(detach.detach)
app.command("status")(status.status)


def command() -> Any:
    """The command with its subcommands, as Typer makes it."""
    return typer.main.get_command(app)


def run_app() -> int:
    """Run what the command line says; every error is one line on standard error and an exit code."""
    try:
        return _invoke()
    except TyperException as error:
        where = getattr(getattr(error, "ctx", None), "command_path", "g2disk")
        return complain(f"{error.format_message()} See `{where} --help`.", USAGE)
    except Interrupted as error:
        return complain("interrupted", SIGNALLED + error.number)
    except Abort:
        return complain("interrupted", SIGNALLED + signal.SIGINT)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _report(from_os_error(error, str(error.filename or "reading or writing")))
    except DiskError as error:
        return _report(error)
    except Exception as error:  # noqa: BLE001  the edge of the process
        if os.environ.get("G2DISK_DEBUG"):
            traceback.print_exc()
        problem = f"{type(error).__name__}: {error}"
        return _report(Internal(f"{problem}; report this bug, with what G2DISK_DEBUG=1 in the environment adds"))


def _invoke() -> int:
    try:
        code = command().main(prog_name="g2disk", standalone_mode=False)
    except SystemExit as error:
        # Typer's way to end when the reader of standard output went away.
        if isinstance(error.__context__, BrokenPipeError):
            raise error.__context__ from None
        raise
    return code if isinstance(code, int) else 0


def _report(error: DiskError) -> int:
    return complain(str(error), EXIT_CODE[type(error)])
