"""Small C projects for the builder, built by the real compiler."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wasqlite.bridge.builder import Outputs, build


class Project:
    """A folder with C files and a pyproject.toml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, text: str) -> Project:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return self

    def configure(self, table: str, project: str = 'name = "point"\nversion = "1"') -> Project:
        """Write pyproject.toml with this ``[tool.wasqlite-bridge]``."""
        return self.write("pyproject.toml", f"[project]\n{project}\n\n[tool.wasqlite-bridge]\n{table}\n")

    def build(self) -> Outputs:
        return build(self.folder)

    def table(self) -> dict[str, Any]:
        """Build, and return the layout table."""
        return _read_table(self.build())


def _read_table(outputs: Outputs) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(outputs.types.read_bytes())
    return table


@pytest.fixture(scope="session")
def make_project() -> Callable[[Path], Project]:
    """For fixtures with a scope of their own."""
    return Project


@pytest.fixture(scope="session")
def read_table() -> Callable[[Outputs], dict[str, Any]]:
    """Read a layout table."""
    return _read_table


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")
