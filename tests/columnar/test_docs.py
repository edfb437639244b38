"""What docs/columnar.md shows is run as it stands there, and prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("nanoarrow", "pyarrow", "duckdb"):
    pytest.importorskip(package)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "columnar.md"


def test_the_examples_print_what_they_say(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    program = "\n".join(blocks)
    expected = re.findall(r"# prints (.*)$", program, re.MULTILINE)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program + "\ncon.close()"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert len(expected) >= 10
    assert result.stdout.splitlines() == expected
