"""Forking a database in memory: snapshot, restore and clone, beside serialize and deserialize, here and in the stdlib.

``python bench/snapshots.py [rows ...]``. Processor time, all in one process, in turn; quote the ratios. Each fork ends
with a look-up by key and an insert in it, since memory that was mapped is paid for when it is touched.
"""

from __future__ import annotations

import itertools
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import wasqlite

ROUNDS = 15
_keys = itertools.count(1 << 40)


def fill(module: Any, rows: int) -> Any:
    """A connection to a table of so many rows, with an index."""
    con = module.connect(":memory:")
    con.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL)")
    con.executemany("INSERT INTO t VALUES (?, ?, ?)", ((n, f"row number {n}", n / 3) for n in range(rows)))
    con.execute("CREATE INDEX i ON t(c)")
    con.commit()
    return con


def use(con: Any, rows: int) -> None:
    """What every fork is used for."""
    assert con.execute("SELECT b FROM t WHERE a = ?", (rows // 2,)).fetchone() == (f"row number {rows // 2}",)
    con.execute("INSERT INTO t VALUES (?, 'x', 1.5)", (next(_keys),))


def deserialized(module: Any, data: bytes) -> Any:
    """A new connection with this content."""
    con = module.connect(":memory:")
    con.deserialize(data)
    return con


def compare(rows: int) -> None:
    """Print the medians of every way, with the ratio to the stdlib's."""
    stdlib, ours, serialized = fill(sqlite3, rows), fill(wasqlite, rows), fill(wasqlite, rows)
    native_bytes, bytes_ = stdlib.serialize(), serialized.serialize()
    taken = ours.snapshot()

    def restored() -> Any:
        ours.restore(taken)
        return ours

    ways: dict[str, Callable[[], Any]] = {
        "stdlib: serialize, connect, deserialize": lambda: deserialized(sqlite3, stdlib.serialize()),
        "stdlib: connect, deserialize": lambda: deserialized(sqlite3, native_bytes),
        "wasqlite: serialize, connect, deserialize": lambda: deserialized(wasqlite, serialized.serialize()),
        "wasqlite: connect, deserialize": lambda: deserialized(wasqlite, bytes_),
        "wasqlite: clone": ours.clone,
        "wasqlite: snapshot.connect": taken.connect,
        "wasqlite: restore": restored,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            con = way()
            use(con, rows)
            times[name].append(time.process_time() - start)
            if con is not ours:
                con.close()
    ours.restore(taken)
    print(f"{rows} rows: a database of {len(native_bytes) / 1e6:.1f} MB, a snapshot of {taken.size / 1e6:.1f} MB")
    medians = {name: statistics.median(found) for name, found in times.items()}
    whole, again = medians["stdlib: serialize, connect, deserialize"], medians["stdlib: connect, deserialize"]
    for name, median in medians.items():
        base = whole if name.endswith(("clone", "serialize, connect, deserialize")) else again
        print(f"  {name:<44} {median * 1e3:8.3f} ms   {median / base:5.2f} of the stdlib's")
    for con in (stdlib, ours, serialized):
        con.close()


def main() -> None:
    """Compare for each number of rows."""
    for rows in [int(argument) for argument in sys.argv[1:]] or [1_000, 10_000, 100_000]:
        compare(rows)


if __name__ == "__main__":
    main()
