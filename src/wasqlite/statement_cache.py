"""Compiled statements, kept by their SQL text: least recently used ones go first."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from wasqlite import sqltext
from wasqlite.columns import Columns
from wasqlite.converting import Types
from wasqlite.exceptions import DataError, ProgrammingError, from_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from wasqlite.capi.database import Database
    from wasqlite.capi.statement import Statement


class Query:
    """A statement with what the driver knows about it."""

    __slots__ = (
        "_names",
        "attaches",
        "columns",
        "has_names",
        "is_dml",
        "parameters",
        "quick",
        "reprepared",
        "statement",
        "types",
        "used",
    )

    def __init__(self, statement: Statement, sql: str, detect_types: int = 0) -> None:
        self.statement = statement
        self.is_dml = sqltext.is_dml(sql)
        self.attaches = sqltext.is_attach(sql)
        self.types = Types(statement, detect_types) if detect_types and statement.names else None
        """For connections with ``detect_types``."""
        self.columns = _describe(statement.names if self.types is None else self.types.column_names())
        self.reprepared = statement.reprepared
        self.parameters = statement.parameters
        self.has_names = sqltext.may_name_parameters(sql)
        """Whether some parameter may have a name or a number."""
        self._names: list[str | None] | None = None
        self.used = False
        self.quick = False
        """Whether ``Statement.quick`` can be tried."""

    def note_use(self) -> None:
        """The second execution makes ready for many more."""
        if self.used and not self.has_names and not self.attaches and self.types is None:
            self.quick = self.statement.prepare_quick()
        self.used = True

    def describe_again(self) -> None:
        """Ask for the column names anew, after SQLite has prepared the statement again."""
        names = self.statement.column_names()
        self.columns = _describe(names if self.types is None else self.types.column_names())
        self.reprepared = self.statement.reprepared

    def parameter_names(self) -> list[str | None]:
        """The names of the parameters with their prefix; None for those without."""
        if self._names is None:
            statement = self.statement
            self._names = statement.parameter_names() if self.has_names else [None] * self.parameters
        return self._names


def _describe(names: list[str]) -> Columns | None:
    return Columns(tuple((name, None, None, None, None, None, None) for name in names)) if names else None


class StatementCache:
    """``get(sql)`` compiles at most once while the text stays among the ``size`` last used ones; 0 keeps nothing."""

    __slots__ = ("_compile", "detect_types", "get", "size")

    def __init__(self, database: Database, size: int, detect_types: int = 0) -> None:
        def compile_sql(sql: str) -> Query:
            return compile_query(database, sql, detect_types)

        self.size, self.detect_types = size, detect_types
        self._compile = compile_sql
        # The C implementation: a hit costs 50 ns. It must not know the connection, or both would live until a gc run.
        self.get: Callable[[str], Query] = lru_cache(maxsize=size)(compile_sql)

    def private(self, sql: str) -> Query:
        """A statement of its own, for when the cached one is in use."""
        return self._compile(sql)


class CompiledStatement:
    """What a call of a connection returns: an opaque object."""

    __module__ = "wasqlite"
    __qualname__ = "Statement"
    __slots__ = ("_query",)
    _query: Query

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        raise TypeError("cannot create 'wasqlite.Statement' instances")

    @classmethod
    def _of(cls, query: Query) -> Self:
        self = object.__new__(cls)
        self._query = query
        return self


CompiledStatement.__name__ = "Statement"


def encode_sql(database: Database, sql: str) -> bytes:
    """The text as SQLite wants it, or DataError if the connection's limit forbids its length."""
    encoded = sql.encode()
    if len(encoded) > database.sql_length:
        raise DataError("query string is too large")
    return encoded


def compile_query(database: Database, sql: str, detect_types: int = 0) -> Query:
    """Compile exactly one statement."""
    encoded = encode_sql(database, sql)
    if "\0" in sql:
        raise ProgrammingError("the query contains a null character")
    statement, tail, failure = database.prepare(encoded)
    if failure is not None:
        raise from_failure(failure)
    if tail < len(encoded) and not sqltext.is_blank(encoded[tail:].decode("utf-8", "replace")):
        raise ProgrammingError("You can only execute one statement at a time.")
    return Query(statement, sql, detect_types)
