"""The trace callback: the SQL of each statement as it begins, with its parameters filled in."""

from __future__ import annotations

import pytest

import wasqlite


def traced(s, actions):
    seen = []
    s.con.execute("create table t(x)")
    s.con.set_trace_callback(seen.append)
    outcomes = [s.attempt(action) for action in actions(s)]
    s.con.set_trace_callback(None)
    s.con.execute("select 'not seen'")
    return outcomes, seen


ACTIONS = {
    "values": lambda s: [
        lambda v=v: s.con.execute("select ?, ?", (v, v)).fetchall()
        for v in (None, 1, -(2**63), 1.5, "it's", "ä\U0001f600", b"", b"\x00\xff", "")
    ],
    "named": lambda s: [lambda: s.con.execute("select :a, @b, $c", {"a": 1, "b": "two", "c": None}).fetchall()],
    "transactions": lambda s: [
        lambda: s.con.execute("insert into t values (?)", (1,)),
        s.con.commit,
        lambda: s.con.execute("insert into t values (?)", (2,)),
        s.con.rollback,
        s.con.commit,
    ],
    "many": lambda s: [lambda: s.con.executemany("insert into t values (?)", [(1,), ("two",), (None,)])],
    "script": lambda s: [lambda: s.con.executescript("select 1; select 2;\n-- comment\ninsert into t values (3)")],
    "comments": lambda s: [lambda: s.con.execute("/* c */ select 1 -- d").fetchall()],
    "same": lambda s: [lambda: s.con.execute("select 1").fetchall()] * 3,
    "errors": lambda s: [
        lambda: s.con.execute("select nothing"),
        lambda: s.con.execute("select abs(-9223372036854775808)"),
    ],
    "trigger": lambda s: [
        lambda: s.con.execute("create trigger r after insert on t begin select 99; end"),
        lambda: s.con.execute("insert into t values (?)", (5,)),
    ],
    "level": lambda s: [
        lambda: setattr(s.con, "isolation_level", "immediate"),
        lambda: s.con.execute("insert into t values (1)"),
        lambda: setattr(s.con, "isolation_level", None),
    ],
    "reprepared": lambda s: [
        lambda: s.con.execute("select * from t").fetchall(),
        lambda: s.con.execute("alter table t add column y").fetchall(),
        lambda: s.con.execute("select * from t").fetchall(),
    ],
}


@pytest.mark.parametrize("name", ACTIONS)
def test_what_is_traced(same, name):
    _, seen = same(lambda s: traced(s, ACTIONS[name]))[1]
    assert seen[1]


@pytest.mark.parametrize("size", [80, 90, 95, 100])
def test_what_is_too_long_when_expanded_comes_as_it_was_written(same, size):
    def case(s):
        seen = []
        s.con.set_trace_callback(seen.append)
        s.con.setlimit(s.m.SQLITE_LIMIT_LENGTH, 100)
        return s.attempt(lambda: s.con.execute("select ?", ("x" * size,)).fetchall()), seen

    same(case)


@pytest.mark.parametrize("callback", [lambda sql: 1 // 0, lambda: None, 5, "x", lambda sql: object()])
def test_what_goes_wrong_in_it_is_ignored(same, callback):
    def case(s):
        s.con.set_trace_callback(callback)
        return s.con.execute("select 1").fetchall()

    same(case)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_but_an_exit_is_not_lost(con, kind):
    def leave(sql):
        raise kind

    con.set_trace_callback(leave)
    with pytest.raises(kind):
        con.execute("select 1")
    con.set_trace_callback(None)
    assert con.execute("select 1").fetchall() == [(1,)]


def test_it_may_use_the_connection(same):
    def case(s):
        seen = []

        def trace(sql):
            seen.append(sql)
            if len(seen) < 4:
                s.con.execute("select ?", (len(seen),)).fetchall()

        s.con.set_trace_callback(trace)
        return s.con.execute("select 'outer'").fetchall(), seen

    same(case)


def test_it_may_run_the_statement_that_is_traced(same):
    def case(s):
        seen = []

        def trace(sql):
            seen.append(sql)
            if len(seen) < 6:
                s.attempt(s.con.commit)

        s.con.execute("create table t(x)")
        s.con.execute("insert into t values (1)")
        s.con.set_trace_callback(trace)
        outcome = s.attempt(s.con.commit)
        s.con.set_trace_callback(None)
        return outcome, len(seen), s.con.in_transaction, s.con.execute("select x from t").fetchall()

    same(case)


@pytest.mark.parametrize("replace", [False, True])
def test_it_may_replace_itself(same, replace):
    def case(s):
        seen = []
        s.con.set_trace_callback(lambda sql: s.con.set_trace_callback(seen.append if replace else None))
        for n in range(3):
            s.con.execute(f"select {n}").fetchall()
        return seen

    same(case)


def test_it_cannot_close_the_connection(con):
    caught = []

    def trace(sql):
        with pytest.raises(wasqlite.ProgrammingError, match="inside one of its own callbacks") as error:
            con.close()
        caught.append(error.value)

    con.set_trace_callback(trace)
    assert con.execute("select 1").fetchall() == [(1,)]
    assert len(caught) == 1


def test_autocommit_modes_are_traced(connect):
    # As the stdlib of Python 3.12 and newer.
    con = connect(autocommit=False)
    seen = []
    con.set_trace_callback(seen.append)
    con.execute("select 1")
    con.commit()
    con.rollback()
    con.close()
    assert seen == ["select 1", "COMMIT", "BEGIN", "ROLLBACK", "BEGIN", "ROLLBACK"]
