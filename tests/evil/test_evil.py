"""Every evil module ends in its documented exception, the process lives on, and so do other instances.

Each runs in a process of its own. ``make evil`` runs them on every Python found, and counts.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("worker.py")
sys.path.append(str(WORKER.parent))
from corpus import EVIL  # noqa: E402


def run(python: str | Path, name: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A case on an interpreter."""
    command = [python, "-X", "faulthandler", "-W", "error", WORKER, name]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVIL)
def test_evil(name):
    child = run(sys.executable, name)
    assert child.returncode == 0, f"{child.stdout}{child.stderr}"
    assert child.stderr == ""
