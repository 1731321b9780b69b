"""`PythonStore`, a disk of one's own: a class or a function, async or not, named module:NAME or FILE.py:NAME."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from g2disk.disk import Disk
from g2disk.disk.plain import adapt
from g2disk.errors import DiskError, Invalid, NotFound
from g2disk.stores.store import DiskEntry, Store
from g2disk.units import DEFAULT_DISK

_URL = re.compile(r"(?P<where>[^:?]+\.py|[A-Za-z_][\w.]*):(?P<what>[A-Za-z_]\w*)(?:\?(?P<arguments>.*))?")


def names_python(url: str) -> bool:
    """Whether `url` has the form module:NAME or FILE.py:NAME, with or without ?key=value&…"""
    return _URL.fullmatch(url) is not None


async def load_python(url: str) -> Store:
    """The store that `url` names: what is called there with the arguments of the query, as strings, must give a disk
    (see `g2disk.disk.plain.adapt`) or a `Store`.  Raises `Invalid`, or the `DiskError` that the call raised.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise Invalid(f"'{url}' does not name a disk; write module:Class or FILE.py:Class")
    module = _load_file(Path(match["where"])) if match["where"].endswith(".py") else _load_module(match["where"])
    make = getattr(module, match["what"], None)
    if not callable(make):
        raise Invalid(f"there is no class or function {match['what']} in {match['where']}; see how it is spelled")
    arguments = dict(parse_qsl(match["arguments"] or "", keep_blank_values=True))
    try:
        made = make(**arguments)
        if inspect.isawaitable(made):
            made = await made
    except DiskError:
        raise
    except TypeError as error:
        raise Invalid(f"{url}: {error}; arguments are given as {match['what']}?name=value&name=value") from error
    except Exception as error:
        raise _unloadable(match["what"], error) from error
    if isinstance(made, Store):
        return made
    return PythonStore(url, adapt(made))


class PythonStore(Store):
    """A store of one disk, called "default"."""

    def __init__(self, url: str, disk: Disk) -> None:
        self.url = url
        self._disk = disk

    async def list(self) -> Sequence[DiskEntry]:
        """The one disk."""
        info = self._disk.info()
        return [DiskEntry(DEFAULT_DISK, info.size, info.identity, 0, info.read_only, info.description)]

    async def open(self, name: str) -> Disk:
        """The one disk."""
        if name != DEFAULT_DISK:
            raise NotFound(f"{self.url} has one disk, {DEFAULT_DISK!r}; there is no {name!r}")
        return self._disk

    async def close(self) -> None:
        """Flush and close the disk."""
        if not self._disk.info().read_only:
            await self._disk.flush()
        await self._disk.close()


def _unloadable(what: str | Path, error: Exception) -> Invalid:
    return Invalid(f"{what} cannot be loaded: {type(error).__name__}: {error}; mend it, or install what it needs")


def _load_module(name: str) -> Any:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Invalid(f"cannot import {name}: {error}; run where the module is found, or give its file") from error
    except Exception as error:
        raise _unloadable(name, error) from error
    finally:
        sys.path.remove("")


def _load_file(path: Path) -> Any:
    name = f"g2disk_user_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise Invalid(f"there is no file {path}; give the path of a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.append(str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _unloadable(path, error) from error
    return module
