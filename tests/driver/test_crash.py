"""kill -9 in the middle of transactions: the other side recovers the file, and nothing committed is lost.

``make crash`` runs the long form: 200 rounds in every journal mode.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import wasqlite

MODES = ["DELETE", "TRUNCATE", "PERSIST", "WAL"]
ROUNDS = int(os.environ.get("WASQLITE_CRASH_ROUNDS", "24"))
ROWS = 400
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
SIDES = [sqlite3, wasqlite]

# One transaction after the other, each with its number and ROWS rows. A tiny cache makes SQLite write pages to the file
# long before the commit, so that a kill leaves a hot journal that matters.
WRITER = f"""
import importlib, sys
con = importlib.import_module(sys.argv[1]).connect(sys.argv[2], isolation_level=None)
con.execute("PRAGMA cache_size = 5")
con.execute("PRAGMA journal_mode = " + sys.argv[3])
con.execute("PRAGMA wal_autocheckpoint = 60")  # so that kills meet checkpoints as well
number = int(sys.argv[4])
while True:
    number += 1
    con.execute("BEGIN")
    print("begin", number, flush=True)
    con.execute("UPDATE total SET n = n + 1")
    con.executemany("INSERT INTO row VALUES (?, ?)", [(number, "x" * 300)] * {ROWS})
    con.execute("DELETE FROM row WHERE tx = ?", (number - 5,))
    con.execute("COMMIT")
    print("commit", number, flush=True)
"""


def check(module, path, acknowledged):
    """The last transaction that the file holds, after whatever recovery it needs."""
    con = module.connect(path)
    total = con.execute("SELECT n FROM total").fetchone()[0]
    assert acknowledged <= total <= acknowledged + 1
    held = con.execute("SELECT tx, count(*) FROM row GROUP BY tx ORDER BY tx").fetchall()
    assert held == [(tx, ROWS) for tx in range(max(1, total - 4), total + 1)]
    assert con.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    con.close()
    return total


def crash(module, path, mode, number, random_):
    """Kill a writer somewhere in its transactions. The number of the last one that it said was committed."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, module.__name__, str(path), mode, str(number)],
        stdout=subprocess.PIPE,
        text=True,
    )
    begins = random_.randint(1, 3)
    while begins:
        word = writer.stdout.readline().split()
        assert word, "the writer failed by itself"
        if word[0] == "begin":
            begins -= 1
        else:
            number = int(word[1])
    time.sleep(random_.uniform(0, 0.02))
    writer.kill()
    rest, _ = writer.communicate()
    for line in rest.splitlines(keepends=True):
        # With PYTHONUNBUFFERED a line is written in pieces: what was cut off by the kill acknowledges nothing.
        if line.startswith("commit") and line.endswith("\n"):
            number = int(line.split()[1])
    return number


def is_hot(path):
    """Whether the kill left something to recover."""
    journal, wal = Path(f"{path}-journal"), Path(f"{path}-wal")
    if wal.exists() and wal.stat().st_size:
        return True
    return journal.exists() and journal.read_bytes()[:8] == JOURNAL_MAGIC


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * ROUNDS)
@pytest.mark.parametrize("mode", MODES)
def test_a_killed_writer_loses_nothing(tmp_path, mode):
    path, seed = tmp_path / "crash.db", os.environ.get("WASQLITE_CRASH_SEED", mode)
    print("seed", seed)
    random_ = random.Random(seed)
    con = sqlite3.connect(path)
    con.execute(f"PRAGMA journal_mode = {mode}")
    con.executescript("CREATE TABLE total (n); INSERT INTO total VALUES (0); CREATE TABLE row (tx, payload)")
    con.close()
    number = 0
    hot = dict.fromkeys(SIDES, 0)
    for i in range(ROUNDS):
        killed, recovering = SIDES[i % 2], SIDES[1 - i % 2]
        number = crash(killed, path, mode, number, random_)
        hot[killed] += is_hot(path)
        number = check(recovering, path, number)
        assert check(killed, path, number) == number
    left = ", ".join(f"{module.__name__} {count}" for module, count in hot.items())
    print(f"{mode}: {ROUNDS} rounds; killed with something to recover: {left}; lost: 0")
    assert min(hot.values()) > ROUNDS // 20, "the kills must meet transactions that are half written"
