"""TPC-H on SQLite: data, queries and right answers come from DuckDB, whose extension ``tpch`` carries all three.

The queries are brought to SQLite's dialect by sqlglot, and ``lower`` does what it leaves. Nothing of TPC-H is in this
repository.
``python bench/tpch.py [scale factor]`` prints the queries as SQLite gets them.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sqlite3
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from native import BuildError, cache_directory, run_command, sha256, step

# Read at once: what this process knows of this file, and not what it may have become since.
_SOURCE = Path(__file__).read_bytes()

QUERIES = range(1, 23)
# What the specification calls primary and foreign keys; it allows indexes on both.
KEYS = {
    "region": ("r_regionkey",),
    "nation": ("n_nationkey",),
    "supplier": ("s_suppkey",),
    "customer": ("c_custkey",),
    "part": ("p_partkey",),
    "partsupp": ("ps_partkey", "ps_suppkey"),
    "orders": ("o_orderkey",),
    "lineitem": ("l_orderkey", "l_linenumber"),
}
INDEXES = (
    "nation (n_regionkey)",
    "supplier (s_nationkey)",
    "customer (c_nationkey)",
    "partsupp (ps_suppkey)",
    "orders (o_custkey)",
    "lineitem (l_partkey, l_suppkey)",
    "lineitem (l_suppkey)",
)
# How a type of DuckDB is stored in SQLite, and what DuckDB converts it to on the way.
TYPES = {
    "BIGINT": ("INTEGER", "BIGINT"),
    "INTEGER": ("INTEGER", "BIGINT"),
    "DECIMAL(15,2)": ("REAL", "DOUBLE"),
    "VARCHAR": ("TEXT", "VARCHAR"),
    "DATE": ("TEXT", "VARCHAR"),
}


def lower(tree: Any) -> Any:
    """Rewrite what SQLite's dialect does not have and sqlglot does not bring there."""
    from sqlglot import exp

    def node(found: Any) -> Any:
        if isinstance(found, exp.Cast) and found.is_type("date") and found.this.is_string:
            return found.this  # dates are stored as text, so that they compare as text
        if isinstance(found, exp.Extract) and found.this.name.upper() == "YEAR":
            return exp.cast(exp.func("strftime", exp.Literal.string("%Y"), found.expression), "int")
        if isinstance(found, exp.Ordered):
            # No column has NULLs, and NULLS LAST would only keep indexes from being used: SQLite's own order.
            found.set("nulls_first", not found.args.get("desc"))
        if isinstance(found, exp.Subquery) and (alias := found.args.get("alias")) and alias.columns:
            # No column names in the alias of a subquery: the columns get them.
            named = zip(found.this.selects, alias.columns, strict=True)
            found.this.set("expressions", [exp.alias_(column.unalias(), name.name) for column, name in named])
            alias.set("columns", None)
        if isinstance(found, exp.Interval):
            raise BuildError(f"no lowering for {found.sql('duckdb')}")
        return found

    return tree.transform(node)


def translate(query: str) -> str:
    """A query of DuckDB's dialect in SQLite's."""
    import sqlglot

    tree = lower(sqlglot.parse_one(query, read="duckdb"))
    text: str = tree.sql(dialect="sqlite", unsupported_level=sqlglot.ErrorLevel.RAISE)
    return text


def extension() -> Path:
    """The extension's file, from the package that carries it. DuckDB loads it only with its makers' signature."""
    spec = importlib.util.find_spec("duckdb_extension_tpch")
    places = spec.submodule_search_locations if spec else None
    found = list(Path(places[0]).rglob("tpch.duckdb_extension")) if places else []
    if len(found) != 1:
        raise BuildError("DuckDB's extension tpch is not installed: run `make bench`, which installs it")
    return found[0]


def copy(source: Any, target: sqlite3.Connection) -> None:
    """DuckDB's tables into SQLite, with indexes and statistics."""
    for table, key in KEYS.items():
        columns = source.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [table]
        ).fetchall()
        declared = ", ".join(f"{name} {TYPES[kind][0]} NOT NULL" for name, kind in columns)
        target.execute(f"CREATE TABLE {table} ({declared}, PRIMARY KEY ({', '.join(key)}))")
        selected = ", ".join(f"CAST({name} AS {TYPES[kind][1]})" for name, kind in columns)
        found = source.execute(f"SELECT {selected} FROM {table} ORDER BY {', '.join(key)}")
        marks = ", ".join("?" * len(columns))
        while rows := found.fetchmany(50_000):
            target.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    for number, index in enumerate(INDEXES):
        target.execute(f"CREATE INDEX foreign_key_{number} ON {index}")
    target.commit()


def plain(value: Any) -> Any:
    """A value of DuckDB's answer as SQLite has it."""
    if value is None or isinstance(value, int | float | str):
        return value
    return float(value) if hasattr(value, "as_tuple") else str(value)


def prepare(scale: float) -> Path:
    """A folder with ``tpch.db`` and ``queries.json``: text and expected rows per query."""
    digest = sha256(_SOURCE + version("sqlglot").encode() + version("duckdb").encode())[:12]
    folder = cache_directory() / "bench" / f"tpch-{scale}-{digest}"
    if (folder / "queries.json").exists():
        return folder
    import duckdb

    with step(f"generate TPC-H data (DuckDB, scale factor {scale})"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tpch.db").unlink(missing_ok=True)
        source = duckdb.connect(config={"autoinstall_known_extensions": False})
        source.execute(f"LOAD '{extension()}'")
        source.execute(f"CALL dbgen(sf = {scale})")
        target = sqlite3.connect(folder / "tpch.db")
        copy(source, target)
        target.close()
        queries = {}
        for number, text in source.execute("FROM tpch_queries()").fetchall():
            answer = [[plain(value) for value in row] for row in source.execute(text).fetchall()]
            queries[number] = {"sql": translate(text), "answer": answer}
        source.close()
    partial = folder / "queries.partial"
    partial.write_text(json.dumps(queries))
    partial.replace(folder / "queries.json")
    return folder


def load(connection: Any, path: Path) -> None:
    """The tables and indexes of ``tpch.db`` into a database in memory, through any driver."""
    connection.execute(f"ATTACH '{path}' AS source")
    found = connection.execute("SELECT type, name, sql FROM source.sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
    for kind, name, sql in found.fetchall():
        connection.execute(sql)
        if kind == "table":
            connection.execute(f"INSERT INTO main.{name} SELECT * FROM source.{name}")
    connection.commit()
    connection.execute("DETACH source")
    connection.execute("ANALYZE")
    connection.commit()


def same(rows: Sequence[Sequence[Any]], expected: Sequence[Sequence[Any]]) -> bool:
    """Equal answers; floats may differ in the last digits, since DuckDB calculates in decimals."""

    def equal(ours: Any, theirs: Any) -> bool:
        if isinstance(ours, float) or isinstance(theirs, float):
            return ours is not None and theirs is not None and math.isclose(ours, theirs, rel_tol=1e-9)
        return bool(ours == theirs)

    return len(rows) == len(expected) and all(
        len(row) == len(other) and all(map(equal, row, other)) for row, other in zip(rows, expected, strict=True)
    )


def main() -> None:
    folder = prepare(float(sys.argv[1]) if len(sys.argv) > 1 else 0.01)
    for number, query in json.loads((folder / "queries.json").read_text()).items():
        print(f"-- {number}\n{query['sql']};")


if __name__ == "__main__":
    run_command(main)
