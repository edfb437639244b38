"""Modules under the names of others, in this process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class Alias(MetaPathFinder, Loader):
    """Finds our modules, the same objects, under the stdlib's names; those below them too.

    Not ``sqlite3.__main__``, which the package's path leads to: ``python -m`` needs a loader that has its code.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] in self._names and not name.endswith(".__main__"):
            return ModuleSpec(name, self)
        return None

    def exec_module(self, module: ModuleType) -> None:
        first, _, rest = module.__name__.partition(".")
        ours = self._names[first]
        sys.modules[module.__name__] = importlib.import_module(f"{ours}.{rest}" if rest else ours)
