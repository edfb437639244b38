"""What crashed CPython's module, by the number of the report at python/cpython: here each ends in an exception.

A process for each, which a crash would end. Every program tells of the exception that it got, and then the sandbox of
a connection that is still open must be alive. The programs are ours, after the descriptions in the reports.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

BEFORE = """
import sqlite3, sys
import wasqlite
con = wasqlite.connect(":memory:")
con.executescript("create table t(x text); insert into t values ('a'), ('b'), ('c')")
cur = con.cursor()
def close(*_):
    con.close()
    return 0
def attempt(action):
    try:
        print("no exception:", action())
    except Exception as error:
        print(type(error).__name__ + ":", error)
"""
AFTER = """
try:
    alive = con.execute("select 'alive'").fetchall()
except wasqlite.ProgrammingError as error:
    assert "closed database" in str(error), error
else:
    assert alive == [("alive",)], alive
print("end")
"""
REPORTS = {
    "145040 step closes": """
class A:
    def step(self, x): con.close()
    def finalize(self): return 1
con.create_aggregate("f", 1, A)
attempt(lambda: con.execute("select f(x) from t").fetchone())
""",
    "145040 progress handler closes": """
con.set_progress_handler(close, 1)
attempt(lambda: con.execute("select x from t").fetchall())
con.set_progress_handler(None, 1)
""",
    "145046 executemany, function closes": """
con.create_function("f", 1, close)
attempt(lambda: con.executemany("insert into t values (f(?))", [(n,) for n in range(10)]))
""",
    "151030 function closes": """
con.create_function("f", 1, close)
attempt(lambda: con.execute("select f(x) from t").fetchall())
""",
    "151030 authorizer closes": """
con.set_authorizer(close)
attempt(lambda: con.execute("select x from t").fetchall())
con.set_authorizer(None)
""",
    "151030 trace callback closes": """
wasqlite.enable_callback_tracebacks(True)
sys.unraisablehook = lambda found: print(found.exc_type.__name__ + ":", found.exc_value)
con.set_trace_callback(close)
con.execute("select x from t").fetchall()
con.set_trace_callback(None)
""",
    "143662 text_factory closes": """
cur.execute("insert into t values ('d') returning x")
con.text_factory = close
assert cur.fetchone() == (0,), "the row that the guest had handed over already"
attempt(lambda: cur.fetchone())
""",
    "157564 text_factory executes with its cursor": """
con.text_factory = lambda data: cur.execute("select 1")
cur.execute("select x, x from t")
attempt(lambda: cur.fetchone())
con.text_factory = str
""",
    "80254 converter begins its cursor again": """
con = wasqlite.connect(":memory:", detect_types=wasqlite.PARSE_COLNAMES)
cur = con.cursor()
wasqlite.register_converter("again", lambda data: cur.__init__(con))
attempt(lambda: cur.execute("select 'x' as 'x [again]', 1").fetchall())
""",
    "80254 converter closes its cursor": """
con = wasqlite.connect(":memory:", detect_types=wasqlite.PARSE_COLNAMES)
cur = con.cursor()
wasqlite.register_converter("again", lambda data: cur.close())
attempt(lambda: cur.execute("select 'x' as 'x [again]', 1").fetchall())
""",
    "143380 length of the parameters closes": """
class Parameters:
    def __len__(self):
        con.close()
        return 1
    def __getitem__(self, at): return 1
attempt(lambda: cur.execute("select ?", Parameters()))
""",
    "143380 item of the parameters closes": """
class Parameters:
    def __len__(self): return 1
    def __getitem__(self, at): return con.close()
attempt(lambda: cur.execute("select ?", Parameters()))
""",
    "143380 adapter closes": """
class Adapted:
    def __conform__(self, protocol): return con.close()
attempt(lambda: cur.execute("select ?", (Adapted(),)))
""",
    "143198 iter() of the parameters closes": """
class Parameters:
    def __iter__(self):
        con.close()
        return iter([("d",)])
attempt(lambda: cur.executemany("insert into t values (?)", Parameters()))
""",
    "143198 iterator of the parameters closes": """
def parameters():
    yield ("d",)
    con.close()
    yield ("e",)
attempt(lambda: cur.executemany("insert into t values (?)", parameters()))
""",
    "142830 truth of the progress handler's answer": """
class Answer:
    def __bool__(self):
        con.set_progress_handler(None, 1)
        raise ValueError
con.set_progress_handler(lambda: Answer(), 1)
attempt(lambda: con.execute("select x from t").fetchall())
""",
    "142787 slice of a blob that begins after its end": """
con.execute("insert into t(rowid, x) values (9, x'010203')")
blob = con.blobopen("t", "x", 9)
assert blob[5:-5] == b""
blob.close()
attempt(lambda: blob[5:-5])
""",
    "146090 collation in use is replaced": """
con.create_collation("k", lambda a, b: (a > b) - (a < b))
unfinished = con.execute("select x from t order by x collate k")
attempt(lambda: con.create_collation("k", lambda a, b: 0))
""",
    "85981 backup of a closed connection": """
con.close()
attempt(lambda: con.backup(wasqlite.connect(":memory:")))
""",
    "85981 backup's progress closes the source": """
attempt(lambda: con.backup(wasqlite.connect(":memory:"), pages=1, progress=close))
""",
    "85981 backup's progress closes the target": """
target = wasqlite.connect(":memory:")
attempt(lambda: con.backup(target, pages=1, progress=lambda *_: target.close()))
""",
    "87564 connection factory that is none": """
attempt(lambda: wasqlite.connect(":memory:", factory=lambda *_, **__: con.nothing))
""",
    "152954 connection without __init__": """
made = wasqlite.Connection.__new__(wasqlite.Connection)
attempt(lambda: made.execute("select 1"))
attempt(lambda: made.cursor())
attempt(lambda: made.row_factory(1))
""",
    "152954 cursor without __init__": """
made = wasqlite.Cursor.__new__(wasqlite.Cursor)
attempt(lambda: made.execute("select 1"))
attempt(lambda: made.fetchone())
attempt(lambda: made.close())
""",
}


@pytest.mark.parametrize("report", REPORTS)
def test_a_reported_crash_is_an_exception(report: str) -> None:
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", BEFORE + REPORTS[report] + AFTER],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.returncode == 0, child.stdout[-2000:] + child.stderr[-4000:]
    *told, end = child.stdout.splitlines()
    assert end == "end"
    assert told and all("Error: " in line for line in told), told
    assert "Exception ignored" not in child.stderr
