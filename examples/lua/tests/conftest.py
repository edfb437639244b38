"""Build the example where it is, and let the tests import it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from wasqlite.bridge.builder import BuildError, build

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The example's folder, with the module built."""
    try:
        build(PROJECT)
    except BuildError as error:
        if "pip download" in str(error):
            pytest.skip(f"Lua's sources cannot be fetched: {error}")
        raise
    return PROJECT


@pytest.fixture(scope="session")
def sandboxed_lua(project: Path) -> Any:
    """The package."""
    sys.path.insert(0, str(project))
    try:
        return importlib.import_module("sandboxed_lua")
    finally:
        sys.path.remove(str(project))
