"""What the faults strike: transactions on small files, each with everything that a journal mode makes SQLite do."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from steps import Step, restore, write_blob

MODES = ["DELETE", "TRUNCATE", "PERSIST", "WAL", "MEMORY", "OFF"]
"""A further mode is one more word here."""

UNSAFE = frozenset(("MEMORY", "OFF"))
"""Modes in which SQLite promises nothing once an error has struck."""

FILES = ("x.db", "y.db")

SCHEMA = """
PRAGMA page_size = 1024;
CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, b);
CREATE TABLE probe(n);
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 60)
INSERT INTO t(a, b) SELECT x * 7919 % 60, printf('%0250d', x) FROM n;
"""

Transaction = Sequence[str | Step]
"""One statement by itself, or all from BEGIN to COMMIT or ROLLBACK. The last statement is what may commit."""


class Workload:
    """``transactions`` on a connection to x.db that was prepared by ``setup``, over files made by ``prepare``."""

    def __init__(
        self,
        name: str,
        transactions: Sequence[Transaction],
        *,
        setup: Sequence[str] = (),
        prepare: Callable[[Path, str], None] | None = None,
        modes: Sequence[str] | None = None,
    ) -> None:
        self.name = name
        self.transactions = transactions
        self.setup = setup
        self.prepare = prepare or two_files
        self.only = modes

    def modes(self) -> list[str]:
        """The journal modes in which it means something."""
        return [mode for mode in MODES if self.only is None or mode in self.only]


def two_files(folder: Path, mode: str) -> None:
    """x.db and y.db with 60 rows each."""
    for name in FILES:
        con = sqlite3.connect(folder / name, isolation_level=None)
        con.executescript(SCHEMA)
        con.execute(f"PRAGMA journal_mode = {mode}")
        con.close()


def another_y(page_size: int) -> Callable[[Path, str], None]:
    """x.db as ever, and a y.db with more in it and another page size."""

    def prepare(folder: Path, mode: str) -> None:
        two_files(folder, mode)
        con = sqlite3.connect(folder / "y.db", isolation_level=None)
        con.execute("PRAGMA journal_mode = DELETE")  # the page size of a WAL database cannot be changed
        con.execute(f"PRAGMA page_size = {page_size}")
        con.execute("INSERT INTO t(b) SELECT b || 'more' FROM t")
        con.execute("VACUUM")
        con.execute(f"PRAGMA journal_mode = {mode}")
        con.close()

    return prepare


def no_files(folder: Path, mode: str) -> None:
    """Nothing: the files are made by the workload."""


def interrupted(folder: Path, mode: str) -> None:
    """x.db as a process leaves it that dies in the middle of a transaction, with what it has written already."""
    work = folder / "work"
    work.mkdir()
    two_files(work, mode)
    con = sqlite3.connect(work / "x.db", isolation_level=None)
    con.execute("PRAGMA cache_size = 5")
    con.execute(f"PRAGMA journal_mode = {mode}")
    con.execute("INSERT INTO t(b) VALUES ('committed')")
    con.execute("BEGIN")
    con.execute("UPDATE t SET b = printf('%0400d', id)")
    for file in work.iterdir():
        if not file.name.endswith("-shm"):
            shutil.copy(file, folder)
    con.execute("ROLLBACK")
    con.close()
    shutil.rmtree(work)


def interrupted_in_two_files(folder: Path, mode: str) -> None:
    """The same in a transaction over two files, with both journals and no super-journal yet."""
    work = folder / "work"
    work.mkdir()
    two_files(work, mode)
    con = sqlite3.connect(work / "x.db", isolation_level=None)
    con.execute("ATTACH ? AS y", (str(work / "y.db"),))
    for schema in ("main", "y"):
        con.execute(f"PRAGMA {schema}.cache_size = 5")
        con.execute(f"PRAGMA {schema}.journal_mode = {mode}")
    con.execute("BEGIN")
    con.execute("UPDATE t SET b = printf('%0400d', id)")
    con.execute("UPDATE y.t SET b = printf('%0400d', id)")
    for file in work.iterdir():
        if not file.name.endswith("-shm"):
            shutil.copy(file, folder)
    con.execute("ROLLBACK")
    con.close()
    shutil.rmtree(work)


NOT_WAL = [mode for mode in MODES if mode != "WAL"]
SPILL = ("PRAGMA cache_size = 5",)
ATTACH = (*SPILL, "ATTACH '{folder}/y.db' AS y", "PRAGMA y.journal_mode = {mode}")

WORKLOADS = [
    Workload(
        "create and insert",
        [
            ["CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, b)"],
            ["CREATE TABLE probe(n)"],
            ["INSERT INTO t(a, b) VALUES (1, 'one')"],
            ["BEGIN", "INSERT INTO t(a, b) VALUES (2, 'two')", "INSERT INTO t(a, b) VALUES (3, 'three')", "COMMIT"],
        ],
        prepare=no_files,
    ),
    Workload(
        "update with spills",
        [
            ["BEGIN", "UPDATE t SET b = printf('%0300d', id)", "UPDATE t SET a = a + 1000", "COMMIT"],
            ["DELETE FROM t WHERE id % 3 = 0"],
        ],
        setup=SPILL,
    ),
    Workload(
        "rollback and savepoints",
        [
            ["BEGIN", "UPDATE t SET b = printf('%0300d', id)", "ROLLBACK"],
            [
                "BEGIN",
                "DELETE FROM t WHERE id < 30",
                "SAVEPOINT s",
                "UPDATE t SET b = printf('%0350d', id)",
                "ROLLBACK TO s",
                "RELEASE s",
                "COMMIT",
            ],
        ],
        setup=SPILL,
    ),
    Workload(
        "two files",
        [["BEGIN", "UPDATE t SET b = b || 'x' WHERE id < 10", "DELETE FROM y.t WHERE id > 40", "COMMIT"]],
        setup=ATTACH,
    ),
    Workload("vacuum", [["DELETE FROM t WHERE id % 2"], ["VACUUM"]], setup=SPILL),
    Workload(
        "temporary files",
        [
            ["CREATE TEMP TABLE w AS SELECT a.id AS x, b.b AS y FROM t a, t b WHERE a.id < 15"],
            ["UPDATE temp.w SET y = y || 'z' WHERE x < 7"],
            ["INSERT INTO t(b) SELECT y FROM temp.w ORDER BY y DESC, x LIMIT 5"],
        ],
        setup=("PRAGMA temp_store = FILE", "PRAGMA temp.cache_size = 5", *SPILL),
    ),
    Workload(
        "recovery",
        [["SELECT sum(length(b)) FROM t"], ["INSERT INTO t(b) VALUES ('after')"]],
        prepare=interrupted,
        modes=[mode for mode in MODES if mode not in UNSAFE],
    ),
    Workload(
        "recovery of two files",
        [
            ["SELECT sum(length(b)) FROM t"],
            ["SELECT sum(length(b)) FROM y.t"],
            ["BEGIN", "INSERT INTO t(b) VALUES ('after')", "INSERT INTO y.t(b) VALUES ('after')", "COMMIT"],
        ],
        setup=ATTACH,
        prepare=interrupted_in_two_files,
        modes=[mode for mode in MODES if mode not in UNSAFE],
    ),
    Workload(
        "exclusive locking mode",
        [["INSERT INTO t(b) VALUES ('one')"], ["UPDATE t SET b = printf('%0300d', id)"]],
        setup=(*SPILL, "PRAGMA locking_mode = EXCLUSIVE"),
    ),
    Workload("blob", [[write_blob], ["BEGIN", write_blob, "UPDATE t SET a = a + 1000", "COMMIT"]], setup=SPILL),
    Workload("backup", [["DELETE FROM t WHERE id % 2"], [restore]], setup=SPILL, prepare=another_y(1024)),
    Workload("backup from smaller pages", [[restore]], setup=SPILL, prepare=another_y(512), modes=NOT_WAL),
    Workload("backup from larger pages", [[restore]], setup=SPILL, prepare=another_y(8192), modes=NOT_WAL),
]


def fingerprint(run: Callable[[str], Any], schemas: Sequence[str]) -> tuple[Any, ...]:
    """The contents of the databases of a connection, except for the table ``probe``. ``run`` executes and fetches."""
    found: list[Any] = []
    for schema in schemas:
        names = run(f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name <> 'probe' ORDER BY name")
        found.append([(name, run(f"SELECT * FROM {schema}.{name} ORDER BY 1")) for (name,) in names])
        found.append(run(f"SELECT type, name, sql FROM {schema}.sqlite_master WHERE name <> 'probe' ORDER BY 1, 2"))
    return tuple(map(repr, found))
