"""kill -9 in the middle of transactions: either side recovers the file, and nothing committed is lost."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time

import pytest

import wasqlite

ROUNDS = 50
ROWS = 400

# One transaction after the other, each with its number and ROWS rows. A tiny cache makes SQLite write pages to the file
# long before the commit, so that a kill leaves a hot journal that matters.
WRITER = f"""
import importlib, sys
module = importlib.import_module(sys.argv[4])
con = module.connect(sys.argv[1], isolation_level=None)
con.execute("PRAGMA cache_size = 5")
con.execute("PRAGMA journal_mode = " + sys.argv[2])
con.execute("PRAGMA wal_autocheckpoint = 60")  # so that kills meet checkpoints as well
number = int(sys.argv[3])
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


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["DELETE", "TRUNCATE", "PERSIST", "WAL"])
def test_a_killed_writer_loses_nothing(tmp_path, mode):
    path, random_ = tmp_path / "crash.db", random.Random(mode)
    journal, log = tmp_path / "crash.db-journal", tmp_path / "crash.db-wal"
    con = sqlite3.connect(path)
    con.executescript("CREATE TABLE total (n); INSERT INTO total VALUES (0); CREATE TABLE row (tx, payload)")
    con.close()
    number = 0
    hot = 0
    for i in range(ROUNDS if mode in ("DELETE", "WAL") else ROUNDS // 5):
        writing = sqlite3 if mode == "WAL" and i % 4 > 1 else wasqlite
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), mode, str(number), writing.__name__],
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
        for line in rest.splitlines():
            if line.startswith("commit"):
                number = int(line.split()[1])
        if mode == "WAL":
            hot += log.exists() and log.stat().st_size > 0
        else:
            hot += journal.exists() and journal.read_bytes()[:8] == bytes.fromhex("d9d505f920a163d7")
        number = check([sqlite3, wasqlite][i % 2], path, number)
        assert check([wasqlite, sqlite3][i % 2], path, number) == number
    assert hot > 3, "the kills must meet transactions that are half written"
