"""The workloads, each with its target: one table of all of them, at the end.

A workload's function prepares what it needs and returns the piece that is timed, as a `Timed`. The same code runs for
each driver.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import data
import tpch
from contenders import Driver, NotBuilt

READ_NUMBERS = "SELECT id, name, value FROM numbers"
READ_FLIGHTS = "SELECT * FROM flights"
INSERT_NUMBER = "INSERT INTO numbers VALUES (?, ?, ?)"


@dataclass
class Timed:
    """What is timed, and around it what is not."""

    run: Callable[[], Any]
    operations: int = 1
    before: Callable[[], None] = lambda: None
    plain: Callable[[Any], Any] | None = list
    """What a run returned, as values that must be the same for all contenders; None where `check` has looked at it."""
    check: Callable[[Any], bool] = lambda result: True
    close: Callable[[], None] = lambda: None
    calibrate: bool = False
    """Run several times per turn if one run is too short for the clock; it must leave nothing behind."""


# -- fetching ----------------------------------------------------------------------------------------------------------


def fetchall_numbers(driver: Driver) -> Timed:
    execute = driver.numbers.execute
    return Timed(lambda: execute(READ_NUMBERS).fetchall())


def fetchall_flights(driver: Driver) -> Timed:
    execute = driver.flights.execute
    return Timed(lambda: execute(READ_FLIGHTS).fetchall())


def iterate_flights(driver: Driver) -> Timed:
    execute = driver.flights.execute

    def run() -> tuple[int, int]:
        count = minutes = 0
        for row in execute(READ_FLIGHTS):
            count += 1
            minutes += row[14] or 0
        return count, minutes

    return Timed(run)


def fetchall_row(driver: Driver) -> Timed:
    connection, factory = driver.flights, driver.needs(driver.module, "Row")

    def run() -> list[Any]:
        cursor = connection.cursor()
        cursor.row_factory = factory
        rows: list[Any] = cursor.execute(READ_FLIGHTS).fetchall()
        return rows

    return Timed(run, plain=lambda rows: [tuple(row) for row in rows])


def fetchone_flights(driver: Driver) -> Timed:
    execute = driver.flights.execute

    def run() -> int:
        fetchone = execute(READ_FLIGHTS).fetchone
        count = 0
        while fetchone() is not None:
            count += 1
        return count

    return Timed(run, plain=lambda count: [count])


# -- executing ---------------------------------------------------------------------------------------------------------


def executemany(schema: str, table: str, rows: data.Rows, driver: Driver) -> Timed:
    connection = driver.connect(":memory:")
    marks = ", ".join("?" * len(rows[0]))

    def before() -> None:
        connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(schema)
        connection.commit()
        driver.begin(connection)

    def run() -> None:
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        connection.commit()

    return Timed(
        run,
        before=before,
        plain=lambda _: list(connection.execute(f"SELECT * FROM {table}")),
        close=connection.close,
    )


def executemany_numbers(driver: Driver) -> Timed:
    return executemany(data.NUMBERS, "numbers", data.number_rows(driver.scale.numbers), driver)


def executemany_flights(driver: Driver) -> Timed:
    return executemany(data.FLIGHTS, "flights", data.flight_rows(driver.scale.flights), driver)


def point_select(driver: Driver) -> Timed:
    execute = driver.numbers.execute
    keys = random.Random(1).choices(range(1, driver.scale.numbers + 1), k=driver.scale.points)

    def run() -> list[Any]:
        return [execute("SELECT name, value FROM numbers WHERE id = ?", (key,)).fetchone() for key in keys]

    return Timed(run, operations=len(keys))


def insert_in_transaction(driver: Driver) -> Timed:
    connection = driver.connect(":memory:")
    rows = data.number_rows(driver.scale.numbers)[: driver.scale.inserts]

    def before() -> None:
        connection.commit()
        connection.execute("DROP TABLE IF EXISTS numbers")
        connection.execute(data.NUMBERS)
        connection.commit()
        driver.begin(connection)
        connection.execute(INSERT_NUMBER, (-1, "opens the transaction", 0.0))

    def run() -> None:
        execute = connection.execute
        for row in rows:
            execute(INSERT_NUMBER, row)

    return Timed(
        run,
        operations=len(rows),
        before=before,
        plain=lambda _: list(connection.execute("SELECT * FROM numbers")),
        close=connection.close,
    )


def insert_and_commit(driver: Driver) -> Timed:
    folder = tempfile.TemporaryDirectory(prefix="wasqlite-bench-")
    connection = driver.connect(f"{folder.name}/commits.db")
    assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    connection.execute("PRAGMA synchronous = NORMAL")
    rows = data.number_rows(driver.scale.numbers)[: driver.scale.commits]

    def before() -> None:
        connection.execute("DROP TABLE IF EXISTS numbers")
        connection.execute(data.NUMBERS)
        connection.commit()
        # Each turn begins with an empty WAL, and so with its checkpoints at the same places.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close() -> None:
        connection.close()
        folder.cleanup()

    def run() -> None:
        begin, execute, commit = driver.begin, connection.execute, connection.commit
        for row in rows:
            begin(connection)
            execute(INSERT_NUMBER, row)
            commit()

    return Timed(
        run,
        operations=len(rows),
        before=before,
        plain=lambda _: list(connection.execute("SELECT * FROM numbers")),
        close=close,
    )


# -- in the guest and back ---------------------------------------------------------------------------------------------


def scalar_function(driver: Driver) -> Timed:
    connection = driver.numbers
    driver.needs(connection, "create_function")("twice", 1, lambda value: value * 2)
    count = driver.scale.calls // 2  # two calls per row
    # Not the sum of floats: SQLite has changed how it rounds it.
    sql = "SELECT sum(twice(id)), max(twice(value)) FROM numbers WHERE id <= ?"
    return Timed(lambda: connection.execute(sql, (count,)).fetchall(), operations=2 * count)


@cache
def tpch_queries(scale: float) -> Any:
    return json.loads((tpch.prepare(scale) / "queries.json").read_text())


def tpch_query(number: int, driver: Driver) -> Timed:
    connection, query = driver.tpch, tpch_queries(driver.scale.tpch)[str(number)]
    sql = query["sql"]
    return Timed(
        lambda: connection.execute(sql).fetchall(),
        plain=None,
        check=lambda rows: tpch.same(rows, query["answer"]),
        calibrate=True,
    )


# -- columns -----------------------------------------------------------------------------------------------------------


def fetch_numpy(driver: Driver) -> Timed:
    import numpy

    connection, sql = driver.numbers, "SELECT id, value FROM numbers"
    types = {"id": "int64", "value": "float64"}

    def stdlib() -> Any:
        # The fastest of the ways by fetchall that were tried; numpy.array(column) takes up to twice as long.
        rows = connection.execute(sql).fetchall()
        return {
            name: numpy.fromiter((row[i] for row in rows), kind, len(rows))
            for i, (name, kind) in enumerate(types.items())
        }

    def ours() -> Any:
        return connection.execute(sql).fetch_numpy()

    if driver.contender.module == "wasqlite":
        driver.needs(connection.cursor(), "fetch_numpy")
    return Timed(
        ours if driver.contender.module == "wasqlite" else stdlib,
        plain=lambda arrays: [[name, str(array.dtype), array.tolist()] for name, array in arrays.items()],
    )


def fetch_arrow(driver: Driver) -> Timed:
    import pyarrow

    connection = driver.flights
    kinds = {"INTEGER": pyarrow.int64(), "TEXT": pyarrow.string()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in data.FLIGHT_COLUMNS.items()])

    def stdlib() -> Any:
        rows = connection.execute(READ_FLIGHTS).fetchall()
        return pyarrow.table({name: [row[i] for row in rows] for i, name in enumerate(schema.names)}, schema=schema)

    def ours() -> Any:
        return pyarrow.table(connection.execute(READ_FLIGHTS).fetch_arrow())

    if driver.contender.module == "wasqlite":
        driver.needs(connection.cursor(), "fetch_arrow")
    return Timed(
        ours if driver.contender.module == "wasqlite" else stdlib,
        plain=lambda table: [table.column_names, *(column.to_pylist() for column in table.columns)],
    )


# -- starting ----------------------------------------------------------------------------------------------------------


def connect_and_close(driver: Driver) -> Timed:
    connect = driver.connect

    def run() -> Any:
        connection = connect(":memory:")
        row = connection.execute("SELECT 1").fetchone()
        connection.close()
        return row

    return Timed(run, calibrate=True)


def memory_per_connection(driver: Driver) -> Timed:
    """Not a time: MiB of resident memory."""
    page = os.sysconf("SC_PAGE_SIZE")
    kept = []

    def opened() -> None:
        connection = driver.connect(":memory:")
        connection.execute("CREATE TABLE t (a, b)")
        connection.execute("INSERT INTO t VALUES (1, 'one')")
        kept.append(connection)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * page

    def run() -> float:
        start = resident()
        for _ in range(driver.scale.opened):
            opened()
        return (resident() - start) / driver.scale.opened / 2**20

    def close() -> None:
        for connection in kept:
            connection.close()

    opened()  # what a process has once is not counted
    return Timed(run, plain=None, close=close)


# -- the table ---------------------------------------------------------------------------------------------------------

RATIO, MILLISECONDS, MEBIBYTES = "ratio", "ms", "MiB"
FETCH, EXECUTE, QUERY, COLUMNS, START = "Fetch", "Execute", "Query", "Columns", "Start and memory"


@dataclass(frozen=True)
class Workload:
    """A row of the table. ``run`` is a function of this file, or the name of what ``programs.py`` measures."""

    name: str
    title: str
    group: str
    target: float | None
    run: Callable[[Driver], Timed] | str | None = None
    unit: str = RATIO
    """Of measured and target: wasqlite's time by native's, or wasqlite's own figure."""
    fresh: bool = False
    """Each turn in a new process, and what ``run`` returns is the figure."""
    part_of: str = ""
    """The row, not measured itself, that is the geometric mean of its parts."""


