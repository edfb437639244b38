"""``ingest`` of mappings: what arrives is what was passed, or nothing at all."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wasqlite

Connect = Callable[..., wasqlite.Connection]


def stored(con: wasqlite.Connection, values: Any) -> list[Any]:
    """What the values are after a way through a table."""
    assert con.ingest("t", {"x": values}, mode="replace") == len(values)
    return [value for (value,) in con.execute("select x from t")]


def declared(con: wasqlite.Connection, values: Any) -> str:
    con.ingest("t", {"x": values}, mode="replace")
    (row,) = con.execute("select type from pragma_table_info('t')")
    return row[0]


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", ">i4", ">i8"])
def test_integers(con: wasqlite.Connection, dtype: str) -> None:
    limits = np.iinfo(np.dtype(dtype))
    assert stored(con, np.array([limits.min, 0, limits.max], dtype)) == [limits.min, 0, limits.max]
    assert declared(con, np.array([1], dtype)) == "INTEGER"


def test_unsigned_integers_that_sqlite_has_not(con: wasqlite.Connection) -> None:
    assert stored(con, np.array([0, 2**63 - 1], "u8")) == [0, 2**63 - 1]
    with pytest.raises(OverflowError, match="too large to convert to SQLite INTEGER") as caught:
        con.ingest("t", {"x": np.array([5] * 3000 + [2**63], "u8")}, mode="replace")
    assert caught.value.__notes__ == ["column 'x', row 3000 (counted from 0)"]
    assert stored(con, np.ma.MaskedArray(np.array([1, 2**63], "u8"), mask=[False, True])) == [1, None]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8"])
def test_floats(con: wasqlite.Connection, dtype: str) -> None:
    values = np.array([0.1, -0.0, np.inf, 65504], dtype)
    assert stored(con, values) == [float(value) for value in values]
    assert declared(con, values) == "REAL"


def test_nan_is_null_as_in_the_stdlib(con: wasqlite.Connection) -> None:
    native = sqlite3.connect(":memory:")
    assert stored(con, np.array([1.5, np.nan])) == [
        native.execute("select ?", (x,)).fetchone()[0] for x in (1.5, np.nan)
    ]
    native.close()


def test_booleans(con: wasqlite.Connection) -> None:
    assert stored(con, np.array([True, False])) == [1, 0]


def test_masks_are_nulls(con: wasqlite.Connection) -> None:
    assert stored(con, np.ma.MaskedArray([1, 2, 3], mask=[False, True, False])) == [1, None, 3]
    assert stored(con, np.ma.MaskedArray(["a", "b"], mask=[True, False])) == [None, "b"]
    assert stored(con, np.ma.MaskedArray([1.5, 2.5], mask=True)) == [None, None]
    assert stored(con, np.ma.MaskedArray([1, 2])) == [1, 2]


def test_text(con: wasqlite.Connection) -> None:
    values = ["", "ä", "a\0b", "日本" * 50]
    assert stored(con, np.array(values, object)) == values
    assert stored(con, np.array(["a", "bcd"])) == ["a", "bcd"]
    assert declared(con, np.array(["a"])) == "TEXT"
    if hasattr(np.dtypes, "StringDType"):
        assert stored(con, np.array(values, np.dtypes.StringDType())) == values
        kind = np.dtypes.StringDType(na_object=None)
        assert stored(con, np.array(["a", None], kind)) == ["a", None]


def test_lone_surrogates_are_refused(con: wasqlite.Connection) -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        stored(con, ["a", "b", "\ud800"])
    assert caught.value.__notes__ == ["column 'x', row 2 (counted from 0)"]


def test_objects_and_lists_are_taken_as_executemany_takes_them(con: wasqlite.Connection) -> None:
    values = [1, 2.5, "x", b"y", None, True, bytearray(b"z")]
    assert stored(con, values) == [1, 2.5, "x", b"y", None, 1, b"z"]
    assert stored(con, tuple(values)) == stored(con, np.array(values, object))
    assert stored(con, range(5)) == [0, 1, 2, 3, 4]
    assert declared(con, values) == ""
    assert declared(con, [1, None]) == "INTEGER"
    assert declared(con, [1, 2.5]) == ""  # REAL would make a float of the integer


def test_scalars_of_numpy_are_numbers_not_bytes(con: wasqlite.Connection) -> None:
    assert stored(con, [np.int32(5), np.float32(0.5), np.bool_(True), np.str_("x"), 7]) == [5, 0.5, 1, "x", 7]


class Point:
    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __conform__(self, protocol: Any) -> str:
        if self.x < 0:
            raise ValueError("not there")
        return f"{self.x};{self.y}"


def test_objects_are_adapted(con: wasqlite.Connection) -> None:
    assert stored(con, [Point(1, 2), None, Point(3, 4)]) == ["1;2", None, "3;4"]
    with pytest.raises(ValueError, match="not there") as caught:
        con.ingest("t", {"y": [1, 2], "x": [Point(1, 2), Point(-1, 2)]}, mode="replace")
    assert caught.value.__notes__ == ["column 'x', row 1 (counted from 0)"]


@pytest.mark.filterwarnings("ignore:The default date.* adapter:DeprecationWarning")
def test_dates_as_objects_are_written_as_dates_of_numpy(con: wasqlite.Connection) -> None:
    assert stored(con, DATES) == stored(con, np.array(DATES, "datetime64[D]"))
    assert stored(con, MOMENTS) == stored(con, np.array(MOMENTS, "datetime64[us]"))


def test_values_that_cannot_be_stored(con: wasqlite.Connection) -> None:
    with pytest.raises(wasqlite.ProgrammingError, match="type 'complex' is not supported") as caught:
        stored(con, [1, 2, 1j])
    assert caught.value.__notes__ == ["column 'x', row 2 (counted from 0)"]
    with pytest.raises(OverflowError):
        stored(con, [2**63])


def adapted(value: datetime.date | None) -> str | None:
    """What the stdlib's adapters make of it."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    return None if value is None else value.isoformat()


