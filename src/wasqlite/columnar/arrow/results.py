"""Results as Arrow data: ``Cursor.fetch_arrow`` and ``fetch_arrow_batches``, through the PyCapsule protocol.

https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import nanoarrow as na
from nanoarrow.c_array_stream import CArrayStream

from wasqlite import rows as row_values
from wasqlite.columnar import source
from wasqlite.columnar.arrow import c_stream
from wasqlite.columnar.arrow.arrays import Builder
from wasqlite.exceptions import ProgrammingError

if TYPE_CHECKING:
    from wasqlite.cursor import Cursor

_FEW_ROWS = 1024
_MANY_BYTES = 1 << 20


def fetch(cursor: Cursor, wanted: Mapping[str, Any] | None) -> ArrowTable:
    """The rest of the cursor's rows."""
    builder = Builder(cursor, wanted)
    rows = source.Source(cursor, packed=True)
    try:
        chunks = source.locked(cursor, lambda: list(iter(lambda: _read(rows, None), None)))
    finally:
        rows.close()
    builder.decide(chunks, rows)
    chunks.reverse()
    arrays = []
    while chunks:
        arrays.append(builder.array(chunks.pop()))
    return ArrowTable(builder, arrays or [builder.array([[] for _ in rows.names])])


def _read(rows: source.Source, most: int | None) -> source.Parts | None:
    """What becomes one record batch. The few rows that came with the execution get no batch of their own."""
    pieces = rows.read(most)
    if pieces is None:
        return None
    parts = [[piece] for piece in pieces]
    count = pieces[0].rows
    if count < _FEW_ROWS and (most is None or count < most) and sum(len(p.payload) for p in pieces) < _MANY_BYTES:
        for part, piece in zip(parts, rows.read(None if most is None else most - count) or (), strict=False):
            part.append(piece)
    return parts


class ArrowTable:
    """A result in memory. Arrow libraries take it as it is, without a copy, and as often as they like."""

    __slots__ = ("_arrays", "_builder", "num_rows")

    def __init__(self, builder: Builder, arrays: list[Any]) -> None:
        self._builder = builder
        self._arrays = arrays
        self.num_rows: int = sum(array.length for array in arrays)

    def __len__(self) -> int:
        return self.num_rows

    def __repr__(self) -> str:
        return f"<wasqlite.ArrowTable: {self.num_rows} rows of {self._builder}>"

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in their order."""
        return list(self._builder.names)

    def __arrow_c_schema__(self) -> object:
        return self._builder.schema().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The record batches; another schema than ours is left to the consumer to cast to."""
        stream = CArrayStream.from_c_arrays(self._arrays, self._builder.schema(), move=False, validate=False)
        return stream.__arrow_c_stream__()


class ArrowStream:
    """The rest of a cursor's rows as record batches, each read when it is asked for.

    Hand it to an Arrow library, once; or iterate over it, for ``nanoarrow.Array``s. Close it, or use it in a ``with``
    statement, if it is not read to its end: until then it holds a read lock.
    """

    def __init__(self, cursor: Cursor, rows: int, wanted: Mapping[str, Any] | None) -> None:
        size = row_values.row_count(rows)
        if not size:
            raise ValueError("rows must be positive")
        self._reader = _Reader(cursor, size, wanted)
        self._exported = False

    def __repr__(self) -> str:
        return f"<wasqlite.ArrowStream of {self._reader.builder}>"

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in their order."""
        return list(self._reader.builder.names)

    @property
    def error(self) -> BaseException | None:
        """What ended the stream while an Arrow library was reading it, whose own exception has only the words."""
        return self._reader.errors[0] if self._reader.errors else None

    def __arrow_c_schema__(self) -> object:
        return self._reader.schema().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the rows to a consumer, which may ask and read in any thread, whatever ``check_same_thread`` says."""
        self._own()
        self._exported = True
        return c_stream.export(self._reader)

    def _own(self) -> None:
        if self._exported:
            raise ProgrammingError("This stream was handed out already, and its rows can be read only once.")

    def __iter__(self) -> ArrowStream:
        return self

    def __next__(self) -> na.Array:
        self._reader.source.check_thread()
        self._own()
        array = self._reader.next()
        if array is None:
            raise StopIteration
        return na.Array(array)

    def __enter__(self) -> ArrowStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the rows that were not read, and the lock with them."""
        self._reader.source.check_thread()
        self._reader.close()


class _Reader:
    """The rows of a stream, whoever reads them."""

    def __init__(self, cursor: Cursor, size: int, wanted: Mapping[str, Any] | None) -> None:
        self.builder = Builder(cursor, wanted)
        self.source = source.Source(cursor, packed=True)
        self.errors: list[BaseException] = []
        self._size = size
        # Already here, where an error is the caller's: the schema is asked for before the first batch.
        self._first = _read(self.source, size)
        try:
            self.builder.decide([self._first] if self._first else [], self.source)
        except BaseException:
            self.close()
            raise

    def schema(self) -> Any:
        return self.builder.schema()

    def next(self) -> Any:
        """The next record batch, None at the end."""
        parts, self._first = self._first, None
        if parts is None:
            parts = _read(self.source, self._size)
        return None if parts is None else self.builder.array(parts)

    def close(self, *, quietly: bool = False) -> None:
        self._first = None
        self.source.close(quietly=quietly)
