"""The short form of the stress test; ``make stress`` runs the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["DELETE", "TRUNCATE", "WAL"])
def test_nothing_is_lost_between_native_and_wasqlite_processes(mode):
    done = subprocess.run(
        [sys.executable, str(RUN), mode, "--seconds", "6"], capture_output=True, text=True, timeout=300
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
