"""The authorizer: what it is asked, every kind of answer, exceptions, setting and clearing it from inside."""

from __future__ import annotations

import pytest

import wasqlite

# Nothing that changes the schema: SQLite's own statements for that differ from version to version.
STATEMENTS = [
    "select a from t",
    "select a, (select c from u) from t where b = 1",
    "select a from w",
    "insert into t values (1, 2)",
    "insert into u values (1)",
    "update t set a = 5 where b in (select c from u)",
    "delete from u",
    "pragma user_version",
    "attach ':memory:' as other",
    "select abs(-1), count(*) from t",
    "with recursive n(x) as (select 1 union all select x + 1 from n where x < 3) select x from n",
    "savepoint s",
    "explain select a from t",
]


def schema(s):
    s.con.executescript(
        "create table t(a, b); create table u(c); create view w as select a, b from t;"
        "create trigger r after insert on u begin delete from t; end"
    )


@pytest.mark.parametrize("sql", STATEMENTS)
def test_it_is_asked_what_native_sqlite_asks(same, sql):
    def case(s):
        seen = []
        schema(s)
        s.con.set_authorizer(lambda *arguments: seen.append(arguments) or 0)
        s.con.execute(sql).fetchall()
        s.con.commit()
        return seen

    same(case)


def test_it_is_asked_for_every_begin_and_commit(same):
    def case(s):
        seen = []
        schema(s)
        s.con.set_authorizer(lambda action, *rest: seen.append((action, *rest)) or 0)
        for n in range(3):
            s.con.execute("insert into t values (?, ?)", (n, n))
            s.con.commit()
        s.con.execute("insert into t values (?, ?)", (9, 9))
        s.con.rollback()
        s.con.set_authorizer(None)
        s.con.execute("insert into t values (?, ?)", (9, 9))
        s.con.commit()
        return seen

    same(case)


@pytest.mark.parametrize(
    "answer",
    [0, 1, 2, 3, 99, -1, None, "x", 1.0, True, False, 2**31 - 1, 2**31, -(2**31), 2**40, -(2**70), [], object()],
)
def test_every_answer(same, answer):
    def case(s):
        schema(s)
        s.con.set_authorizer(lambda *_: answer)
        return [
            s.attempt(lambda sql=sql: s.con.execute(sql).fetchall())
            for sql in ("select a from t", "insert into t values (1, 2)")
        ]

    same(case)


@pytest.mark.parametrize("action", [18, 20, 21, 31])
@pytest.mark.parametrize("answer", [1, 2])
def test_a_single_action_is_refused_or_ignored(same, action, answer):
    def case(s):
        schema(s)
        s.con.execute("insert into t values (1, 2)")
        s.con.set_authorizer(lambda asked, *_: answer if asked == action else 0)
        return [
            s.attempt(lambda sql=sql: s.con.execute(sql).fetchall())
            for sql in ("select a, abs(b) from t", "select count(*) from t", "insert into t values (1, 2)")
        ]

    same(case)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit, MemoryError, OverflowError])
def test_an_exception_refuses_and_is_the_cause(same, error):
    def fails(*_):
        raise error

    def case(s):
        schema(s)
        s.con.set_authorizer(fails)
        outcome = s.attempt(lambda: s.con.execute("select a from t").fetchall())
        if s.m is wasqlite:
            with pytest.raises(wasqlite.DatabaseError) as caught:
                s.con.execute("select b from t")
            assert type(caught.value.__cause__) is error
        s.con.set_authorizer(None)
        return outcome, s.con.execute("select a from t").fetchall()

    same(case)


def test_something_that_cannot_be_called_refuses(same):
    def case(s):
        s.con.set_authorizer(5)
        return s.attempt(lambda: s.con.execute("select 1").fetchall())

    same(case)


def test_statements_compiled_before_are_asked_again(same):
    def case(s):
        schema(s)
        sql = "select a from t"
        rows = [s.con.execute(sql).fetchall()]
        s.con.set_authorizer(lambda *_: 1)
        rows.append(s.attempt(lambda: s.con.execute(sql).fetchall()))
        s.con.set_authorizer(None)
        return *rows, s.con.execute(sql).fetchall()

    same(case)


@pytest.mark.parametrize("replacement", [None, lambda *_: 1, lambda *_: 0])
def test_it_may_replace_itself(same, replacement):
    def case(s):
        s.con.set_authorizer(lambda *_: s.con.set_authorizer(replacement) or 0)
        return s.con.execute("select 1").fetchall(), s.attempt(lambda: s.con.execute("select 2").fetchall())

    same(case)


def test_it_must_not_use_its_connection(con):
    inside = []

    def authorize(*_):
        for use in (lambda: con.execute("select 5"), con.close, lambda: con.create_function("f", 0, len)):
            with pytest.raises(wasqlite.ProgrammingError) as caught:
                use()
            inside.append(caught.value)
        con.interrupt()
        return 0

    con.set_authorizer(authorize)
    con.execute("select 1")
    assert len(inside) == 3
    con.set_authorizer(None)
    assert con.execute("select 2").fetchall() == [(2,)]
