"""All commands of `g2disk`, and what their errors become."""

from __future__ import annotations

import os
import signal
import traceback
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import Abort, TyperException

from g2disk.cli.exit_codes import EXIT_CODE, SIGNALLED, USAGE
from g2disk.cli.output import complain
from g2disk.cli.running import Interrupted
from g2disk.errors import DiskError, Internal, from_os_error, kind_of_error

COMMANDS = {
    "serve": "serve:serve",
    "nbd": "nbd:nbd",
    "plugin": "plugin:plugin",
    "create": "create:create",
    "list": "list:list_disks",
    "info": "info:info",
    "map": "map:map_disk",
    "resize": "resize:resize",
    "delete": "delete:delete",
    "snapshot": "snapshot:snapshot",
    "clone": "clone:clone",
    "rollback": "rollback:rollback",
    "rekey": "rekey:rekey",
    "fsck": "fsck:fsck",
    "gc": "gc:gc",
    "import": "import_file:import_file",
    "export": "export:export",
    "attach": "attach:attach",
    "detach": "detach:detach",
    "status": "status:status",
    "accept": "accept:accept",
    "torture": "torture:torture",
}
"""Each command's module and function."""

_HIDDEN = {"daemon": "daemon:daemon"}
"""What only g2disk itself runs."""

_SETTINGS = {"help_option_names": ["-h", "--help"]}


class _Commands(TyperGroup):
    """Imports a command when it is asked for: most need only a part of g2disk, and start the faster for it."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = COMMANDS.get(cmd_name) or _HIDDEN.get(cmd_name)
        if found is None:
            return None
        module, _, function = found.partition(":")
        single = getattr(import_module(f"g2disk.cli.{module}"), function)
        if not isinstance(single, typer.Typer):  # else a command with subcommands
            whole, single = single, typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            single.command(cmd_name, context_settings=_SETTINGS)(whole)
        made = typer.main.get_command(single)
        made.name = cmd_name
        return made


app = typer.Typer(cls=_Commands, pretty_exceptions_enable=False, context_settings=_SETTINGS)


@app.callback()
def g2disk() -> None:
    """Giant block devices in userspace: any service that reads and writes bytes becomes a disk."""


def command() -> Any:
    """The command with its subcommands, as Typer makes it."""
    return typer.main.get_command(app)


def run_app() -> int:
    """Run what the command line says; every error is one line on standard error and an exit code."""
    try:
        return _invoke()
    except TyperException as error:
        where = getattr(getattr(error, "ctx", None), "command_path", "g2disk")
        return complain(f"{error.format_message().removesuffix('.')}; see `{where} --help`", USAGE)
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
    if code == SIGNALLED + signal.SIGINT:
        raise Abort  # a Ctrl-C before the command had begun, which Typer makes a mere exit code
    return code if isinstance(code, int) else 0


def _report(error: DiskError) -> int:
    return complain(str(error), EXIT_CODE[kind_of_error(error)])
