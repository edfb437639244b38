"""Who is compared: the stdlib's sqlite3 on two libraries, apsw, and wasqlite; and what workloads ask of any of them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import data
import tpch
from scale import Scale


@dataclass(frozen=True)
class Contender:
    """A module in an environment."""

    name: str
    module: str
    title: str
    native: bool = False
    """Whether its process loads the native library of ``native.py``."""


NATIVE = Contender("native", "sqlite3", "sqlite3, same SQLite, gcc -O2", native=True)
SUBJECT = Contender("wasqlite", "wasqlite", "wasqlite")
CONTENDERS = {
    contender.name: contender
    for contender in (
        NATIVE,
        Contender("stdlib", "sqlite3", "sqlite3 as installed"),
        Contender("apsw", "apsw", "apsw"),
        SUBJECT,
    )
}


class NotBuilt(Exception):
    """The driver does not have what the workload is about."""


@cache
def apsw_connection() -> Any:
    """apsw's connection with the two methods that it does not have, so that all run the same code."""
    import apsw

    class Connection(apsw.Connection):
        def commit(self) -> None:
            if self.in_transaction:
                self.execute("COMMIT")

        def create_function(self, name: str, parameters: int, function: Any) -> None:
            self.create_scalar_function(name, function, parameters)

    return Connection


class Driver:
    """One contender in its own process, with databases in memory that are filled when they are first asked for."""

    def __init__(self, contender: Contender, scale: Scale) -> None:
        self.contender = contender
        self.scale = scale
        self.module = importlib.import_module(contender.module)
        self.connect: Any = apsw_connection() if contender.module == "apsw" else self.module.connect

    def needs(self, owner: Any, name: str) -> Any:
        """An attribute that workloads are about; it may not be there."""
        found = getattr(owner, name, None)
        if found is None:
            raise NotBuilt(f"{self.contender.module} has no {name}")
        return found

    def begin(self, connection: Any) -> None:
        """Where a transaction does not begin by itself, as PEP 249 has it: begin one."""
        if self.contender.module == "apsw":
            connection.execute("BEGIN")

    def identity(self) -> dict[str, str]:
        """Which SQLite this really is."""
        connection = self.connect(":memory:")
        row = connection.execute("SELECT sqlite_version(), sqlite_source_id()").fetchone()
        connection.close()
        return {"sqlite_version": row[0], "source_id": row[1]}

    def filled(self, schema: str, table: str, rows: data.Rows) -> Any:
        """A connection to a database in memory with this table."""
        connection = self.connect(":memory:")
        connection.execute(schema)
        self.begin(connection)
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        connection.commit()
        return connection

    @cached_property
    def numbers(self) -> Any:
        return self.filled(data.NUMBERS, "numbers", data.number_rows(self.scale.numbers))

    @cached_property
    def flights(self) -> Any:
        return self.filled(data.FLIGHTS, "flights", data.flight_rows(self.scale.flights))

    @cached_property
    def tpch(self) -> Any:
        connection = self.connect(":memory:")
        tpch.load(connection, tpch.prepare(self.scale.tpch) / "tpch.db")
        return connection

    def close(self) -> None:
        for name in ("numbers", "flights", "tpch"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()
