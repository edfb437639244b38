"""What the README shows is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import wasqlite
from wasqlite.bridge.builder import build, parse_configuration

README = Path(__file__).resolve().parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def run(example: str, folder: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", example]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_example_of_the_driver(tmp_path: Path) -> None:
    example, _ = blocks("python")
    for _ in range(2):  # the second time on the file that the first one left
        assert "Ada 36" in run(example + "\ncon.close()", tmp_path)


def test_the_example_of_the_bridge(tmp_path: Path) -> None:
    # The C library is the one of docs/bridge.md.
    _, example = blocks("python")
    page = (README.parent / "docs" / "bridge.md").read_text(encoding="utf-8")
    sources = dict(re.findall(r"^`c/([\w./]+)`\n\n```\w+\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    (tmp_path / "c").mkdir()
    for name, text in sources.items():
        (tmp_path / "c" / name).write_text(text, encoding="utf-8")
    configuration = {"name": "tally", "output": ".", "sources": ["c/tally.c"], "headers": ["c/tally.h"]}
    build(parse_configuration(tmp_path, configuration))
    assert run(example, tmp_path) == "4 4.0\n"


def test_the_version_is_the_one_that_is_named() -> None:
    assert f"SQLite {wasqlite.sqlite_version}" in README.read_text(encoding="utf-8")
