"""Compile C sources to a wasm module that the bridge runs, with the table that describes its types.

``build(folder)`` does what ``python -m wasqlite.bridge build`` does. docs/bridge-builder.md is the reference.
"""

from __future__ import annotations

from wasqlite.bridge.builder.config import Configuration, parse_configuration, read_configuration
from wasqlite.bridge.builder.module import Outputs, build
from wasqlite.bridge.builder.report import BuildError

__all__ = ["BuildError", "Configuration", "Outputs", "build", "parse_configuration", "read_configuration"]
