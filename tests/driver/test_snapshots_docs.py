"""What docs/snapshots.md shows is run as it stands there: the program, and the fixture with its tests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "snapshots.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_examples_print_what_they_say(tmp_path: Path) -> None:
    program = BLOCKS[0]
    expected = re.findall(r"# prints (.*)$", program, re.MULTILINE)
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert len(expected) == 4
    assert result.stdout.splitlines() == expected


@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_the_fixture_works(tmp_path: Path, order: str) -> None:
    conftest, tests = BLOCKS[1:]
    if order == "backwards":
        conftest += "\n\ndef pytest_collection_modifyitems(items):\n    items.reverse()\n"
    for text in (conftest, tests):
        name = text.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "."]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 passed" in result.stdout
