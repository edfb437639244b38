"""Whether connections in threads run at the same time: two CPU-bound queries side by side, against one after the other.

The guest runs without the GIL, so with two free processors the ratio nears 0.5; 1.0 means that they took turns.
``python bench/threads.py [rounds]``. Quote the ratio, and how many processors there were.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import threading
import time
from types import ModuleType

import wasqlite

QUERY = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000000) "
    "SELECT count(*), sum(x * 7 % 11), max(abs(x - 1000)) FROM n"
)
THREADS = 2


def query(module: ModuleType, database: str, barrier: threading.Barrier | None = None) -> None:
    """One thread's work: a connection of its own, and the query."""
    con = module.connect(database, uri=True)
    if barrier is not None:
        barrier.wait()
    assert con.execute(QUERY).fetchone()[0] == 3_000_000
    con.close()


def in_turn(module: ModuleType, database: str) -> float:
    """Seconds of wall time of the queries one after the other."""
    start = time.perf_counter()
    for _ in range(THREADS):
        query(module, database)
    return time.perf_counter() - start


def side_by_side(module: ModuleType, database: str) -> float:
    """Seconds of wall time of the queries in a thread each."""
    barrier = threading.Barrier(THREADS + 1)
    threads = [threading.Thread(target=query, args=(module, database, barrier)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


def main() -> None:
    """Print the median of the ratios, for connections of their own and for a shared database in memory."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{THREADS} threads, {os.cpu_count()} processors, side by side / one after the other:")
    for module in (sqlite3, wasqlite):
        for kind, database in (("own", ":memory:"), ("shared", "file:bench?mode=memory&cache=shared")):
            query(module, database)
            ratio = statistics.median(side_by_side(module, database) / in_turn(module, database) for _ in range(rounds))
            print(f"  {module.__name__:9} {kind:7} {ratio:.2f}")


if __name__ == "__main__":
    main()
