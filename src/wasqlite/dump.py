"""``iterdump``: a database as the SQL text that makes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wasqlite._compat import DUMP_CHECKS_FOREIGN_KEYS


def _iterdump(connection: Any, *, filter: str | None = None) -> Iterator[str]:
    """The statements, one by one; with ``filter`` only for objects whose names are LIKE it."""
    cursor = connection.cursor()
    cursor.row_factory = None
    if DUMP_CHECKS_FOREIGN_KEYS and cursor.execute("PRAGMA foreign_key_check").fetchall():
        yield "PRAGMA foreign_keys=OFF;"
    yield "BEGIN TRANSACTION;"
    virtual = False
    counters: list[str] = []
    for name, sql in _objects(cursor, "type = 'table'", filter, "ORDER BY name"):
        if name == "sqlite_sequence":
            # At the end: until then, filling the tables changes it.
            counters = [f"DELETE FROM {_identifier(name)};", *_inserts(cursor, name)]
            continue
        if name == "sqlite_stat1":
            yield 'ANALYZE "sqlite_master";'
        elif name.startswith("sqlite_"):
            continue
        elif sql.startswith("CREATE VIRTUAL TABLE"):
            # Creating it would create its shadow tables, which come with the others.
            if not virtual:
                virtual = True
                yield "PRAGMA writable_schema=ON;"
            values = f"'table',{_literal(name)},{_literal(name)},0,{_literal(sql)}"
            yield f"INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)VALUES({values});"
        else:
            yield f"{sql};"
        yield from _inserts(cursor, name)
    for _, sql in _objects(cursor, "type IN ('index', 'trigger', 'view')", filter):
        yield f"{sql};"
    if virtual:
        yield "PRAGMA writable_schema=OFF;"
    yield from counters
    yield "COMMIT;"


def _objects(cursor: Any, kind: str, like: str | None, order: str = "") -> list[tuple[str, str]]:
    sql = f"SELECT name, sql FROM sqlite_master WHERE sql NOT NULL AND {kind}"
    if like:
        cursor.execute(f"{sql} AND name LIKE ? {order}", (like,))
    else:
        cursor.execute(f"{sql} {order}")
    return [(_text(name), _text(statement)) for name, statement in cursor.fetchall()]


def _inserts(cursor: Any, table: str) -> Iterator[str]:
    """An INSERT for each row. SQLite writes the values as literals, here they are joined: as one SQL expression, they
    would be too deep for tables of many columns."""
    columns = [_text(row[1]) for row in cursor.execute(f"PRAGMA table_info({_identifier(table)})").fetchall()]
    literals = ", ".join(f"quote({_identifier(column)})" for column in columns)
    if literals:
        for row in cursor.execute(f"SELECT {literals} FROM {_identifier(table)}"):
            yield f"INSERT INTO {_identifier(table)} VALUES({','.join(map(_text, row))});"


def _text(value: Any) -> str:
    # With a text_factory that leaves the bytes as they are.
    return value.decode() if isinstance(value, bytes | bytearray) else value


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
