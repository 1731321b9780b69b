"""Write docs/cli.md, or the file given as argument, from the commands themselves and the table of exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from g2disk.cli.app import COMMANDS, command
from g2disk.cli.exit_codes import MEANING

ROOT = Path(__file__).resolve().parent.parent

HEAD = """\
# Command line

<!-- Made by ./dev docs from src/g2disk/cli: change it there. -->

```
g2disk COMMAND [OPTIONS] [ARGUMENTS]
```

What is the same everywhere:

- **Sizes** are bytes, or a number with a unit, in powers of 1024: `4096`, `5MiB`, `10G`, `1.5TiB`, `1EiB`. The largest
  disk is 8EiB less 4KiB; `8EiB` means that one. What is printed for people uses the same units; JSON has bytes.
- **`--json`** prints one JSON document on standard output, and nothing else there.
- **Errors** are one line on standard error, `g2disk: error: …`, that says what to do next, and an
  [exit code](#exit-codes). Notes and progress go to standard error too.
- **`--endpoint`** names the target server: `HOST:PORT`, or `unix:PATH` for a Unix socket. It can be given once for
  all in the environment, as `G2DISK_ENDPOINT`.
- **Ctrl-C** undoes what a command has begun: half a disk, half a file, half an attachment is never left without a word.
"""

TAIL = """\
## JSON

Fields are only ever added.

- `create`, `list`, `info`, `resize`: a disk is `name`, `size`, `allocated` (bytes that it takes up in the store),
  `identity` (changes when another disk takes its name), `read_only`, `description`. `list` gives them as `disks`, and
  the server's default disk, or null, as `default_disk`. `info` adds `instance`, `minimum_block`, `preferred_block`,
  `maximum_request`, `rotational`, `capabilities`, and `state`, the [figures of volumes](volumes.md#state).
- `delete`: `deleted`, the name.
- `snapshot create`, `snapshot list`: a snapshot is `name`, `created` (UTC), `size`, `clones`; `list` gives them as
  `snapshots`. `snapshot delete`: `deleted`. `clone` and `rollback`: a disk, as above.
- `map`: `name`, `offset`, `length`, `cell_bytes`; of each part, in `cells`, `written` (bytes), `oldest` and `newest`
  (segments); of each of `segments`, `number`, `epoch`, `total` and `live` (blocks, or pages of the map where `is_map`),
  `stored` (bytes).
- `rekey`: `changed`, the names.
- `fsck`: `clean`, and by disk, in `disks`, `name`, `volume`, `version` (of its manifest), `clean`, `segments`, `blocks`
  (that were read), `stored_bytes`, `findings` (`kind`, `message`, `key`, `repaired`) and `lost` (`snapshot`, `offset`,
  `length`). Damage that is left is exit code 13. `gc`: by disk, in `disks`, `name`, `moved_blocks`, `deleted`
  (objects), `deleted_bytes` and `orphans`.
- `import`, `export`: `file`, `disk`, `size`, `data` (bytes that were copied), `verified`.
- `attach`, `detach`, `status`: an attachment is `disk`, `kind` (`kernel` or `fuse`), `path` (the device or the file),
  `size`, `read_only`, `endpoint`, `identity`, `daemon_pid` of a device, `gateway_pid` of a file or of nbdkit. `status`
  gives them as `attachments`, and adds `state` (`starting`, `connected`, `waiting`, `failed`, `unknown`, `dead`,
  `gone`, `lost`), `since`, `cause`, `alive` and `connected`; of a daemon that answers, also `in_flight`,
  `unflushed_bytes`, `unflushed_requests`, `reconnects`, `request_timeout` (seconds) and `sockets_lost`.
- `accept`: `disk`, `path`, `condition`.

## What attach keeps

`g2disk attach` leaves a daemon running, and where it was asked for, nbdkit with g2disk's plugin; where there is a file
instead of a device, a gateway and nbdfuse. Of each attachment there is a directory with its state, its sockets and the
logs of these processes: in `/run/g2disk` for root, in `$XDG_RUNTIME_DIR/g2disk` or a private directory below the
temporary directory for other users, or in `$G2DISK_RUN_DIR` where that is set. `status` and `detach` know what their
own user attached. Files and devices do not survive a restart of the machine, and are not attached again after one.

The kernel's nbd takes root, `/dev/fuse` does not. Of two users, only the one who attached a file can open it.

## Environment

| Variable | Meaning |
|---|---|
| `G2DISK_ENDPOINT` | the target server, where `--endpoint` is left out |
| `G2DISK_RUN_DIR` | where attachments are kept, see above |
| `G2DISK_DEBUG` | set to anything: a bug in g2disk is shown with its traceback |
| `PORT` | the port that `g2disk serve` listens on, at every address, where `--listen` is left out |
"""

EXAMPLES = {
    "serve": [
        "g2disk serve",
        "g2disk serve memory: --disk default=5MiB --listen unix:/tmp/g2disk-server.sock",
        "g2disk serve --nbd unix:/tmp/g2disk.sock --nbd 127.0.0.1:10809",
    ],
    "nbd": [
        "g2disk nbd --listen unix:/tmp/g2disk.sock",
        "g2disk nbd vm1 vm2 --endpoint localhost:8080 --listen 127.0.0.1:10809 --read-only",
    ],
    "plugin": ['nbdkit -f -t 64 -U /tmp/g2disk.sock python "$(g2disk plugin)" endpoint=localhost:8080 disk=vm1'],
    "create": ["g2disk create vm1 10GiB", "g2disk create giant 8EiB --description 'for tests'"],
    "list": ["g2disk list", "g2disk list --json | jq -r '.disks[].name'"],
    "info": ["g2disk info vm1"],
    "map": [
        "g2disk map vm1",
        "g2disk map vm1 --svg vm1.svg --png vm1.png",
        "g2disk map giant --from 1TiB --length 10GiB",
    ],
    "resize": ["g2disk resize vm1 20GiB", "g2disk resize vm1 5GiB --shrink"],
    "delete": ["g2disk delete vm1 --yes"],
    "snapshot": [],
    "snapshot create": ["g2disk snapshot create vm1@monday"],
    "snapshot list": ["g2disk snapshot list vm1"],
    "snapshot delete": ["g2disk snapshot delete vm1@monday"],
    "clone": ["g2disk clone vm1@monday vm2"],
    "rollback": ["g2disk rollback vm1@monday"],
    "rekey": ["g2disk rekey s3://bucket/disks --passphrase-file - --new-passphrase-file -"],
    "fsck": [
        "g2disk fsck objects:/srv/disks",
        "g2disk fsck s3://bucket/disks db1 --data",
        "g2disk fsck objects:/srv/disks --repair --json",
    ],
    "gc": ["g2disk gc objects:/srv/disks db1"],
    "import": ["g2disk import disk.raw vm1", "g2disk import /dev/sdb vm1"],
    "export": ["g2disk export vm1 disk.raw", "g2disk export vm1 /dev/sdb --force"],
    "attach": [
        "g2disk attach vm1",
        "g2disk attach vm1 /dev/nbd3 --connections 4",
        "g2disk attach vm1 --fuse vm1.raw",
        "g2disk attach vm1 --via nbdkit",
        "g2disk attach vm1 --record /run/g2disk-record",
    ],
    "detach": ["g2disk detach vm1", "g2disk detach /dev/nbd3"],
    "status": ["g2disk status"],
    "accept": ["g2disk accept vm1"],
    "torture": [
        "g2disk torture file:store --rounds 20",
        "g2disk torture localhost:8080 --disk scratch --yes --rounds 20 --json",
    ],
}


def reference() -> str:
    """The whole page."""
    group = command()
    table = "".join(f"| {_link(name)} | {_summary(group, name)} |\n" for name in COMMANDS)
    parts = [HEAD, f"| Command | |\n|---|---|\n{table}"]
    parts += [_section(name, single) for name, single in _every(group)]
    rows = "".join(f"| {code} | {meaning} |\n" for code, meaning in sorted(MEANING.items()))
    parts += [f"## Exit codes\n\n| Code | Meaning |\n|---|---|\n{rows}", TAIL]
    return "\n".join(parts)


def _every(group: Any) -> Iterator[tuple[str, Any]]:
    """Every command by its full name, subcommands behind their own."""
    for name in COMMANDS:
        single = _get(group, name)
        yield name, single
        for below, subcommand in getattr(single, "commands", {}).items():
            yield f"{name} {below}", subcommand


def _link(name: str) -> str:
    return f"[`{name}`](#g2disk-{name})"


def _get(group: Any, name: str) -> Any:
    return group.get_command(None, name)


def _summary(group: Any, name: str) -> str:
    return str(_get(group, name).help).partition("\n\n")[0].replace("\n", " ").removesuffix(".")


def _section(name: str, single: Any) -> str:
    arguments = [param for param in single.params if param.param_type_name == "argument"]
    options = [param for param in single.params if param.param_type_name == "option"]
    if not EXAMPLES[name]:
        return f"## g2disk {name}\n\n{single.help}\n"
    usage = " ".join(["g2disk", name, *(_metavar(each) for each in arguments), *(["[OPTIONS]"] if options else [])])
    paragraphs = [" ".join(text.split()) for text in str(single.help).split("\n\n")]
    items = [f"- `{_metavar(each)}`: {_explain(each)}\n" for each in arguments]
    items += [f"- {_flags(each)}: {_explain(each)}\n" for each in options]
    examples = "\n".join(EXAMPLES[name])
    listed = "".join(items) + "\n" if items else ""
    text = "\n\n".join(paragraphs)
    return f"## g2disk {name}\n\n{text}\n\n```\n{usage}\n```\n\n{listed}For example:\n\n```sh\n{examples}\n```\n"


def _metavar(param: Any) -> str:
    name = str(param.metavar or param.name.upper())
    return name if param.required or name.startswith("[") else f"[{name}]"


def _flags(param: Any) -> str:
    value = "" if param.is_flag else f" {param.metavar or 'TEXT'}"
    return ", ".join(f"`{flag}{value}`" for flag in sorted((*param.opts, *param.secondary_opts), key=len, reverse=True))


def _explain(param: Any) -> str:
    said = [str(param.help).replace("\n", " ").removesuffix(".")]
    if param.param_type_name == "option" and not param.is_flag and param.default not in (None, "", ()):
        said.append(f"default {param.default:g}" if isinstance(param.default, float) else f"default {param.default}")
    if param.param_type_name == "option" and param.is_flag and param.secondary_opts:
        said.append(f"default {(param.opts if param.default else param.secondary_opts)[0]}")
    if getattr(param, "envvar", None):
        said.append(f"`{param.envvar}` in the environment")
    return "; ".join(said)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "cli.md"
    target.write_text(reference())
