"""``ingest`` of Arrow data from pyarrow, polars, duckdb and wasqlite itself."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import wasqlite

pytest.importorskip("nanoarrow")
pa = pytest.importorskip("pyarrow")

LONG = "longer than twelve bytes: "
UTC = datetime.UTC


def stored(con: wasqlite.Connection, array: Any) -> list[Any]:
    """What an array is after a way through a table; a slice of it, too."""
    found = []
    for part in (array, array.slice(1), array.slice(1, 2), array.slice(0, 0)):
        assert con.ingest("t", pa.table({"x": part}), mode="replace") == len(part)
        found.append([value for (value,) in con.execute("select x from t")])
    assert found[1:] == [found[0][1:], found[0][1:3], []]
    return found[0]


def declared(con: wasqlite.Connection) -> str:
    (row,) = con.execute("select type from pragma_table_info('t')")
    return row[0]


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_integers(con: wasqlite.Connection, kind: str) -> None:
    values = [1, None, 127, 0, None, 5, 6, 7, 8, 9]
    assert stored(con, pa.array(values, kind)) == values
    assert declared(con) == "INTEGER"


def test_integers_that_sqlite_has_not(con: wasqlite.Connection) -> None:
    with pytest.raises(OverflowError, match="too large to convert to SQLite INTEGER") as caught:
        con.ingest("t", pa.table({"x": pa.array([1, None, 2**63], "uint64")}))
    assert caught.value.__notes__ == ["column 'x', row 2 (counted from 0)"]
    assert not con.in_transaction


@pytest.mark.parametrize(
    ("kind", "values", "type_name"),
    [
        ("halffloat", [0.5, None, 65504.0], "REAL"),
        ("float32", [0.5, None, 1e30], "REAL"),
        ("float64", [0.1, None, -0.0, float("inf")], "REAL"),
        ("bool", [True, None, False, True, True, True, False, False, None, True], "INTEGER"),
        ("string", ["", None, "ä", "a\0b", LONG], "TEXT"),
        ("large_string", ["", None, "ä", "a\0b", LONG], "TEXT"),
        ("binary", [b"", None, b"\xff\0"], "BLOB"),
        ("large_binary", [b"", None, b"\xff\0"], "BLOB"),
        ("null", [None, None, None], ""),
        ("date32", [datetime.date(2024, 2, 29), None, datetime.date(1, 1, 1)], "DATE"),
        ("date64", [datetime.date(2024, 2, 29), None, datetime.date(1, 1, 1)], "DATE"),
    ],
)
def test_values(con: wasqlite.Connection, kind: str, values: list[Any], type_name: str) -> None:
    if kind == "halffloat":
        array = pa.array([value and np.float16(value) for value in values], pa.float16())
    else:
        array = pa.array(values, kind)
    expected = [v.isoformat() if isinstance(v, datetime.date) else v for v in array.to_pylist()]
    assert stored(con, array) == expected
    assert declared(con) == type_name


def test_fixed_size_binary(con: wasqlite.Connection) -> None:
    assert stored(con, pa.array([b"ab", None, b"cd"], pa.binary(2))) == [b"ab", None, b"cd"]


@pytest.mark.parametrize("kind", ["string_view", "binary_view"])
def test_views(con: wasqlite.Connection, kind: str) -> None:
    texts = ["short", None, LONG + "a", "", "exactly 12 b", LONG + "ä", None, LONG * 9]
    values = [v if v is None or kind == "string_view" else v.encode() for v in texts]
    assert stored(con, pa.array(values, getattr(pa, kind)())) == values


def test_views_into_several_buffers(con: wasqlite.Connection) -> None:
    pl = pytest.importorskip("polars")
    values = [f"{LONG}{i}" if i % 3 else f"s{i}" for i in range(500)]
    frame = pl.concat([pl.DataFrame({"x": values[i : i + 100]}) for i in range(0, 500, 100)]).rechunk()
    con.ingest("t", frame)
    assert [value for (value,) in con.execute("select x from t")] == values


@pytest.mark.parametrize(
    "values",
    [["a", "b", None, "a", LONG], [1, None, 2, 1], [0.5, None], [b"x", b"", None], [datetime.date(2024, 1, 2), None]],
)
def test_dictionaries(con: wasqlite.Connection, values: list[Any]) -> None:
    expected = [v.isoformat() if isinstance(v, datetime.date) else v for v in values]
    assert stored(con, pa.array(values).dictionary_encode()) == expected


def test_a_dictionary_without_values(con: wasqlite.Connection) -> None:
    assert stored(con, pa.array([None, None], "string").dictionary_encode()) == [None, None]


def test_nulls_within_a_dictionary(con: wasqlite.Connection) -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2], "int8"), pa.array(["a", None, "c"]))
    assert stored(con, array) == ["a", None, None, "c"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_timestamps_are_text_as_the_stdlibs_adapters_write_it(
    con: wasqlite.Connection, unit: str, zone: str | None
) -> None:
    values = [
        datetime.datetime(2024, 2, 29, 13, 14, 15, tzinfo=zone and UTC),
        None,
        datetime.datetime(1969, 12, 31, 23, 59, 59, 0 if unit == "s" else 250000, tzinfo=zone and UTC),
    ]
    found = stored(con, pa.array(values, pa.timestamp(unit, zone)))
    assert found == [value and value.isoformat(" ") for value in values]
    assert declared(con) == "TIMESTAMP"


def test_nanoseconds_are_kept(con: wasqlite.Connection) -> None:
    array = pa.array([1, 1000, 10**9, None], pa.timestamp("ns"))
    assert stored(con, array) == [
        "1970-01-01 00:00:00.000000001", "1970-01-01 00:00:00.000001", "1970-01-01 00:00:01", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "array",
    [
        pa.array([Decimal("1.5")]),
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array([datetime.time(1, 2)]),
        pa.array([5], pa.duration("s")),
        pa.array([Decimal("1.5")]).dictionary_encode(),
    ],
)
def test_types_that_sqlite_has_no_storage_class_for(con: wasqlite.Connection, array: Any) -> None:
    with pytest.raises(wasqlite.NotSupportedError, match="which SQLite has no storage class for: cast it first"):
        con.ingest("t", pa.table({"x": array}))
    assert con.execute("select * from sqlite_master").fetchall() == []


def test_nulls_that_have_bytes(con: wasqlite.Connection) -> None:
    offsets, data = pa.array([0, 1, 3, 4], "int32").buffers()[1], pa.py_buffer(b"abbc")
    array = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), offsets, data])
    assert array.to_pylist() == ["a", None, "c"]
    assert stored(con, array) == ["a", None, "c"]


def test_text_that_is_not_utf8(con: wasqlite.Connection) -> None:
    offsets, data = pa.array([0, 1, 2], "int32").buffers()[1], pa.py_buffer(b"a\xff")
    array = pa.Array.from_buffers(pa.string(), 2, [None, offsets, data])
    with pytest.raises(wasqlite.DataError, match="not UTF-8") as caught:
        con.ingest("t", pa.table({"x": array}))
    assert caught.value.__notes__ == ["column 'x', row 1 (counted from 0)"]


def test_tables_of_several_chunks_and_lazy_readers(con: wasqlite.Connection) -> None:
    whole = pa.table({"i": pa.chunked_array([[1, 2], [], [3, None]]), "s": pa.chunked_array([["a"], [None, "c", "d"]])})
    con.ingest("t", whole)
    con.ingest("t", whole.to_reader(max_chunksize=1), mode="append")
    con.ingest("t", whole.to_batches()[0], mode="append")
    assert con.execute("select * from t").fetchall() == [(1, "a"), (2, None), (3, "c"), (None, "d")] * 2 + [(1, "a")]


def test_rows_are_counted_over_all_batches(con: wasqlite.Connection) -> None:
    con.execute("create table t(x integer primary key)")
    with pytest.raises(wasqlite.IntegrityError) as caught:
        con.ingest("t", pa.table({"x": pa.chunked_array([[1, 2, 3], [4, 5], [6, 2]])}), mode="append")
    assert caught.value.__notes__ == ["row 6 (counted from 0)"]


def test_what_is_no_table(con: wasqlite.Connection) -> None:
    with pytest.raises(TypeError, match=r"a table is needed, whose Arrow type is a struct, not .*int64"):
        con.ingest("t", pa.array([1, 2]))
    with pytest.raises(TypeError, match="column 'x' is Arrow data: pass the whole table"):
        con.ingest("t", {"x": pa.array([1, 2])})
    structs = pa.array([{"a": 1}, None])
    with pytest.raises(TypeError, match="NULL as a whole"):
        con.ingest("t", structs)
    assert con.execute("select * from sqlite_master").fetchall() == []


def test_a_reader_that_fails_leaves_nothing(con: wasqlite.Connection) -> None:
    def batches() -> Any:
        yield pa.record_batch({"x": [1, 2]})
        raise RuntimeError("no more")

    with pytest.raises(Exception, match="no more"):
        con.ingest("t", pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int64()}), batches()))
    assert con.execute("select * from sqlite_master").fetchall() == []
    assert not con.in_transaction


def test_polars(con: wasqlite.Connection) -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "i": [1, None, 3],
            "s": ["a", None, LONG],
            "c": pl.Series(["u", "v", None], dtype=pl.Categorical),
            "d": [datetime.date(2024, 1, 2), None, datetime.date(2024, 1, 3)],
            "t": [datetime.datetime(2024, 1, 2, 3, 4, 5), None, datetime.datetime(2024, 1, 2, 3, 4, 5, 6)],
            "b": [True, None, False],
        }
    )
    con.ingest("t", frame)
    assert con.execute("select * from t").fetchall() == [
        (1, "a", "u", "2024-01-02", "2024-01-02 03:04:05", 1),
        (None, None, "v", None, None, None),
        (3, LONG, None, "2024-01-03", "2024-01-02 03:04:05.000006", 0),
    ]
    assert pl.DataFrame(con.execute("select i, s from t").fetch_arrow()).equals(frame.select("i", "s"))


def test_duckdb(con: wasqlite.Connection) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as other:
        relation = other.sql("select i, 'v' || i as s from range(5000) r(i)")
        con.ingest("t", relation)
    assert con.execute("select count(*), sum(i), max(s) from t").fetchall() == [(5000, 4999 * 2500, "v999")]


def test_from_one_connection_to_another_and_to_itself(con: wasqlite.Connection) -> None:
    other = wasqlite.connect(":memory:")
    con.ingest("t", {"i": range(5000), "s": [None, "x"] * 2500})
    query = con.execute("select * from t")
    assert other.ingest("t", query.fetch_arrow_batches(700)) == 5000
    assert con.ingest("u", con.execute("select * from t").fetch_arrow_batches(700)) == 5000
    assert con.ingest("v", con.execute("select * from t").fetch_arrow()) == 5000
    rows = con.execute("select * from t").fetchall()
    assert other.execute("select * from t").fetchall() == rows
    assert con.execute("select * from u").fetchall() == con.execute("select * from v").fetchall() == rows
    other.close()
