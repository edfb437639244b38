"""``Row``: a row whose values can be had by name; and rows by the thousand, without a constructor call for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

from wasqlite.columns import Columns
from wasqlite.rows import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Self, SupportsIndex, overload


class Row:
    """A row of a result, for use as ``row_factory``: values by position, by name, or one after the other."""

    __module__ = "wasqlite"
    __slots__ = ("_columns", "_values")

    _columns: Columns
    _values: tuple[Any, ...]

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        # A subclass with an __init__ of its own may have arguments of its own.
        if keywords and cls.__init__ is object.__init__:
            raise TypeError("Row() takes no keyword arguments")
        if len(args) != 2:
            raise TypeError(f"Row expected 2 arguments, got {len(args)}")
        cursor, values = args
        columns = _columns_of(cursor)
        if not isinstance(values, tuple):
            raise TypeError(f"Row() argument 2 must be tuple, not {type_name(values)}")
        self = object.__new__(cls)
        self._columns = columns
        self._values = values
        return self

    def keys(self) -> list[str]:
        """Returns the keys of the row."""
        return [column[0] for column in self._columns.description or ()]

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, key: str | SupportsIndex) -> Any: ...
        @overload
        def __getitem__(self, key: slice) -> tuple[Any, ...]: ...

    def __getitem__(self, key: Any) -> Any:
        if type(key) is str:
            return self._values[self._columns[key]]
        if isinstance(key, (int, slice)):
            return self._values[key]
        if isinstance(key, str):
            return self._values[self._columns[str.__str__(key)]]
        raise IndexError("Index must be int or string")

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Row):
            return NotImplemented
        return self._columns.description == other._columns.description and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._columns.description) ^ hash(self._values)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        name = "sqlite3.Row" if type(self) is Row else type(self).__name__
        raise TypeError(f"cannot pickle '{name}' object")


Sequence.register(Row)

new_row = object.__new__


def rows(columns: Columns, found: Sequence[tuple[Any, ...]]) -> list[Row]:
    """A row over each of the tuples.

    The objects are made first, by one C loop, and filled by a loop without a call: half the time of a constructor.
    """
    made = list(map(new_row, repeat(Row, len(found))))
    for row, values in zip(made, found, strict=True):
        row._columns = columns
        row._values = values
    return made


def _columns_of(cursor: Any) -> Columns:
    from wasqlite.cursor import Cursor

    kind = type(cursor)
    if issubclass(kind, Cursor):
        columns = cursor._columns
        return _NONE if columns is None else columns
    if _from_stdlib(kind, "Cursor"):
        raise TypeError(
            "Row() argument 1 must be wasqlite.Cursor, not the standard library's sqlite3.Cursor: "
            "the Row of wasqlite is for rows of wasqlite only"
        )
    raise TypeError(f"Row() argument 1 must be sqlite3.Cursor, not {type_name(cursor)}")


_NONE = Columns(None)


def explain_refusal(factory: Any) -> TypeError | None:
    """The exception to raise when the standard library's ``Row`` refused a cursor of ours; None for other factories."""
    if isinstance(factory, type) and _from_stdlib(factory, "Row"):
        return TypeError(
            "row_factory is the Row of the standard library's sqlite3, which takes no cursor of wasqlite: "
            "use wasqlite.Row"
        )
    return None


def _from_stdlib(kind: type, name: str) -> bool:
    return any(base.__module__ == "sqlite3" and base.__qualname__ == name for base in kind.__mro__)
