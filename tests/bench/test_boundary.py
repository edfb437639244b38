"""The benchmark of the bridge's calls runs, and everything in it is called; what it measures is not looked at."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cffi")
BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="compares with native code, which gcc makes")
def test_every_row_has_a_number_of_every_subject():
    result = subprocess.run([sys.executable, str(BENCH / "boundary.py"), "1"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    rows = [line for line in result.stdout.splitlines() if "(" in line and not line.startswith("microseconds")]
    assert len(rows) == 8
    assert all(row.count("(") - ("(1 of" in row or "(2, 3)" in row) == 3 for row in rows)
    assert sum(" -" in row for row in rows) == 2
