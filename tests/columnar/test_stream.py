"""Lazy Arrow streams: read as they are asked for, closed early, failing in the middle, outliving what made them."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import wasqlite

pytest.importorskip("nanoarrow")
pa = pytest.importorskip("pyarrow")

Connect = Callable[..., wasqlite.Connection]


def fill(con: wasqlite.Connection, values: list[Any]) -> None:
    con.execute("create table t(x)")
    con.executemany("insert into t values (?)", [(value,) for value in values])
    con.commit()


def reader(stream: Any) -> Any:
    return pa.RecordBatchReader.from_stream(stream)


def test_all_of_it(con: wasqlite.Connection, batch_rows: int | None) -> None:
    fill(con, list(range(100)))
    stream = con.execute("select x from t").fetch_arrow_batches(10)
    assert stream.column_names == ["x"]
    assert repr(stream) == "<wasqlite.ArrowStream of x int64>"
    assert pa.schema(stream) == pa.schema({"x": pa.int64()})
    found = pa.table(stream)
    found.validate(full=True)
    assert found["x"].to_pylist() == list(range(100))
    assert max(map(len, found["x"].chunks)) <= 10
    assert stream.error is None


def test_no_rows(con: wasqlite.Connection) -> None:
    con.execute("create table t(x text)")
    stream = con.execute("select x from t").fetch_arrow_batches()
    assert list(stream) == []
    found = pa.table(con.execute("select x from t").fetch_arrow_batches())
    assert (found.schema, found.num_rows) == (pa.schema({"x": pa.string()}), 0)


def test_batches_are_read_when_they_are_wanted(con: wasqlite.Connection) -> None:
    fill(con, list(range(100)))
    batches = reader(con.execute("select x from t").fetch_arrow_batches(10))
    assert batches.read_next_batch()["x"].to_pylist() == list(range(10))
    con.execute("update t set x = -1 where x = 95")
    assert -1 in batches.read_all()["x"].to_pylist()


def test_iteration_gives_record_batches(con: wasqlite.Connection) -> None:
    fill(con, list(range(25)))
    with con.execute("select x from t").fetch_arrow_batches(10) as stream:
        assert [pa.record_batch(batch)["x"].to_pylist()[0] for batch in stream] == [0, 10, 20]


def test_rows_are_handed_out_once(con: wasqlite.Connection) -> None:
    stream = con.execute("select 1 as x").fetch_arrow_batches()
    pa.table(stream)
    for again in (lambda: pa.table(stream), lambda: next(stream)):
        with pytest.raises(wasqlite.ProgrammingError, match="handed out already"):
            again()


def test_types_are_decided_by_the_first_batch_or_by_the_caller(con: wasqlite.Connection) -> None:
    fill(con, [1, None, 3, 4.5])
    stream = con.execute("select x from t").fetch_arrow_batches(2)
    with pytest.raises(Exception, match=r"has REAL in row 3 .* its type is int64, by the first 2 rows"):
        pa.table(stream)
    assert isinstance(stream.error, wasqlite.DataError)
    stream = con.execute("select x from t").fetch_arrow_batches(2, types={"x": pa.float64()})
    assert pa.table(stream)["x"].to_pylist() == [1.0, None, 3.0, 4.5]


def test_a_wrong_first_batch_is_the_callers_error(con: wasqlite.Connection) -> None:
    fill(con, [1, "x", 5])
    with pytest.raises(wasqlite.DataError, match="INTEGER in row 0 and TEXT in row 1"):
        con.execute("select x from t").fetch_arrow_batches(2)
    con.execute("drop table t")  # nothing reads it any more


def test_an_error_in_the_middle(con: wasqlite.Connection) -> None:
    fill(con, [1] * 25 + [-(2**63)])
    stream = con.execute("select abs(x) as x from t").fetch_arrow_batches(10)
    batches = reader(stream)
    assert len(batches.read_next_batch()) == 10
    assert len(batches.read_next_batch()) == 10
    with pytest.raises(OSError, match=r"wasqlite\.OperationalError: integer overflow"):
        for _ in range(2):  # the rows before the error may come first
            batches.read_next_batch()
    assert isinstance(stream.error, wasqlite.OperationalError)
    assert stream.error.sqlite_errorname == "SQLITE_ERROR"
    with pytest.raises(OSError, match="integer overflow"):
        batches.read_next_batch()
    con.execute("drop table t")


def test_polars_sees_the_error(con: wasqlite.Connection) -> None:
    pl = pytest.importorskip("polars")
    fill(con, [1] * 25 + ["x"])
    with pytest.raises(Exception, match="TEXT in row 25"):
        pl.DataFrame(con.execute("select x from t").fetch_arrow_batches(10))


def test_closing_early_gives_the_lock_back(connect: Connect, tmp_path: Any) -> None:
    con, other = connect(tmp_path / "a.db"), connect(tmp_path / "a.db", timeout=0)
    fill(con, list(range(100)))
    with con.execute("select x from t").fetch_arrow_batches(10) as stream:
        next(stream)
        with pytest.raises(wasqlite.OperationalError, match="locked"):
            other.execute("insert into t values (1)")
            other.commit()
        other.rollback()
    other.execute("drop table t")
    with pytest.raises(wasqlite.ProgrammingError, match="given up"):
        next(stream)


def test_closing_what_a_consumer_reads_is_its_error(con: wasqlite.Connection) -> None:
    fill(con, list(range(100)))
    stream = con.execute("select x from t").fetch_arrow_batches(10)
    batches = reader(stream)
    batches.read_next_batch()
    stream.close()
    with pytest.raises(OSError, match="given up"):
        batches.read_next_batch()
    con.execute("drop table t")


@pytest.mark.parametrize("drop", ["never read", "half read", "capsule"])
def test_what_a_consumer_drops_gives_its_lock_back_with_the_next_operation(
    connect: Connect, tmp_path: Any, drop: str
) -> None:
    con, other = connect(tmp_path / "a.db"), connect(tmp_path / "a.db", timeout=0)
    fill(con, list(range(100)))
    stream: Any = con.execute("select x from t").fetch_arrow_batches(10)
    if drop == "capsule":
        stream = stream.__arrow_c_stream__()
    elif drop == "half read":
        stream = reader(stream)
        stream.read_next_batch()
    del stream
    gc.collect()
    con.execute("select 1")
    other.execute("drop table t")


def test_the_cursor_is_free(con: wasqlite.Connection) -> None:
    fill(con, list(range(100)))
    cursor = con.execute("select x from t")
    batches = reader(cursor.fetch_arrow_batches(10))
    assert cursor.fetchall() == []
    assert len(cursor.execute("select x from t").fetchall()) == 100
    cursor.close()
    del cursor
    assert batches.read_all()["x"].to_pylist() == list(range(100))


def test_a_stream_does_not_outlive_its_connection(con: wasqlite.Connection) -> None:
    fill(con, list(range(100)))
    stream = con.execute("select x from t").fetch_arrow_batches(10)
    batches = reader(stream)
    first = batches.read_next_batch()
    con.close()
    with pytest.raises(OSError, match="Cannot operate on a closed database"):
        batches.read_next_batch()
    assert first["x"].to_pylist() == list(range(10))
    stream.close()


def test_a_stream_keeps_its_connection() -> None:
    con = wasqlite.connect(":memory:")
    fill(con, list(range(100)))
    stream = con.execute("select x from t").fetch_arrow_batches(10)
    del con
    gc.collect()
    assert reader(stream).read_all()["x"].to_pylist() == list(range(100))
    stream._reader.source._connection.close()


def test_several_streams_at_once(con: wasqlite.Connection) -> None:
    fill(con, list(range(100)))
    all_readers = [reader(con.execute("select x + ? as x from t", (n,)).fetch_arrow_batches(7)) for n in range(20)]
    sums = [0] * 20
    for _ in range(15):
        for number, batches in enumerate(all_readers):
            sums[number] += sum(batches.read_next_batch()["x"].to_pylist())
    assert sums == [4950 + 100 * n for n in range(20)]


def test_c_functions_are_used_again(con: wasqlite.Connection) -> None:
    from wasqlite.columnar.arrow import c_stream

    pa.table(con.execute("select 1 as x").fetch_arrow_batches())
    idle = len(c_stream._idle)
    for _ in range(50):
        pa.table(con.execute("select 1 as x").fetch_arrow_batches())
    assert len(c_stream._idle) == idle


def test_other_threads_may_consume(con: wasqlite.Connection) -> None:
    fill(con, list(range(10000)))
    found: list[Any] = []
    streams = [con.execute("select x from t").fetch_arrow_batches(100) for _ in range(4)]
    capsules = [stream.__arrow_c_stream__() for stream in streams]

    def consume(capsule: Any) -> None:
        found.append(sum(pa.RecordBatchReader._import_from_c_capsule(capsule).read_all()["x"].to_pylist()))

    threads = [threading.Thread(target=consume, args=(capsule,)) for capsule in capsules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [sum(range(10000))] * 4


def test_a_released_schema_and_array_are_moved_not_shared(con: wasqlite.Connection) -> None:
    stream = con.execute("select 'abc' as x union all select 'd' union all select 'e'").fetch_arrow_batches(2)
    schema = pa.schema(stream)
    found = pa.table(stream)
    del stream
    gc.collect()
    assert found.schema == schema
    assert found["x"].to_pylist() == ["abc", "d", "e"]


# A signal handler that raises at the first instruction of a callback must not become garbage in the consumer's hands.
# One that strikes in a finaliser is lost, as in any Python program.
STORM = """
import gc, random, signal, time
import pyarrow as pa
import wasqlite

