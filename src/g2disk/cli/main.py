"""The `g2disk` command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from typing import NoReturn

import typer
from typer.exceptions import Abort, TyperException

from g2disk.cli import attach, create, delete, detach, info, plugin, resize, serve, status
from g2disk.cli.exit_codes import EXIT_CODE, SIGNALLED, USAGE
from g2disk.cli.list import list_disks
from g2disk.cli.output import printable
from g2disk.cli.running import Interrupted
from g2disk.errors import DiskError, Internal, from_os_error

app = typer.Typer(
    help="Giant block devices in userspace: any service that reads and writes bytes becomes a disk.",
    no_args_is_help=True,
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
app.command("attach")(attach.attach)
app.command("detach")(detach.detach)
app.command("status")(status.status)


def main() -> NoReturn:
    """Parse, run, and turn every error into one line and an exit code."""
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes again when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = SIGNALLED + signal.SIGPIPE
    sys.exit(code)


def _run() -> int:
    try:
        code = typer.main.get_command(app).main(prog_name="g2disk", standalone_mode=False)
    except TyperException as error:
        return _complain(f"{error.format_message()} See g2disk --help.", USAGE)
    except Interrupted as error:
        return _complain("interrupted", SIGNALLED + error.number)
    except (KeyboardInterrupt, asyncio.CancelledError, Abort):
        return _complain("interrupted", SIGNALLED + signal.SIGINT)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}" if error.filename else "this machine"
        return _report(from_os_error(error, where))
    except DiskError as error:
        return _report(error)
    except Exception as error:  # noqa: BLE001  the edge of the process
        if os.environ.get("G2DISK_DEBUG"):
            traceback.print_exc()
        problem = f"{type(error).__name__}: {error}"
        return _report(Internal(f"{problem}; report this bug, with what G2DISK_DEBUG=1 in the environment adds"))
    return code if isinstance(code, int) else 0


def _report(error: DiskError) -> int:
    return _complain(str(error), EXIT_CODE[type(error)])


def _complain(message: str, code: int) -> int:
    print(f"g2disk: error: {printable(message)}", file=sys.stderr)  # noqa: T201
    return code
