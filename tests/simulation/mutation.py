"""Bugs that are put into the source of real modules, to see whether tests find them."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug."""

    name: str
    module: str
    old: str
    new: str

    def source(self, source: str) -> str:
        """The module's source with the bug.  Raises `LookupError` where the place is not found, or not only once."""
        if source.count(self.old) != 1:
            raise LookupError(f"{self.name}: {self.module} has {source.count(self.old)} times {self.old!r}; update it")
        return source.replace(self.old, self.new)


class _Loader(SourceFileLoader):
    """Compiles the source with the bug."""

    def __init__(self, mutant: Mutant, path: str) -> None:
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType | None:
        source = self.get_data(self.path).decode()
        return compile(self._mutant.source(source), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._mutant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.origin is not None
        return importlib.util.spec_from_file_location(name, spec.origin, loader=_Loader(self._mutant, spec.origin))


def install(mutant: Mutant) -> None:
    """Have the bug in this process, which has not imported the module yet."""
    if mutant.module in sys.modules:
        raise RuntimeError(f"{mutant.module} is imported already; run each mutant in a process of its own")
    sys.meta_path.insert(0, _Finder(mutant))