DATES = [datetime.date(1, 1, 1), None, datetime.date(1969, 12, 31), datetime.date(9999, 12, 31)]
MOMENTS = [
    datetime.datetime(2024, 2, 29, 13, 14, 15),
    None,
    datetime.datetime(1677, 12, 31, 23, 59, 59, 999999),
    datetime.datetime(2024, 2, 29, 13, 14, 15, 120000),
]


def test_dates(con: wasqlite.Connection) -> None:
    values = np.array(DATES, "datetime64[D]")
    assert stored(con, values) == [adapted(value) for value in DATES]
    assert declared(con, values) == "DATE"
    assert stored(con, np.array(["2024-03", "NaT"], "datetime64[M]")) == ["2024-03-01", None]


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_moments(con: wasqlite.Connection, unit: str) -> None:
    values = np.array(MOMENTS, "datetime64[us]").astype(f"datetime64[{unit}]")
    values = values[[0, 1, 3]] if unit == "ns" else values
    expected = [MOMENTS[0], MOMENTS[1], MOMENTS[3]] if unit == "ns" else MOMENTS
    assert stored(con, values) == [adapted(value) for value in expected]
    assert declared(con, values) == "TIMESTAMP"


def test_moments_of_other_precision(con: wasqlite.Connection) -> None:
    assert stored(con, np.array(["2024-02-29T13:14:15"], "M8[s]")) == ["2024-02-29 13:14:15"]
    assert stored(con, np.array(["2024-02-29T13"], "M8[h]")) == ["2024-02-29 13:00:00"]
    assert stored(con, np.array(["2024-02-29T13:14:15.5"], "M8[ms]")) == ["2024-02-29 13:14:15.500000"]
    assert stored(con, np.array(["2024-02-29T13:14:15.000000001"], "M8[ns]")) == ["2024-02-29 13:14:15.000000001"]


