"""Makes ``import sqlite3`` mean wasqlite in a process and in its children: a ``.pth`` file imports this."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class Alias(MetaPathFinder, Loader):
    """Finds wasqlite's module, the same object, under the stdlib's name.

    Not ``sqlite3.__main__``, which the package's path leads to: ``python -m`` needs a loader that has its code.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in ("sqlite3", "_sqlite3") or (name.startswith("sqlite3.") and name != "sqlite3.__main__"):
            return ModuleSpec(name, self)
        return None

    def exec_module(self, module: ModuleType) -> None:
        _, _, rest = module.__name__.partition(".")
        sys.modules[module.__name__] = importlib.import_module(f"wasqlite.{rest}" if rest else "wasqlite")


sys.meta_path.insert(0, Alias())
