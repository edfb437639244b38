"""A part of SQLite's mptest scripts; ``make mptest`` runs all of them in every journal mode."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("modules", ["wasqlite", "wasqlite,sqlite3"])
def test_sqlites_own_processes_agree(mode, modules):
    command = [sys.executable, str(RUN), "crash01.test", "multiwrite01.test", "--modes", mode, "--mixes", modules]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    print(done.stdout)
    if done.returncode == 3:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