class Alarm(BaseException): pass
fired = 0
def on_alarm(number, frame):
    global fired
    fired += 1
    raise Alarm
con = wasqlite.connect(":memory:")
con.execute("create table t(x)")
con.executemany("insert into t values (?)", [(i,) for i in range(2000)])
want = sum(range(2000))
gc.collect()
gc.freeze()
began = time.perf_counter()
for _ in range(10):
    pa.table(con.execute("select x from t").fetch_arrow_batches(50))
length = (time.perf_counter() - began) / 10  # of what the signals strike; they come in up to twice that time
whole = as_is = wrapped = 0
signal.signal(signal.SIGALRM, on_alarm)
while fired < 150:
    stream = None
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 2 * length * random.random() + 1e-6)
            stream = con.execute("select x from t").fetch_arrow_batches(50)
            found = pa.table(stream)
            assert sum(found["x"].to_pylist()) == want, "rows are missing"
            whole += 1
        except Alarm:
            as_is += 1
        except OSError as error:
            assert "Alarm" in str(error), error
            assert isinstance(stream.error, Alarm)
            wrapped += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Alarm:
        signal.setitimer(signal.ITIMER_REAL, 0)
assert con.execute("select count(*) from t").fetchone() == (2000,)
print(whole, as_is, wrapped)
con.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_storm_of_signals_loses_no_rows() -> None:
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-c", STORM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(int(count) for count in done.stdout.split()), done.stdout
    assert "ctypes" not in done.stderr


def test_iteration_minds_its_thread(con: wasqlite.Connection) -> None:
    stream = con.execute("select 1 as x").fetch_arrow_batches()
    errors: list[Exception] = []

    def other() -> None:
        for action in (lambda: next(stream), stream.close):
            try:
                action()
            except Exception as error:
                errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert ["created in a thread" in str(error) for error in errors] == [True, True]
    assert len(next(stream)) == 1
