"""``executemany`` in chunks: many parameter sets in one guest call.

What a chunk usually is, a list of tuples of exact types, goes as what ``marshal`` makes of it: one call of a C function
that looks at nothing twice. (The guest reads it; nothing that comes from the guest is ever unmarshalled.) Whatever the
guest does not take goes as columns, and there everything is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from marshal import dumps
from operator import itemgetter

from wasqlite._compat import NAMED_WITH_SEQUENCE
from wasqlite.adapting import Loud, PrepareProtocol, adapted, adapted_column, adapted_row, adapters, registered
from wasqlite.binding import unsupported, values
from wasqlite.capi.parameters import UnsupportedType, encode, first_unsuitable
from wasqlite.capi.statement import BOOLS, BYTES
from wasqlite.capi.status import UNSUITABLE_ROW
from wasqlite.exceptions import from_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.statement_cache import Query

FIRST_ROWS = 16
MOST_ROWS = 16384
TARGET_BYTES = 512 << 10
MOST_BYTES = 8 << 20

_PLAIN = {tuple, list}
_WITH_BYTES = {int, float, str, bytes, bool, type(None)}
_WITHOUT_REFERENCES = 2
"""The version of marshal's format in which no value refers to another."""


def execute_chunks(query: Query, iterator: Iterator[Any]) -> int:
    """Run the statement, which returns no rows, for every parameter set: the sum of changes.

    What came before an error (of the iterator, of a parameter set, of SQLite) has been executed when it is raised.
    """
    changes = 0
    size = FIRST_ROWS
    marshals = True
    while True:
        chunk: list[Any] = []
        error: BaseException | None = None
        try:
            chunk.extend(islice(iterator, size))  # keeps what came before an exception
        except BaseException as raised:
            error = raised
        rows, last, encoded_size = len(chunk), error is not None or len(chunk) < size, 0
        if marshals and chunk:
            done, encoded_size, added = _execute_marshalled(query, chunk)
            changes += added
            chunk = chunk[done:]
            marshals = not chunk
        if chunk:
            added, encoded_size, unsuitable = _execute_columns(query, chunk)
            changes += added
            error = unsuitable or error
        if error is not None:
            try:
                raise error
            finally:
                del error  # it would be in a cycle with this frame
        if last:
            return changes
        # The next chunk as large as the target, judging by this one, but growing step by step.
        size = max(1, min(8 * size, MOST_ROWS, rows * TARGET_BYTES // max(encoded_size, 1)))


def _execute_marshalled(query: Query, chunk: list[Any]) -> tuple[int, int, int]:
    """Run as much of a chunk as can go this way: rows done, encoded size, changes."""
    if registered.every:
        return 0, 0, 0
    if query.has_names:
        named = _by_name(query, chunk)
        if named is not None:
            chunk = named
        elif NAMED_WITH_SEQUENCE != "accept":
            return 0, 0, 0
    statement = query.statement
    readable = 0 if (bool, PrepareProtocol) in adapters else BOOLS
    done = size = changes = 0
    rest = chunk
    while True:
        try:
            data = dumps(rest, _WITHOUT_REFERENCES)
        except Exception:  # it holds something that marshal does not know
            return done, size, changes
        if len(data) > MOST_BYTES:
            return done, size, changes
        size = len(data)
        status, failure = statement.execute_rows(data, readable)
        changes += status.changes_sum
        done += status.rows
        if failure is not None:
            if not (status.rows and statement.database.interrupt.asked):
                raise from_failure(failure)
            # Rows were done before one found the database busy. What is left has a turn of its own, and its own wait.
            rest = chunk[done:]
        elif not status.flags & UNSUITABLE_ROW:
            return done, size, changes
        else:
            rest = chunk[done:]
            if readable & BYTES or not (set(map(type, rest)) <= _PLAIN and _has_no_buffers_but_bytes(rest)):
                return done, size, changes
            readable |= BYTES


def _by_name(query: Query, chunk: list[Any]) -> list[Any] | None:
    """The values of dictionaries in the statement's order; None where that needs a look at each."""
    if set(map(type, chunk)) != {dict}:
        return None
    names = query.parameter_names()
    if None in names:
        return None
    keys = [name[1:] for name in names if name]
    try:
        if len(keys) == 1:
            return [(parameters[keys[0]],) for parameters in chunk]
        return list(map(itemgetter(*keys), chunk))
    except Exception:  # something is missing
        return None


def _has_no_buffers_but_bytes(rows: list[Any]) -> bool:
    return set(map(type, chain.from_iterable(rows))) <= _WITH_BYTES


def _execute_columns(query: Query, chunk: list[Any]) -> tuple[int, int, BaseException | None]:
    """Run a chunk, up to the first row that is not suitable: changes, encoded size, and that row's error."""
    rows, error = _checked(query, chunk)
    if registered.every:
        rows, unsuitable = _adapted(rows)
        error = unsuitable or error
    if not rows:
        return 0, 0, error
    changes, size, unsuitable = _execute(query, rows)
    return changes, size, unsuitable or error


def _checked(query: Query, chunk: list[Any]) -> tuple[list[Sequence[Any]], BaseException | None]:
    """The parameter sets of a chunk as sequences of the right length, up to the first that is not suitable."""
    needed = query.statement.parameters
    if (
        set(map(type, chunk)) <= _PLAIN
        and set(map(len, chunk)) <= {needed}
        and not (query.has_names and NAMED_WITH_SEQUENCE != "accept")
    ):
        return chunk, None
    rows = []
    for parameters in chunk:
        try:
            rows.append(values(query, parameters))
        except Exception as error:
            return rows, unsupported(error) if isinstance(error, UnsupportedType) else error
    return rows, None


def _adapted(rows: Sequence[Sequence[Any]]) -> tuple[list[Sequence[Any]], BaseException | None]:
    """The rows with every value adapted, one after the other, up to the first that raises."""
    found: list[Sequence[Any]] = []
    for row in rows:
        try:
            found.append(adapted_row(row))
        except BaseException as error:
            return found, unsupported(error) if isinstance(error, UnsupportedType) else error
    return found, None


def _execute(query: Query, rows: Sequence[Sequence[Any]]) -> tuple[int, int, BaseException | None]:
    """Run one chunk: changes, encoded size, and the error of the first row that could not be encoded."""
    unsuitable: BaseException | None = None
    try:
        batch = encode(rows, query.statement.parameters, adapted_column)
    except Loud:
        rows, unsuitable = _adapted(rows)
        if not rows:
            return 0, 0, unsuitable
        changes, size, other = _execute(query, rows)
        return changes, size, other or unsuitable
    except Exception:
        found = first_unsuitable(rows, adapted)
        if found is None:
            raise
        number, unsuitable = found
        if isinstance(unsuitable, UnsupportedType):
            unsuitable = unsupported(unsuitable)
        if not number:
            return 0, 0, unsuitable
        batch = encode(rows[:number], query.statement.parameters, adapted_column)
    if batch.size > MOST_BYTES and batch.rows > 1:
        half = batch.rows // 2
        left, left_size, _ = _execute(query, rows[:half])
        right, right_size, _ = _execute(query, rows[half : batch.rows])
        return left + right, left_size + right_size, unsuitable
    changes = done = 0
    while True:
        status, failure = query.statement.execute_many(batch)
        changes += status.changes_sum
        if failure is None:
            return changes, batch.size, unsuitable
        if not (status.rows and query.statement.database.interrupt.asked):
            raise from_failure(failure)
        # Rows were done before one found the database busy. What is left has a turn of its own, and its own wait.
        done += status.rows
        rest = rows[done : done + batch.rows - status.rows]
        batch = encode(rest, query.statement.parameters, adapted_column)