def test_years_without_four_digits(con: wasqlite.Connection) -> None:
    with pytest.raises(wasqlite.DataError, match="not within the years 1 to 9999"):
        stored(con, np.array(["2024-01-01", "10000-01-01"], "M8[D]"))


@pytest.mark.parametrize(
    "values",
    [np.array([1j]), np.array([1], "m8[s]"), np.zeros(2, "i4,i4"), np.array([1], "M8[ps]"), np.array([1], "M8[5s]")],
)
def test_dtypes_that_sqlite_has_no_storage_class_for(con: wasqlite.Connection, values: Any) -> None:
    with pytest.raises(TypeError, match="which SQLite has no storage class for"):
        stored(con, values)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"x": np.zeros((2, 2))}, ValueError, "2 dimensions"),
        ({"x": np.array(5)}, ValueError, "0 dimensions"),
        ({"x": "abc"}, ValueError, "0 dimensions"),
        ({"x": [1], "y": [1, 2]}, ValueError, "different lengths: {'x': 1, 'y': 2}"),
        ({}, wasqlite.ProgrammingError, "no columns"),
        ([(1, 2)], TypeError, "not list"),
        ({5: [1]}, TypeError, "a name must be str, not int"),
    ],
)
def test_what_is_no_table(con: wasqlite.Connection, data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        con.ingest("t", data)
    assert con.execute("select * from sqlite_master").fetchall() == []


def test_many_rows_in_few_calls(con: wasqlite.Connection) -> None:
    count = 200_000
    data = {"i": np.arange(count), "f": np.arange(count) / 2, "s": [str(i) for i in range(count)]}
    assert con.ingest("t", data) == count
    assert con.execute("select count(*), sum(i), sum(f), max(length(s)) from t where s = i").fetchone() == (
        count, count * (count - 1) // 2, count * (count - 1) / 4, 6,
    )  # fmt: skip
    back = con.execute("select * from t").fetch_numpy()
    assert all(np.array_equal(back[name], np.asarray(values)) for name, values in data.items() if name != "s")


def test_huge_values_go_in_small_chunks(con: wasqlite.Connection) -> None:
    blobs = [bytes([i]) * (3 << 20) for i in range(12)]
    assert stored(con, blobs) == blobs


# -- modes -----------------------------------------------------------------------------------------------------


def test_modes(con: wasqlite.Connection) -> None:
    def rows() -> list[Any]:
        return con.execute("select * from t").fetchall()

    with pytest.raises(wasqlite.OperationalError, match="no such table"):
        con.ingest("t", {"x": [1]}, mode="append")
    con.ingest("t", {"x": [1]})
    with pytest.raises(wasqlite.OperationalError, match="already exists"):
        con.ingest("t", {"x": [2]})
    con.ingest("t", {"x": [3]}, mode="append")
    con.ingest("t", {"x": [4]}, mode="create_append")
    assert rows() == [(1,), (3,), (4,)]
    con.ingest("t", {"y": ["a"], "z": [None]}, mode="replace")
    assert rows() == [("a", None)]
    con.ingest("u", {"x": [5]}, mode="create_append")
    assert con.execute("select * from u").fetchall() == [(5,)]
    with pytest.raises(ValueError, match="mode must be one of create, append, replace, create_append, not 'upsert'"):
        con.ingest("t", {"x": [1]}, mode="upsert")


def test_append_goes_by_the_names_of_columns(con: wasqlite.Connection) -> None:
    con.execute("create table t(id integer primary key, a text default 'd', b integer)")
    con.ingest("t", {"b": [1, 2]}, mode="append")
    con.ingest("t", {"b": [3], "id": [10]}, mode="append")
    assert con.execute("select * from t").fetchall() == [(1, "d", 1), (2, "d", 2), (10, "d", 3)]
    with pytest.raises(wasqlite.OperationalError, match="no column named c"):
        con.ingest("t", {"c": [1]}, mode="append")


def test_names_are_quoted(con: wasqlite.Connection) -> None:
    con.ingest('a "table"; --', {'col"umn': [1], "select": [2], "": [3], "x y": [4]})
    (row,) = con.execute('select * from "a ""table""; --"')
    assert row == (1, 2, 3, 4)


def test_other_schemas(con: wasqlite.Connection) -> None:
    con.execute("attach ':memory:' as other")
    con.ingest("t", {"x": [1]}, schema="temp")
    con.ingest("t", {"x": [2]}, schema="other")
    assert con.execute("select * from temp.t, other.t").fetchall() == [(1, 2)]


def test_no_rows(con: wasqlite.Connection) -> None:
    assert con.ingest("t", {"x": np.zeros(0, "i8"), "y": []}) == 0
    assert con.execute("select sql from sqlite_master").fetchall() == [('CREATE TABLE "t" ("x" INTEGER, "y")',)]


# -- transactions ----------------------------------------------------------------------------------------------

BAD = {"x": [*range(5000), 7]}


@pytest.fixture
def unique(con: wasqlite.Connection) -> wasqlite.Connection:
    """A table that takes a value once."""
    con.execute("create table t(x integer primary key)")
    return con


def test_an_error_leaves_nothing_and_names_the_row(unique: wasqlite.Connection) -> None:
    with pytest.raises(wasqlite.IntegrityError, match=r"UNIQUE constraint failed: t\.x") as caught:
        unique.ingest("t", BAD, mode="append")
    assert caught.value.__notes__ == ["row 5000 (counted from 0)"]
    assert not unique.in_transaction
    assert unique.execute("select * from t").fetchall() == []


def test_the_transaction_is_left_to_the_caller_as_by_executemany(unique: wasqlite.Connection) -> None:
    unique.ingest("t", {"x": [1]}, mode="append")
    assert unique.in_transaction
    unique.rollback()
    assert unique.execute("select * from t").fetchall() == []
    with unique:
        unique.ingest("t", {"x": [1]}, mode="append")
    assert not unique.in_transaction
    assert unique.execute("select * from t").fetchall() == [(1,)]


def test_a_transaction_that_was_open_goes_on_after_an_error(unique: wasqlite.Connection) -> None:
    unique.execute("insert into t values (-1)")
    with pytest.raises(wasqlite.IntegrityError):
        unique.ingest("t", BAD, mode="append")
    assert unique.in_transaction
    unique.commit()
    assert unique.execute("select * from t").fetchall() == [(-1,)]


def test_autocommit(connect: Connect) -> None:
    for keywords in ({"autocommit": True}, {"isolation_level": None}):
        con = connect(**keywords)
        con.ingest("t", {"x": [1]})
        assert not con.in_transaction
        with pytest.raises(wasqlite.OperationalError):
            con.ingest("t", {"y": [1]}, mode="append")
        assert not con.in_transaction
    con = connect(autocommit=False)
    con.ingest("t", {"x": [1]})
    con.rollback()
    assert con.execute("select * from sqlite_master").fetchall() == []


def test_a_replaced_table_comes_back_after_an_error(con: wasqlite.Connection) -> None:
    con.ingest("t", {"x": [1, 2]})
    con.commit()
    with pytest.raises(wasqlite.ProgrammingError):
        con.ingest("t", {"x": [1, object()]}, mode="replace")
    assert con.execute("select * from t").fetchall() == [(1,), (2,)]


def test_a_transaction_that_sqlite_has_rolled_back(con: wasqlite.Connection) -> None:
    con.execute("create table t(x unique on conflict rollback)")
    with pytest.raises(wasqlite.IntegrityError, match="UNIQUE"):
        con.ingest("t", {"x": [1, 1]}, mode="append")
    assert not con.in_transaction


def test_a_closed_connection(con: wasqlite.Connection) -> None:
    con.close()
    with pytest.raises(wasqlite.ProgrammingError, match="closed database"):
        con.ingest("t", {"x": [1]})
