"""``fetch_arrow``: what pyarrow, polars, duckdb and nanoarrow make of it is what ``fetchall`` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wasqlite

pytest.importorskip("nanoarrow")
pa = pytest.importorskip("pyarrow")

Connect = Callable[..., wasqlite.Connection]


def fill(con: wasqlite.Connection, declared: str, values: list[Any]) -> None:
    con.execute(f"create table t(x {declared})")
    con.executemany("insert into t values (?)", [(value,) for value in values])


def column(con: wasqlite.Connection, values: list[Any], kind: Any = None, declared: str = "") -> Any:
    fill(con, declared, values)
    return table(con.execute("select x from t").fetch_arrow(types={"x": kind} if kind else None))["x"]


def table(found: Any) -> Any:
    made = pa.table(found)
    made.validate(full=True)
    return made


MIXED = [
    (1, 2.5, "a", b"x", None),
    (None, None, None, None, None),
    (-(2**63), float("inf"), "ä\0b", b"", None),
    (2**63 - 1, -0.0, "", b"\xff\0", None),
    (7, 1.0, "日本", None, None),
] * 5


@pytest.fixture
def mixed(con: wasqlite.Connection) -> wasqlite.Connection:
    """A table of all storage classes, with NULLs."""
    con.execute("create table t(i integer, f real, s text, b blob, n)")
    con.executemany("insert into t values (?, ?, ?, ?, ?)", MIXED)
    return con


def test_pyarrow(mixed: wasqlite.Connection, batch_rows: int | None) -> None:
    found = table(mixed.execute("select * from t").fetch_arrow())
    assert found.schema == pa.schema(
        {"i": pa.int64(), "f": pa.float64(), "s": pa.string(), "b": pa.binary(), "n": pa.null()}
    )
    assert list(zip(*(c.to_pylist() for c in found.columns), strict=True)) == MIXED
    assert [c.null_count for c in found.columns] == [5, 5, 5, 10, 25]


def test_polars(mixed: wasqlite.Connection, batch_rows: int | None) -> None:
    pl = pytest.importorskip("polars")
    assert pl.DataFrame(mixed.execute("select * from t").fetch_arrow()).rows() == MIXED
    assert pl.DataFrame(mixed.execute("select * from t").fetch_arrow_batches(4)).rows() == MIXED


def test_duckdb(mixed: wasqlite.Connection, batch_rows: int | None) -> None:
    duckdb = pytest.importorskip("duckdb")
    found = mixed.execute("select i, f, s, b from t").fetch_arrow()
    with duckdb.connect() as other:
        other.register("found", found)
        assert other.execute("select * from found").fetchall() == [row[:4] for row in MIXED]
        assert other.execute("select count(*), count(i), min(s) from found").fetchall() == [(25, 20, "")]


def test_duckdb_reads_a_stream_in_its_own_threads(mixed: wasqlite.Connection) -> None:
    duckdb = pytest.importorskip("duckdb")
    mixed.execute("create table big as with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000)"
                  " select i, 'value ' || i as s from n")  # fmt: skip
    stream = mixed.execute("select * from big").fetch_arrow_batches(1000)
    with duckdb.connect() as other:
        other.execute("set threads = 4")
        other.register("stream", stream)
        assert other.execute("select sum(i), max(length(s)), count(distinct s) from stream").fetchall() == [
            (50000 * 50001 // 2, 11, 50000)
        ]
    assert stream.error is None


def test_nanoarrow(mixed: wasqlite.Connection) -> None:
    na = pytest.importorskip("nanoarrow")
    found = na.Array(mixed.execute("select i, s from t").fetch_arrow())
    assert list(found.iter_tuples()) == [(row[0], row[2]) for row in MIXED]


def test_a_table_can_be_read_more_than_once_and_without_its_connection(mixed: wasqlite.Connection) -> None:
    found = mixed.execute("select * from t").fetch_arrow()
    mixed.close()
    assert table(found) == table(found)
    assert (len(found), found.num_rows, found.column_names) == (25, 25, ["i", "f", "s", "b", "n"])
    assert pa.schema(found) == table(found).schema
    assert repr(found) == "<wasqlite.ArrowTable: 25 rows of i int64, f float64, s text, b blob, n null>"


def test_buffers_outlive_everything(con: wasqlite.Connection) -> None:
    fill(con, "", ["abc"] * 2000)
    found = table(con.execute("select x, x as y, 5 as z from t").fetch_arrow())
    con.close()
    del con
    assert found["y"].to_pylist() == ["abc"] * 2000
    assert found["z"].to_pylist() == [5] * 2000


def test_buffers_are_not_copied_by_the_consumer(con: wasqlite.Connection) -> None:
    fill(con, "", list(range(5000)))
    found = con.execute("select x from t").fetch_arrow()
    first, second = (pa.table(found)["x"].chunk(0).buffers()[1].address for _ in range(2))
    assert first == second


def test_the_first_rows_have_no_batch_of_their_own(con: wasqlite.Connection) -> None:
    fill(con, "", list(range(5000)))
    assert table(con.execute("select x from t").fetch_arrow())["x"].num_chunks == 1
    batches = list(con.execute("select x from t").fetch_arrow_batches(2000))
    assert [len(batch) for batch in batches] == [2000, 2000, 1000]


@pytest.mark.parametrize(
    ("declared", "kind"),
    [("integer", pa.int64()), ("real", pa.float64()), ("text", pa.string()), ("blob", pa.binary()), ("", pa.null())],
)
@pytest.mark.parametrize("values", [[], [None], [None] * 5])
def test_without_values_the_declared_type_decides(
    con: wasqlite.Connection, values: list[None], declared: str, kind: Any
) -> None:
    found = column(con, values, declared=declared)
    assert found.type == kind
    assert found.to_pylist() == values


@pytest.mark.parametrize(
    ("kind", "arrow", "values"),
    [
        ("bool", pa.bool_(), [0, None, 1, 1, 0, 0, 1, 1, 1, None]),
        ("int8", pa.int8(), [-128, None, 127]),
        ("uint16", pa.uint16(), [0, None, 2**16 - 1]),
        ("float32", pa.float32(), [1, None, 0.5]),
        ("float64", pa.float64(), [1, None, 0.5]),
        ("blob", pa.binary(), ["ä", None, b"x"]),
        (pa.int32(), pa.int32(), [5, None]),
        (pa.large_string(), pa.large_string(), ["ä", None, "b"]),
        (pa.large_binary(), pa.large_binary(), [b"a", None, b""]),
        (pa.null(), pa.null(), [None, None]),
    ],
)
def test_wanted_types(
    con: wasqlite.Connection, batch_rows: int | None, kind: Any, arrow: Any, values: list[Any]
) -> None:
    found = column(con, values, kind)
    assert found.type == arrow
    assert found.to_pylist() == [value.encode() if kind == "blob" and type(value) is str else value for value in values]


def test_wanted_types_have_to_hold_every_value(con: wasqlite.Connection, batch_rows: int | None) -> None:
    fill(con, "", [1, 2, None, 300])
    for kind in ("int8", pa.int8()):
        with pytest.raises(wasqlite.DataError, match=r"'x' has the integer 300 in row 3 .* int8, by types="):
            con.execute("select x from t").fetch_arrow(types={"x": kind})


@pytest.mark.parametrize("kind", [pa.date32(), pa.list_(pa.int64()), "object", "decimal", pa.timestamp("s")])
def test_types_that_there_are_not(con: wasqlite.Connection, kind: Any) -> None:
    cursor = con.execute("select 1 as x")
    with pytest.raises(ValueError, match=r"type"):
        cursor.fetch_arrow(types={"x": kind})
    assert cursor.fetchall() == [(1,)]


def test_a_column_of_mixed_classes_is_refused(con: wasqlite.Connection, batch_rows: int | None) -> None:
    fill(con, "", [None, 1, 2.5, 7, "x"])
    with pytest.raises(wasqlite.DataError, match="INTEGER in row 1 and REAL in row 2 and TEXT in row 4"):
        con.execute("select x from t").fetch_arrow()
    assert table(con.execute("select x from t limit 4").fetch_arrow())["x"].to_pylist() == [None, 1.0, 2.5, 7.0]


def test_text_that_is_not_utf8_gets_to_no_consumer(con: wasqlite.Connection, batch_rows: int | None) -> None:
    con.execute("create table t(x)")
    con.execute("insert into t values ('a'), ('b'), ('ä'), (null), (cast(x'61ff' as text))")
    with pytest.raises(wasqlite.OperationalError, match="Could not decode to UTF-8 column 'x' with text 'a\ufffd'"):
        con.execute("select x from t").fetch_arrow()
    assert table(con.execute("select x from t").fetch_arrow(types={"x": "blob"}))["x"][4].as_py() == b"a\xff"


def test_text_that_is_utf8_only_with_its_neighbour(con: wasqlite.Connection) -> None:
    # Packed one after the other, the bytes of these two are those of an "ä".
    con.execute("create table t(x)")
    con.execute("insert into t values ('a'), ('b'), ('c'), (cast(x'c3' as text)), (cast(x'a4' as text)), ('d')")
    with pytest.raises(wasqlite.OperationalError, match="Could not decode to UTF-8 column 'x'"):
        con.execute("select x from t").fetch_arrow()


def test_columns_of_the_same_name(con: wasqlite.Connection) -> None:
    found = table(con.execute("select 1 as a, 'x' as a").fetch_arrow())
    assert found.column_names == ["a", "a"]
    assert [c.to_pylist() for c in found.columns] == [[1], ["x"]]


def test_big_values_make_small_batches(con: wasqlite.Connection) -> None:
    con.execute("create table t(x)")
    con.executemany("insert into t values (zeroblob(?))", [(3 << 20,)] * 8)
    found = table(con.execute("select x from t").fetch_arrow())["x"]
    assert [len(value.as_py()) for value in found] == [3 << 20] * 8
    assert found.num_chunks > 1


def test_returning_counts_its_changes(con: wasqlite.Connection, batch_rows: int | None) -> None:
    fill(con, "", list(range(30)))
    cursor = con.execute("delete from t where x >= 10 returning x")
    assert table(cursor.fetch_arrow())["x"].to_pylist() == list(range(10, 30))
    assert cursor.rowcount == 20


def test_utf16_databases(connect: Connect) -> None:
    con = connect()
    con.execute("pragma encoding = 'UTF-16le'")
    fill(con, "", ["ä", None, "", "a" * 100, "日本"])
    assert table(con.execute("select x from t").fetch_arrow())["x"].to_pylist() == ["ä", None, "", "a" * 100, "日本"]
