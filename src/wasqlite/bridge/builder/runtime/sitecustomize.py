"""Loaded at the start of the Pythons that ``pip download`` runs: replaces the build backend of what is downloaded.

pip asks a source distribution's build backend for metadata before it keeps the file. The one here says name and
version, which is all that pip compares, and no code of the package is run.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from types import ModuleType
from typing import Any


class Backend(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds itself in place of the backend that pip's helper is about to import."""

    def __init__(self, module: str, attributes: list[str]) -> None:
        self.module = module
        self.attributes = attributes

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name == self.module or self.module.startswith(name + "."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        for name in self.attributes:
            setattr(module, name, module)
        module.__dict__["get_requires_for_build_wheel"] = lambda config_settings=None: []
        module.__dict__["prepare_metadata_for_build_wheel"] = metadata
        # Never called, but expected to be there.
        module.__dict__["build_wheel"] = metadata


def metadata(directory: str, config_settings: Any = None, *_: Any) -> str:
    """Write the metadata of name==version."""
    name, version = os.environ["WASQLITE_METADATA"].split("==")
    folder = f"{name}-{version}.dist-info"
    os.mkdir(os.path.join(directory, folder))  # noqa: PTH102, PTH118 - as little as possible is imported
    with open(os.path.join(directory, folder, "METADATA"), "w") as file:  # noqa: PTH118, PTH123
        file.write(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder


# What pip's helper process is told by its parent: "module" or "module:attribute.path".
_module, _colon, _attributes = os.environ.get("_PYPROJECT_HOOKS_BUILD_BACKEND", "").partition(":")
if _module and "WASQLITE_METADATA" in os.environ:
    # A backend that the package brings along would come first.
    for _name in [name for name in os.environ if name.startswith("_PYPROJECT_HOOKS_BACKEND_PATH")]:
        del os.environ[_name]
    sys.meta_path.insert(0, Backend(_module, [name for name in _attributes.split(".") if name]))
