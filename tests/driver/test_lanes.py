"""Statements that call user functions all the time: the second time the guest holds the GIL, and nobody can tell."""

from __future__ import annotations

import threading

import pytest

import wasqlite

RESULTS = [
    *(None, 0, 1, -1, 2**63 - 1, -(2**63), 2**63, True, 1.5, -0.0, float("inf"), float("nan"), "text", "x" * 5000),
    *("", "\ud800", b"blob", b"z" * 5000, bytearray(b"xyz"), [], object(), 0x9E3779B97F4A7C15 - (1 << 64)),
]
ROWS = 50


def fill(con, rows=ROWS):
    con.execute("create table t(x)")
    con.executemany("insert into t values (?)", [(n,) for n in range(rows)])
    con.commit()


def statement(con, sql):
    return con._cache.get(sql).statement


@pytest.mark.parametrize("result", RESULTS, ids=lambda value: f"{type(value).__name__}-{value!r:.12}")
def test_results_of_all_kinds(same, result):
    def case(s):
        fill(s.con)
        seen = []
        s.con.create_function("f", 1, lambda x: seen.append(x) or (result if len(seen) > 120 and x == 30 else x))
        outcomes = [
            s.attempt(lambda sql=sql: s.con.execute(sql).fetchall())
            for sql in ("select f(x), f(x + 0.5), typeof(f(x)) from t", "select sum(f(x)) from t") * 4
        ]
        return outcomes, seen

    same(case)


def test_what_is_raised_is_raised(same):
    def case(s):
        fill(s.con)
        broken = []
        s.con.create_function("f", 1, lambda x: 1 // (x - 30) if broken else x)
        outcomes = []
        for _ in range(3):
            for kept in ([], [1]):
                broken[:] = kept
                outcomes.append(s.attempt(lambda: s.con.execute("select sum(f(x)) from t").fetchall()))
        return outcomes

    same(case)


def test_functions_that_query_and_that_call_each_other(same):
    def case(s):
        fill(s.con)
        s.con.create_function("f", 1, lambda x: x + 1)
        s.con.create_function("g", 1, lambda x: s.con.execute("select sum(f(x)) + ? from t", (x,)).fetchone()[0])
        s.con.create_function("h", 1, lambda x: s.con.execute("select h(?)", (x - 1,)).fetchone()[0] + x if x else 0)
        return [
            s.con.execute("select sum(g(x)), sum(f(x)), max(g(f(x))), sum(h(x % 3)) from t").fetchall()
            for _ in range(4)
        ]

    same(case)


def test_a_function_that_is_replaced_in_between(same):
    def case(s):
        fill(s.con)
        outcomes = []
        for factor in range(5):
            s.con.create_function("f", 1, lambda x, factor=factor: x * factor)
            outcomes += [s.con.execute("select sum(f(x)), sum(f(x * 0.5)) from t").fetchall() for _ in range(3)]
        return outcomes

    same(case)


@pytest.fixture
def con():
    with wasqlite.connect(":memory:") as opened:
        yield opened
    opened.close()


@pytest.mark.usual_batches
def test_the_gil_is_held_for_who_calls_all_the_time_and_no_longer(con):
    fill(con, 5000)
    con.create_function("f", 1, lambda x: x)
    sql = "select total(f(x)) from t where x % ? = 0"
    outcomes = []
    for each in (1, 1, 1, 1000, 1, 100_000, 100_000):
        con.execute(sql, (each,)).fetchall()
        outcomes.append(statement(con, sql).calls)
    assert outcomes == [True, True, True, False, True, False, False]
    rows = "select f(x) from t"
    assert [row[0] for row in con.execute(rows)] == list(range(5000))
    assert statement(con, rows).calls
    plain = "select sum(x) from t"
    con.execute(plain).fetchall()
    assert not statement(con, plain).calls


def test_few_calls_do_not_matter(con):
    fill(con)
    con.create_function("f", 1, lambda x: x)
    for _ in range(5):
        assert con.execute("select f(x) from t where x = ?", (7,)).fetchone() == (7,)
    query = con._cache.get("select f(x) from t where x = ?")
    assert query.quick and not query.statement.calls


def test_a_lookup_that_begins_to_call_is_no_longer_quick(con):
    fill(con, 500)
    con.create_function("f", 1, lambda x: x)
    sql = "select sum(f(x)) from t where x < ?"
    for _ in range(3):
        assert con.execute(sql, (2,)).fetchone() == (1,)
    assert con._cache.get(sql).quick
    for _ in range(3):
        assert con.execute(sql, (500,)).fetchone() == (500 * 499 // 2,)
        assert con._cache.get(sql).statement.calls
    assert not con._cache.get(sql).quick


def test_another_thread_gets_on_and_can_interrupt():
    con = wasqlite.connect(":memory:", check_same_thread=False)
    fill(con, 300)
    running = threading.Event()

    def called(x):
        running.set()
        return x

    con.create_function("f", 1, called)
    endless = "select sum(f(x)) from (select a.x from t a, t b, t c, t d where ?)"
    con.execute(endless, (0,)).fetchall()
    short = "select sum(f(x)) from t"
    con.execute(short).fetchall()
    assert statement(con, short).calls
    statement(con, endless).calls = True

    def other():
        running.wait()  # an interrupt that comes before the query is for nobody
        with wasqlite.connect(":memory:") as mine:
            fill(mine)
            mine.create_function("f", 1, lambda x: x)
            found.extend(mine.execute(short).fetchall() for _ in range(20))
        mine.close()
        con.interrupt()

    found = []
    running.clear()
    thread = threading.Thread(target=other)
    thread.start()
    with pytest.raises(wasqlite.OperationalError, match="interrupted"):
        con.execute(endless, (1,)).fetchall()
    thread.join()
    assert found == [[(ROWS * (ROWS - 1) // 2,)]] * 20
    assert con.execute(short).fetchall() == [(300 * 299 // 2,)]
    con.close()
