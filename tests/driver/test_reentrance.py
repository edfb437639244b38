"""What a callback does to its own connection may end in an exception, never in a crash: a process for each case."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
from storm import storm

# Every action, from inside of every kind of callback; then the connection must work, or say why not.
CHILD = """
import gc, sys
import wasqlite
from wasqlite import ProgrammingError

kind = sys.argv[1]
SQL = {
    "function": "select f(x) from t",
    "insert": "insert into t select f(x) from t",
    "step": "select a(x) from t",
    "finalize": "select b(x) from t",
    "init": "select c(x) from t",
    "value": "select w(x) over (order by x rows between 1 preceding and current row) from t",
    "inverse": "select v(x) over (order by x rows between 1 preceding and current row) from t",
    "collation": "select x from t order by x || '' collate k",
    "index": "insert into i values ('a'), ('b'), ('c')",
    "authorizer": "select x, 'authorized' from t",
    "progress": "select x from t union select x from t",
    "trace": "select x, 'traced' from t",
}[kind]
ACTIONS = {
    "close": lambda: con.close(),
    "init": lambda: con.__init__(":memory:"),
    "cursor close": lambda: cursor.close(),
    "cursor": lambda: cursor.execute("select 1"),
    "same": lambda: con.execute(SQL).fetchall(),
    "select": lambda: con.execute("select count(*) from t").fetchall(),
    "fetch": lambda: unfinished.fetchmany(3),
    "insert": lambda: con.execute("insert into t values (5)"),
    "insert elsewhere": lambda: con.execute("insert into i values ('c')"),
    "many": lambda: con.executemany("insert into t values (?)", [(n,) for n in range(5)]),
    "script": lambda: con.executescript("create table if not exists u(x); drop table u"),
    "drop": lambda: con.execute("drop table if exists t"),
    "commit": lambda: con.commit(),
    "rollback": lambda: con.rollback(),
    "vacuum": lambda: con.execute("vacuum"),
    "interrupt": lambda: con.interrupt(),
    "limit": lambda: con.setlimit(wasqlite.SQLITE_LIMIT_LENGTH, 10**8),
    "functions": lambda: [con.create_function(n, -1, lambda *_: 1) for n in "fgabc"],
    "window": lambda: con.create_window_function("w", 1, None),
    "collation": lambda: con.create_collation("k", None),
    "hooks": lambda: (con.set_authorizer(None), con.set_progress_handler(None, 1), con.set_trace_callback(None)),
    "other hooks": lambda: (con.set_trace_callback(len), con.set_progress_handler(lambda: 0, 1)),
    "level": lambda: setattr(con, "isolation_level", None),
    "drop everything": lambda: (globals().update(unfinished=None), gc.collect()),
    "raise": lambda: 1 // 0,
    "exit": lambda: sys.exit(3),
}

def enter(*_):
    global depth, budget
    depth += 1
    budget -= 1
    try:
        if depth < 6 and budget > 0:
            ACTIONS[action]()
    except ProgrammingError as error:
        refused.append(error)
    finally:
        depth -= 1
    return 0

class A:
    def step(self, x): pass
    def inverse(self, x): pass
    def value(self): return 1
    def finalize(self): return 1
def variant(**methods):
    return type("V", (A,), methods)

for action in ACTIONS:
    con = wasqlite.connect(":memory:")
    con.execute("create table t(x)")
    con.executemany("insert into t values (?)", [(n,) for n in range(20)])
    con.commit()
    con.create_function("f", -1, enter)
    con.create_aggregate("a", 1, variant(step=enter))
    con.create_aggregate("b", 1, variant(finalize=enter))
    con.create_aggregate("c", 1, variant(__init__=lambda *_: enter() and None))
    con.create_window_function("w", 1, variant(value=enter))
    con.create_window_function("v", 1, variant(inverse=enter))
    con.create_collation("k", enter)
    con.execute("create table i(x text collate k unique)")
    cursor = con.cursor()
    unfinished = con.execute("select x from t where x < 15")
    refused, depth, budget, outcome = [], 0, 40, None
    if kind == "authorizer": con.set_authorizer(enter)
    if kind == "progress": con.set_progress_handler(enter, 3)
    if kind == "trace": con.set_trace_callback(enter)
    try:
        cursor.execute(SQL).fetchall()
    except (wasqlite.Error, ZeroDivisionError, SystemExit) as error:
        outcome = type(error).__name__, str(error)
    assert depth == 0
    if action in ("close", "cursor"):
        assert refused, (action, outcome)
    # As natively: interrupt() holds until no statement is under way.
    if unfinished: unfinished.close()
    con.set_authorizer(None)
    con.set_progress_handler(None, 1)
    con.set_trace_callback(None)
    if action not in ("init", "drop"):
        assert con.execute("select count(*) from t").fetchone()[0] >= 20, action
        assert con.execute("pragma integrity_check").fetchall() == [("ok",)], action
    assert con.execute("select 'works'").fetchall() == [("works",)], action
    assert con._database.instance.dead is None
    con.close()
    print(action, outcome, len(refused), flush=True)
print("end")
"""

KINDS = ["function", "insert", "step", "finalize", "init", "value", "inverse"]
KINDS += ["collation", "index", "authorizer", "progress", "trace"]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_callback_does_to_its_connection(kind):
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", "-c", CHILD, kind],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stdout[-2000:] + child.stderr[-4000:]
    assert child.stdout.endswith("end\n")
    assert "Exception ignored" not in child.stderr


# A storm of signals at a query whose callbacks query the connection themselves. Each signal comes out as the exception,
# or as the cause of the error of the callback that it hit.
STORM = """
import wasqlite
con = wasqlite.connect(":memory:")
con.execute("create table t(x)")
con.execute("create table log(x)")
con.executemany("insert into t values (?)", [(n,) for n in range(300)])
con.commit()
def f(x): return x + 1
def g(x): return con.execute("select f(?) + sum(x) * 0 from t", (x,)).fetchone()[0]
def s(x): return "text" * 2000
class A:
    def __init__(self): self.total = 0
    def step(self, x): self.total += x
    def finalize(self): return self.total
con.create_function("f", 1, f)
con.create_function("g", 1, g)
con.create_function("s", 1, s)
con.create_aggregate("a", 1, A)
con.create_collation("k", lambda a, b: (a > b) - (a < b))
WORK = [
    ("select sum(f(x)), sum(length(s(x))), a(x) from t", 300 * 301 // 2, 300 * 8000, 299 * 300 // 2),
    ("select sum(g(x)) from t where x < 30", 465),
    ("select count(*) from (select 'x' || x as y from t order by y collate k)", 300),
]
settle()
while True:
    try:
        strike()
        while True:
            for sql, *expected in WORK:
                found = con.execute(sql).fetchall()
                assert found == [tuple(expected)], found
            before = con.execute("select count(*) from log").fetchone()[0]
            con.execute("insert into log select f(x) from t")
            assert con.execute("select count(*) from log where x is null").fetchone() == (0,)
            con.execute("delete from log")
            con.commit()
    except kind:
        pass
    except wasqlite.OperationalError as error:
        assert "user-defined" in str(error), error
        while not isinstance(error, kind):
            error = error.__cause__
            assert error is not None
    assert con._database.instance.dead is None
    con.rollback()
    survived()
"""


@pytest.mark.parametrize("kind", ["int", "alarm"])
def test_a_storm_of_signals_at_callbacks(kind):
    storm(STORM, kind, 60)
