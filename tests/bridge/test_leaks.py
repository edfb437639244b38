"""Cycles of calls, exceptions, callbacks, opening and closing leave nothing behind; ``make leaks`` makes more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / "leaks.py"
sys.path.append(str(PROGRAM.parent))
from leaks import KINDS  # noqa: E402

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_leaks(kind):
    result = subprocess.run([sys.executable, PROGRAM, "3000", kind], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
