"""What the README shows is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import wasqlite

README = Path(__file__).resolve().parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_python_examples_run(tmp_path: Path) -> None:
    examples = blocks("python")
    assert examples
    for example in examples:
        for _ in range(2):  # the second time on the files that the first one left
            result = subprocess.run(
                [sys.executable, "-W", "error", "-c", example + "\ncon.close()"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
            )
            assert result.returncode == 0, result.stderr
            assert "Ada 36" in result.stdout


def test_the_version_is_the_one_that_is_named() -> None:
    assert f"SQLite {wasqlite.sqlite_version}" in README.read_text(encoding="utf-8")
