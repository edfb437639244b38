"""``fetch_numpy``: the same values as ``fetchall``, as one array per column."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wasqlite

Connect = Callable[..., wasqlite.Connection]


def fill(con: wasqlite.Connection, declared: str, values: list[Any]) -> None:
    con.execute(f"create table t(x {declared})")
    con.executemany("insert into t values (?)", [(value,) for value in values])


def column(con: wasqlite.Connection, values: list[Any], kind: Any = None, declared: str = "") -> Any:
    fill(con, declared, values)
    return con.execute("select x from t").fetch_numpy(types={"x": kind} if kind else None)["x"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, -(2**63), 2**63 - 1, 0], "int64"),
        ([1.5, float("inf"), -0.0], "float64"),
        ([1, 2.5, 3], "float64"),
        (["a", "", "ä", "b\0c"], "object"),
        ([b"a", b"", b"\xff\0"], "object"),
    ],
)
def test_columns_without_nulls_are_plain_arrays(
    con: wasqlite.Connection, batch_rows: int | None, values: list[Any], dtype: str
) -> None:
    found = column(con, values)
    assert type(found) is np.ndarray
    assert found.dtype == dtype
    assert found.tolist() == values


@pytest.mark.parametrize(
    ("values", "dtype", "under_the_mask"),
    [
        ([None, 1, None, 3], "int64", 0),
        ([1.5, None, None, 2.5], "float64", np.nan),
        ([1, None, 2.5], "float64", np.nan),
        (["a", None, ""], "object", None),
        ([None, b"a", None], "object", None),
    ],
)
def test_columns_with_nulls_are_masked(
    con: wasqlite.Connection, batch_rows: int | None, values: list[Any], dtype: str, under_the_mask: Any
) -> None:
    found = column(con, values)
    assert isinstance(found, np.ma.MaskedArray)
    assert found.dtype == dtype
    assert found.tolist() == values
    assert found.mask.tolist() == [value is None for value in values]
    for value in found.data[found.mask].tolist():
        assert value is under_the_mask if under_the_mask is None else np.array_equal(value, under_the_mask, True)


def test_masked_columns_compute_without_their_nulls(con: wasqlite.Connection) -> None:
    assert column(con, [1, None, 4]).mean() == 2.5


@pytest.mark.parametrize(
    ("declared", "dtype"), [("integer", "int64"), ("real", "float64"), ("text", "object"), ("", "object")]
)
@pytest.mark.parametrize("values", [[], [None], [None] * 5])
def test_without_values_the_declared_type_decides(
    con: wasqlite.Connection, values: list[None], declared: str, dtype: str
) -> None:
    found = column(con, values, declared=declared)
    assert found.dtype == dtype
    assert found.tolist() == values


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([1, 2, 3, "x"], "INTEGER in row 0 and TEXT in row 3"),
        ([None, b"a", None, "x"], "BLOB in row 1 and TEXT in row 3"),
        (["x", 1.5, 2], "TEXT in row 0 and REAL in row 1 and INTEGER in row 2"),
    ],
)
def test_a_column_of_mixed_classes_is_refused(
    con: wasqlite.Connection, batch_rows: int | None, values: list[Any], places: str
) -> None:
    with pytest.raises(wasqlite.DataError) as caught:
        column(con, values)
    assert f"column 'x' has {places} (counted from 0)" in str(caught.value)
    assert "types={'x': ...}" in str(caught.value)


@pytest.mark.parametrize("values", [[1, 2.5, "x", b"y", None], [1, 2], [1.5, None], ["x"], [1, None, 2.5]])
def test_object_takes_everything_as_it_is(con: wasqlite.Connection, batch_rows: int | None, values: list[Any]) -> None:
    found = column(con, values, "object")
    assert found.dtype == object
    assert found.tolist() == values
    assert list(map(type, found.tolist())) == list(map(type, values))


def test_integers_that_floats_have_not(con: wasqlite.Connection, batch_rows: int | None) -> None:
    assert column(con, [1.5, 2**53, -(2**60)]).tolist() == [1.5, 2.0**53, -(2.0**60)]
    con.execute("insert into t values (?)", (2**53 + 1,))
    with pytest.raises(wasqlite.DataError, match=r"'x' has the integer 9007199254740993, which has no exact .* row 3 "):
        con.execute("select x from t").fetch_numpy()


@pytest.mark.parametrize(
    ("kind", "fits", "misfit"),
    [
        ("int8", [-128, 127, None], 128),
        ("uint8", [0, 255], -1),
        ("int16", [-(2**15)], 2**15),
        ("uint16", [2**16 - 1], 2**16),
        ("int32", [2**31 - 1], -(2**31) - 1),
        ("uint32", [2**32 - 1], 2**32),
        ("uint64", [2**63 - 1], -1),
        ("bool", [0, 1, None], 2),
        ("int64", [1], 1.5),
        ("float32", [1, 1.5, 2**24], 2**24 + 1),
        ("float32", [0.5], 1e39),
        ("float64", [1], "x"),
        ("text", ["x"], b"y"),
        ("text", ["x"], 5),
        ("blob", [b"x"], 5),
        ("null", [None], 5),
        (np.int32, [5], "x"),
        (np.dtype("bool"), [1], -1),
    ],
)
def test_a_wanted_type_has_to_hold_every_value(
    con: wasqlite.Connection, batch_rows: int | None, kind: Any, fits: list[Any], misfit: Any
) -> None:
    found = column(con, fits, kind)
    assert found.tolist() == fits
    assert found.dtype == ("object" if kind in ("text", "blob", "null") else kind)
    con.execute("insert into t values (?)", (misfit,))
    with pytest.raises(wasqlite.DataError, match=rf"column 'x' has .* in row {len(fits)} .* its type is .*, by types="):
        con.execute("select x from t").fetch_numpy(types={"x": kind})


def test_float32_rounds(con: wasqlite.Connection) -> None:
    assert column(con, [0.1, float("inf")], "float32").tolist() == [float(np.float32(0.1)), float("inf")]


def test_text_as_blobs_is_its_bytes(con: wasqlite.Connection, batch_rows: int | None) -> None:
    con.execute("create table t(x)")
    con.execute("insert into t values ('ä'), (x'ff'), (null), (cast(x'fe' as text))")
    found = con.execute("select x from t").fetch_numpy(types={"x": "blob"})["x"]
    assert found.tolist() == ["ä".encode(), b"\xff", None, b"\xfe"]


def test_text_that_is_not_utf8(con: wasqlite.Connection, batch_rows: int | None) -> None:
    con.execute("create table t(x)")
    con.execute("insert into t values ('a'), ('b'), ('ä'), (cast(x'61ff00' as text))")
    query = "select x as y from t"
    with pytest.raises(wasqlite.OperationalError) as caught:
        con.execute(query).fetchall()
    with pytest.raises(wasqlite.OperationalError) as ours:
        con.execute(query).fetch_numpy()
    assert str(ours.value) == str(caught.value)
    assert con.execute(query + " limit 3").fetch_numpy()["y"].tolist() == ["a", "b", "ä"]


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy 2")
def test_numpys_own_strings(con: wasqlite.Connection) -> None:
    assert column(con, ["a", "ä" * 100], np.dtypes.StringDType()).tolist() == ["a", "ä" * 100]
    con.execute("insert into t values (null)")
    query = "select x from t where x is null or x = 'a'"
    with pytest.raises(wasqlite.DataError, match="has no na_object"):
        con.execute(query).fetch_numpy(types={"x": np.dtypes.StringDType()})
    found = con.execute(query).fetch_numpy(types={"x": np.dtypes.StringDType(na_object=None)})["x"]
    assert found.tolist() == ["a", None]


@pytest.mark.parametrize("kind", ["datetime64[s]", np.dtype("datetime64[s]"), np.dtype("U5"), "nonsense", complex])
def test_types_that_there_are_not(con: wasqlite.Connection, kind: Any) -> None:
    with pytest.raises(ValueError, match="is not an array type"):
        con.execute("select 1 as x").fetch_numpy(types={"x": kind})


def test_columns_of_the_same_name_are_refused_before_anything_is_read(con: wasqlite.Connection) -> None:
    cursor = con.execute("select 1 as a, 2 as a")
    with pytest.raises(wasqlite.ProgrammingError, match="two columns are named 'a'"):
        cursor.fetch_numpy()
    assert cursor.fetchall() == [(1, 2)]


def test_what_was_fetched_before_is_not_there(con: wasqlite.Connection, batch_rows: int | None) -> None:
    fill(con, "", list(range(50)))
    cursor = con.execute("select x from t")
    for _ in range(9):
        cursor.fetchone()
    assert cursor.fetch_numpy()["x"].tolist() == list(range(9, 50))
    assert cursor.fetchone() is None
    assert cursor.fetch_numpy()["x"].tolist() == []


def test_statements_without_columns(con: wasqlite.Connection) -> None:
    assert con.cursor().fetch_numpy() == {}
    assert con.execute("create table t(x)").fetch_numpy() == {}


def test_factories_have_no_say(connect: Connect) -> None:
    con = connect()
    con.text_factory = bytes
    con.row_factory = lambda cursor, row: 5
    assert con.execute("select 'ä' as x union all select 'b' union all select 'c'").fetch_numpy()["x"].tolist() == [
        "ä",
        "b",
        "c",
    ]


@pytest.mark.filterwarnings("ignore:The default date converter:DeprecationWarning")
def test_columns_that_converters_make_objects_of_are_refused(connect: Connect) -> None:
    con = connect(detect_types=wasqlite.PARSE_DECLTYPES)
    con.execute("create table t(x integer, d date)")
    con.execute("insert into t values (1, '2024-02-29')")
    cursor = con.execute("select * from t")
    with pytest.raises(wasqlite.NotSupportedError, match="converters"):
        cursor.fetch_numpy()
    assert len(cursor.fetchall()) == 1
    assert con.execute("select x from t").fetch_numpy()["x"].tolist() == [1]


def test_returning_counts_its_changes(con: wasqlite.Connection, batch_rows: int | None) -> None:
    fill(con, "", list(range(30)))
    cursor = con.execute("update t set x = x + 1 where x >= 10 returning x")
    assert cursor.fetch_numpy()["x"].tolist() == list(range(11, 31))
    assert cursor.rowcount == 20


def test_an_error_in_the_middle(con: wasqlite.Connection, batch_rows: int | None) -> None:
    fill(con, "", [1] * 10 + [-(2**63)])
    cursor = con.execute("select abs(x) as x from t")
    with pytest.raises(wasqlite.OperationalError, match="integer overflow"):
        cursor.fetch_numpy()
    assert cursor.fetchall() == []
    con.execute("drop table t")  # nothing reads it any more


def test_closed_cursors_and_other_threads(con: wasqlite.Connection) -> None:
    cursor = con.execute("select 1 as x")
    errors: list[Exception] = []

    def other() -> None:
        try:
            cursor.fetch_numpy()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert "created in a thread" in str(errors[0])
    cursor.close()
    with pytest.raises(wasqlite.ProgrammingError, match="closed cursor"):
        cursor.fetch_numpy()


def test_interrupt(con: wasqlite.Connection) -> None:
    fill(con, "", list(range(100)))
    cursor = con.execute("select x from t")
    con.interrupt()
    with pytest.raises(wasqlite.OperationalError, match="interrupted"):
        cursor.fetch_numpy()


# -- in parts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3, 10, 100])
def test_batches_have_the_wanted_size(con: wasqlite.Connection, batch_rows: int | None, rows: int) -> None:
    fill(con, "", list(range(32)))
    parts = [part["x"].tolist() for part in con.execute("select x from t").fetch_numpy_batches(rows)]
    assert [value for part in parts for value in part] == list(range(32))
    assert {len(part) for part in parts[:-1]} <= {rows}


def test_the_first_batch_decides_the_types(con: wasqlite.Connection) -> None:
    fill(con, "", [1, 2, 3, None, 4.5])
    batches = con.execute("select x from t").fetch_numpy_batches(3)
    assert next(batches)["x"].dtype == "int64"
    with pytest.raises(wasqlite.DataError, match=r"has REAL in row 4 .* its type is int64, by the first 3 rows"):
        next(batches)
    parts = list(con.execute("select x from t").fetch_numpy_batches(3, types={"x": "float64"}))
    assert [part["x"].tolist() for part in parts] == [[1.0, 2.0, 3.0], [None, 4.5]]


def test_a_closed_reader_gives_its_lock_back(connect: Connect, tmp_path: Any) -> None:
    con, other = connect(tmp_path / "a.db"), connect(tmp_path / "a.db", timeout=0)
    fill(con, "", list(range(100)))
    con.commit()
    with con.execute("select x from t").fetch_numpy_batches(10) as batches:
        next(batches)
        with pytest.raises(wasqlite.OperationalError, match="locked"):
            other.execute("drop table t")
    other.execute("drop table t")
    with pytest.raises(wasqlite.ProgrammingError, match="given up"):
        next(batches)
    batches.close()


def test_a_dropped_reader_gives_its_lock_back_with_the_next_operation(connect: Connect, tmp_path: Any) -> None:
    con, other = connect(tmp_path / "a.db"), connect(tmp_path / "a.db", timeout=0)
    fill(con, "", list(range(100)))
    con.commit()
    batches = con.execute("select x from t").fetch_numpy_batches(10)
    next(batches)
    del batches
    con.execute("select 1")
    other.execute("drop table t")


def test_a_reader_outlives_its_cursor_but_not_its_connection(con: wasqlite.Connection) -> None:
    fill(con, "", list(range(100)))
    cursor = con.execute("select x from t")
    batches = cursor.fetch_numpy_batches(10)
    next(batches)
    assert cursor.execute("select x from t where x < 3").fetchall() == [(0,), (1,), (2,)]
    cursor.close()
    assert next(batches)["x"].tolist() == list(range(10, 20))
    con.close()
    with pytest.raises(wasqlite.ProgrammingError, match="closed database"):
        next(batches)
    batches.close()


def test_a_reader_minds_its_thread(con: wasqlite.Connection) -> None:
    batches = con.execute("select 1 as x").fetch_numpy_batches(10)
    errors: list[Exception] = []

    def other() -> None:
        for action in (lambda: next(batches), batches.close):
            try:
                action()
            except Exception as error:
                errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(errors) == 2
    assert all("created in a thread" in str(error) for error in errors)
    assert next(batches)["x"].tolist() == [1]


@pytest.mark.parametrize(("rows", "error"), [(0, ValueError), (-1, ValueError), ("x", TypeError), (1.5, TypeError)])
def test_sizes_that_are_none(con: wasqlite.Connection, rows: Any, error: type[Exception]) -> None:
    cursor = con.execute("select 1 as x")
    with pytest.raises(error):
        cursor.fetch_numpy_batches(rows)
    assert cursor.fetchall() == [(1,)]
