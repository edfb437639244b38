"""The properties of ``oracle_properties.py``, each in a process whose stdlib module is on our SQLite's own source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROPERTIES = Path(__file__).with_name("oracle_properties.py")
NAMES = [
    node.name
    for node in ast.parse(PROPERTIES.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
]


@pytest.fixture(scope="module")
def library() -> str:
    """The folder of the native library; a process of its own makes it, as its modules are scripts."""
    made = subprocess.run([sys.executable, ROOT / "bench" / "native.py"], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(made.stderr.strip()[-300:])
    return made.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", NAMES)
def test_property(name: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", library)
    child = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{PROPERTIES}::{name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stdout[-8000:] + child.stderr[-2000:]
    assert "1 passed" in child.stdout
