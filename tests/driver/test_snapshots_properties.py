"""Random lives of connections that are snapshotted, restored and cloned, beside a model: the stdlib and its bytes."""

from __future__ import annotations

import random
import sqlite3
from typing import Any

import pytest

import wasqlite
from wasqlite.snapshots import Snapshot

QUERIES = (
    "SELECT count(*), sum(a), sum(length(b)) FROM t",
    "SELECT a, b, c FROM t ORDER BY a LIMIT 20",
    "SELECT c, count(*) FROM t GROUP BY c ORDER BY c",
    "SELECT a FROM t WHERE b > 'm' ORDER BY b, a LIMIT 10",
    "SELECT name FROM sqlite_schema ORDER BY name",
)


class Pair:
    """A connection and its model, which must agree."""

    def __init__(self, ours: wasqlite.Connection, theirs: sqlite3.Connection) -> None:
        self.ours, self.theirs = ours, theirs

    def run(self, sql: str, parameters: tuple[Any, ...] = ()) -> None:
        outcomes = []
        for con, error in ((self.ours, wasqlite.Error), (self.theirs, sqlite3.Error)):
            try:
                outcomes.append(("rows", con.execute(sql, parameters).fetchall()))  # type: ignore[attr-defined]
            except error as raised:
                outcomes.append((type(raised).__name__, str(raised)))
        assert outcomes[0] == outcomes[1], sql

    def commit(self) -> None:
        self.ours.commit()
        self.theirs.commit()

    def check(self) -> None:
        for sql in QUERIES:
            self.run(sql)
        self.run("PRAGMA integrity_check")
        assert self.ours.in_transaction == self.theirs.in_transaction

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


def model(data: bytes) -> sqlite3.Connection:
    con = sqlite3.connect(":memory:")
    con.deserialize(data)
    return con


@pytest.mark.parametrize("seed", range(12))
def test_a_random_life(seed: int) -> None:
    chance = random.Random(seed)
    pairs = [Pair(wasqlite.connect(":memory:"), sqlite3.connect(":memory:"))]
    taken: list[tuple[Snapshot[wasqlite.Connection], bytes]] = []
    pairs[0].run("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c INTEGER)")
    pairs[0].commit()
    for _ in range(120):
        pair = chance.choice(pairs)
        action = chance.randrange(12)
        if action < 4:
            size = chance.choice((1, 10, 500))
            for _ in range(chance.choice((1, 5, 40))):
                text = chance.choice("abcxyz") * chance.randrange(size)
                pair.run("INSERT INTO t(b, c) VALUES (?, ?)", (text, chance.randrange(5)))
            pair.commit()
        elif action == 4:
            pair.run("DELETE FROM t WHERE c = ?", (chance.randrange(5),))
            pair.commit()
        elif action == 5:
            pair.run("UPDATE t SET b = b || ?, c = c + 1 WHERE a % 3 = ?", ("q" * 100, chance.randrange(3)))
            pair.commit()
        elif action == 6:
            pair.run(chance.choice(("CREATE INDEX i ON t(b)", "DROP INDEX i", "VACUUM", "ALTER TABLE t ADD COLUMN d")))
        elif action == 7:
            taken.append((pair.ours.snapshot(), pair.theirs.serialize()))
        elif action == 8 and taken:
            snapshot, data = chance.choice(taken)
            pair.ours.restore(snapshot)
            pair.theirs.close()
            pair.theirs = model(data)
        elif action == 9 and len(pairs) < 6:
            pairs.append(Pair(pair.ours.clone(), model(pair.theirs.serialize())))
        elif action == 10 and taken and len(pairs) < 6:
            snapshot, data = chance.choice(taken)
            pairs.append(Pair(snapshot.connect(), model(data)))
        elif len(pairs) > 1:
            pairs.remove(pair)
            pair.close()
            continue
        pair.check()
    for pair in pairs:
        pair.check()
        pair.close()
