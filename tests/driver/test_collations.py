"""User-defined collations: order, results of any kind, errors, names, removal."""

from __future__ import annotations

import pytest

import wasqlite

WORDS = "(select 'b' x union all select 'a' union all select 'ä' union all select '' union all select 'a\0b')"


def reverse(a, b):
    return (a < b) - (a > b)


def test_a_collation_orders_and_compares(same):
    def case(s):
        s.con.create_collation("reverse", reverse)
        s.con.execute("create table t(x text collate reverse primary key)")
        s.con.executemany("insert into t values (?)", [(w,) for w in ("b", "a", "ä", "", "a\0b", "日本")])
        return [
            s.con.execute(sql).fetchall()
            for sql in (
                "select x from t order by x",
                "select x from t where x < 'b'",
                "select max(x), min(x) from t",
                "select 'a' < 'b' collate reverse, 'a' = 'a' collate reverse",
                "select distinct x collate reverse from t",
            )
        ]

    same(case)


@pytest.mark.parametrize("result", [None, "x", 1.5, [], 2**100, -(2**100), True, False, 0, -5, 5, object()], ids=repr)
def test_results_that_are_no_int_are_equal_and_large_ones_have_their_sign(same, result):
    def case(s):
        s.con.create_collation("c", lambda a, b: result)
        return s.con.execute("select 'a' < 'b' collate c, 'a' = 'b' collate c, 'a' > 'b' collate c").fetchall()

    same(case)


class Index:
    def __index__(self):
        return 1 // 0


def test_an_object_that_fails_to_be_an_int_is_equal(same):
    def case(s):
        s.con.create_collation("c", lambda a, b: Index())
        return s.con.execute("select 'a' < 'b' collate c, 'a' = 'b' collate c").fetchall()

    same(case)


@pytest.mark.parametrize("error", [ZeroDivisionError, wasqlite.IntegrityError, KeyError, MemoryError])
def test_an_exception_comes_out_as_it_is(same, error):
    def fails(a, b):
        raise error("in the collation")

    def case(s):
        s.con.create_collation("c", fails)
        s.con.execute("create table t(x text collate c)")
        outcomes = []
        for sql in (
            "select 'a' < 'b' collate c",
            f"select x from {WORDS} order by x collate c",
            "insert into t values ('b'), ('a')",
            "create index i on t(x)",
            "insert into t values ('c')",
            "select count(*) from t",
        ):
            outcomes.append(s.attempt(lambda sql=sql: s.con.execute(sql).fetchall()))
        outcomes.append(s.attempt(lambda: s.con.executemany("insert into t values (?)", [("z",), ("y",), ("x",)])))
        return outcomes, s.con.execute("select count(*) from t").fetchall()

    same(case)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_exit_comes_out_as_it_is(con, kind):
    def leave(a, b):
        raise kind

    con.create_collation("c", leave)
    with pytest.raises(kind):
        con.execute("select 'a' < 'b' collate c")
    assert con.execute("select 1").fetchall() == [(1,)]


def test_a_script_ends_with_the_statement_whose_collation_failed(con):
    con.create_collation("c", lambda a, b: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        con.executescript("create table t(x); insert into t select 'a' < 'b' collate c; create table u(x)")
    assert con.execute("select (select count(*) from t), count(*) from sqlite_master").fetchall() == [(1, 1)]


def test_a_failed_comparison_does_not_end_a_long_statement_halfway(con):
    # SQLite would roll the whole transaction back if it were interrupted.
    con.create_collation("c", lambda a, b: 1 // 0)
    con.execute("create table t(x)")
    con.execute("insert into t values (0)")
    with pytest.raises(ZeroDivisionError):
        con.execute(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)"
            "insert into t select i from n where ('a' < 'b' collate c) is not null"
        )
    assert con.in_transaction
    assert con.execute("select count(*) from t").fetchone() == (100_001,)


def test_text_that_is_not_utf8_fails(same):
    def case(s):
        s.con.create_collation("c", reverse)
        return s.attempt(lambda: s.con.execute("select cast(x'ff' as text) < 'a' collate c").fetchall())

    same(case)


@pytest.mark.parametrize(
    "arguments",
    [(5, len), (b"c", len), (None, len), ("c", 5), ("c", "x"), ("\ud800", len), ("c\0", len), ("", len), ("c", None)],
    ids=repr,
)
def test_arguments(same, arguments):
    same(lambda s: s.con.create_collation(*arguments))


def test_names_are_any_text(same):
    def case(s):
        s.con.create_collation("größe", reverse)
        return s.con.execute(f'select x from {WORDS} order by x collate "größe"').fetchall()

    same(case)


def test_none_removes(same):
    def case(s):
        s.con.create_collation("c", reverse)
        s.con.create_collation("c", None)
        return s.attempt(lambda: s.con.execute("select 'a' < 'b' collate c").fetchall())

    same(case)


def test_a_collation_in_use_cannot_be_changed(same):
    def case(s):
        s.con.create_collation("c", reverse)
        rows = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 10000)"
        s.cur.execute(f"{rows} select x, 'a' < 'b' collate c from n")
        outcomes = [s.attempt(lambda f=f: s.con.create_collation("c", f)) for f in (reverse, None)]
        s.cur.fetchall()
        return outcomes, s.attempt(lambda: s.con.create_collation("c", None))

    same(case)


def test_a_comparison_must_not_use_its_connection(con):
    inside = []

    def compare(a, b):
        for use in (lambda: con.execute("select 1"), con.commit, con.close, lambda: con.create_collation("c", None)):
            with pytest.raises(wasqlite.ProgrammingError) as caught:
                use()
            inside.append(caught.value)
        return 0

    con.execute("create table t(x)")
    con.execute("insert into t values (1)")
    con.create_collation("c", compare)
    assert con.execute("select 'a' = 'b' collate c").fetchall() == [(1,)]
    assert len(inside) == 4
    assert con.execute("select 1").fetchall() == [(1,)]
