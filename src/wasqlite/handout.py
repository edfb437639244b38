"""How rows leave a cursor: converted, by the batch column by column, and made by a factory that may use the cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, repeat
from threading import get_ident

from wasqlite import rows as row_values
from wasqlite.row import Row, explain_refusal, new_row
from wasqlite.row import rows as named_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.cursor import Cursor

    Values = tuple[Any, ...]

ALL_ROWS = 1 << 20
ALL_BYTES = 1 << 20

converting: set[int] = set()
"""The ids of the cursors whose rows are being converted: for ``Cursor.__init__``, which cannot cheaply look at a slot
that may not be there yet."""


def _steps(cursor: Cursor) -> row_values.Steps:
    """What is to be done with the rows of the batch; found once for all of them."""
    cells, factory, columns = cursor._cells, cursor._connection.text_factory, cursor._columns
    known = cursor._known_steps
    if known is not None and known[0] is cells and known[1] is factory and known[2] is columns:
        return known[3]
    assert columns is not None
    steps = row_values.steps(cells, factory, columns)
    cursor._known_steps = cells, factory, columns, steps
    return steps


def converted(cursor: Cursor, row: Values) -> Values:
    """One row after conversion."""
    steps = _steps(cursor)
    if not steps:
        return row
    found = list(row)
    cursor._locked = True
    converting.add(id(cursor))
    try:
        for index, kind, function in steps:
            if type(value := found[index]) is kind:
                found[index] = function(value)
    finally:
        converting.discard(id(cursor))
        cursor._locked = False
    return tuple(found)


def take(cursor: Cursor, wanted: int | None) -> list[Any]:
    """Rows of the batch as they go out: all, or at most ``wanted``. None: the next row is to go out by itself."""
    factory = cursor._row_factory
    if wanted == 1:
        return []
    plain = not cursor._cells and cursor._connection.text_factory is str
    if factory is not None and factory is not Row:
        return _take_for(factory, cursor, wanted, plain)
    assert cursor._next is not None
    fresh = cursor._fresh
    if plain:
        rows = [cursor._next, *islice(cursor._rows, None if wanted is None else wanted - 1)]
    elif wanted is None and fresh is not None and fresh[0] is cursor._next:
        # Nothing of the batch has been handed out: its columns are still at hand.
        rows = _convert(cursor, fresh[1], [cursor._next, *cursor._rows], None)
    else:
        found = [cursor._next, *islice(cursor._rows, None if wanted is None else wanted - 1)]
        rows = _convert(cursor, zip(*found, strict=True), found, None)
    if wanted is None and cursor._unfinished is not None:
        cursor._refill(ALL_ROWS, ALL_BYTES)
    else:
        cursor._advance(wanted or 0)
    if factory is None:
        return rows
    assert cursor._columns is not None
    return named_rows(cursor._columns, rows)


def _take_for(factory: Any, cursor: Cursor, wanted: int | None, plain: bool) -> list[Any]:
    """``take`` for a factory that may use the cursor.

    The last row of a batch goes out by itself, after the next batch has been fetched. So do rows of RETURNING: the
    row count, which the factory may look at, changes with the last one.
    """
    if cursor._changes >= 0:
        return []
    assert cursor._next is not None
    found = [cursor._next, *islice(cursor._rows, None if wanted is None else wanted - 1)]
    following = None if wanted is None else next(cursor._rows, None)
    cursor._next = following = found.pop() if following is None else following
    if not found:
        return []
    return _lend(
        factory, cursor, found, found if plain else _convert(cursor, zip(*found, strict=True), found, following)
    )


def each(cursor: Cursor, step: Callable[[Cursor], Any]) -> Iterator[Any]:
    """What ``step`` (``Cursor.__next__``) returns, again and again, without a call of it for each row.

    The state is the cursor's: fetches, closing, another ``execute`` in the middle of a loop do what they do to
    ``__next__``. Only the thread is looked at once per batch.
    """
    connection = cursor._connection
    while True:
        try:
            yield step(cursor)  # the first row of all, and the last of each batch: looks at everything, and fetches
        except StopIteration:
            return
        rows, factory = cursor._rows, cursor._row_factory
        if (factory is not None and factory is not Row) or cursor._cells or cursor._next is None:
            continue
        if (
            connection.text_factory is not str
            or cursor._closed
            or cursor._locked
            or connection._database is None
            or connection._thread not in (None, get_ident())
        ):
            continue
        columns = cursor._columns
        assert columns is not None
        for following in rows:
            row = cursor._next
            cursor._next = following
            if factory is None:
                yield row
            else:
                made = new_row(Row)
                made._columns = columns
                made._values = row
                yield made
            if (
                cursor._next is not following
                or cursor._rows is not rows
                or cursor._row_factory is not factory
                or cursor._closed
                or cursor._locked
                or connection._database is None
                or connection.text_factory is not str
            ):
                break


def _convert(
    cursor: Cursor, columns: Iterable[Sequence[Any]], found: list[Values], following: Values | None
) -> list[Values]:
    """The rows ``found`` after conversion, by their columns.

    If that fails, the row that it failed for is the next one to be fetched, and after them comes ``following``.
    """
    steps = _steps(cursor)
    if not steps:
        return found
    rows: list[Values] = []
    failure: BaseException | None = None
    cursor._locked = True
    converting.add(id(cursor))
    try:
        rows, failure = row_values.convert_columns(columns, len(found), steps)
        if failure is not None:
            raise failure
    except BaseException:
        rest = found[len(rows) :]
        _put_back(cursor, rest if following is None else [*rest, following])
        raise
    finally:
        del failure  # it would be in a cycle with this frame
        converting.discard(id(cursor))
        cursor._locked = False
    return rows


def _put_back(cursor: Cursor, found: list[Values]) -> None:
    """Rows that were taken and not handed out come before those of ``_rows``."""
    first, *rest = found
    cursor._rows = iter([*rest, *cursor._rows])
    cursor._next = first


def _lend(factory: Any, cursor: Cursor, found: list[Values], rows: list[Values]) -> list[Any]:
    """What the factory makes of rows that have been taken: one call a row. ``found`` is what they came from."""
    iterator = iter(rows)
    cursor._lent = found, iterator
    cursor._locked = True
    try:
        made = list(map(factory, repeat(cursor), iterator))
    except BaseException as error:
        if cursor._lent is not None:
            take_back(cursor)
        refusal = explain_refusal(factory) if isinstance(error, TypeError) else None
        if refusal is None:
            raise
        raise refusal from None
    if cursor._lent is not None:
        cursor._lent = None
        cursor._locked = False
    return made


def take_back(cursor: Cursor) -> None:
    """Put the rows that the factory has not seen yet before the next one."""
    assert cursor._lent is not None and cursor._next is not None
    found, iterator = cursor._lent
    cursor._lent = None
    cursor._locked = False
    unseen = sum(1 for _ in iterator)  # and so the loop over them ends
    if unseen:
        _put_back(cursor, [*found[-unseen:], cursor._next])