WORKLOADS = (
    Workload("fetchall", "fetchall, 500k rows int/text/float", FETCH, 0.40, fetchall_numbers, part_of="mean"),
    Workload("fetchall-flights", "fetchall, flights (19 columns)", FETCH, 0.60, fetchall_flights, part_of="mean"),
    Workload("iterate", "for row in cursor, flights", FETCH, 0.70, iterate_flights, part_of="mean"),
    Workload("row", "fetchall as Row, flights", FETCH, 0.90, fetchall_row, part_of="mean"),
    Workload("fetchone", "fetchone loop, flights", FETCH, 1.3, fetchone_flights, part_of="mean"),
    Workload("executemany", "executemany, 500k rows", EXECUTE, 0.75, executemany_numbers, part_of="mean"),
    Workload("executemany-flights", "executemany, flights", EXECUTE, 0.85, executemany_flights, part_of="mean"),
    Workload("select", "SELECT by key, execute + fetchone", EXECUTE, 2.2, point_select, part_of="mean"),
    Workload("insert", "INSERT of one row in a transaction", EXECUTE, 2.2, insert_in_transaction, part_of="mean"),
    Workload("commit", "INSERT + commit on a file, WAL", EXECUTE, 1.6, insert_and_commit, part_of="mean"),
    Workload("function", "scalar user function, 1M calls", QUERY, 2.5, scalar_function),
    Workload("tpch", "TPC-H, geometric mean", QUERY, 1.5),
    *(
        Workload(f"tpch-{n:02}", f"TPC-H query {n}", QUERY, None, partial(tpch_query, n), part_of="tpch")
        for n in tpch.QUERIES
    ),
    Workload("speedtest1", "speedtest1 in memory, total", QUERY, 1.45, "speedtest1"),
    Workload("speedtest1-file", "speedtest1 on a file, total", QUERY, 1.9, "speedtest1-file"),
    Workload("numpy", "fetch_numpy (by fetchall + arrays)", COLUMNS, 0.15, fetch_numpy),
    Workload("arrow", "fetch_arrow, flights (by fetchall + table)", COLUMNS, 0.20, fetch_arrow),
    Workload("connect", "connect + first query + close", START, 1.0, connect_and_close, unit=MILLISECONDS),
    Workload("process", "process: import, connect, query", START, 2.5, "process"),
    Workload("memory", "memory per further connection", START, 0.4, memory_per_connection, unit=MEBIBYTES, fresh=True),
    Workload("mean", "geometric mean of Fetch and Execute", "Together", 1.0),
)

__all__ = ["WORKLOADS", "NotBuilt", "Timed", "Workload"]
