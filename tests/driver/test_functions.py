"""User-defined scalar functions: values in and out, errors, registration, what they may do to their connection."""

from __future__ import annotations

import array
import datetime
import gc
import sqlite3
import struct
import sys
import threading
import weakref
from decimal import Decimal

import pytest

import wasqlite


class Whole(int):
    pass


class Real(float):
    pass


class Text(str):
    __slots__ = ()


class Data(bytes):
    pass


VALUES = [
    *(None, 0, 1, -1, 2**31, 2**63 - 1, -(2**63), 0.0, -0.0, 1.5, 1e308, float("inf"), float("-inf")),
    *("", "a", "a\0b", "\0", "ä", "日本", "\U0001f600", "x" * 4095, "x" * 4096, "x" * 4097, "ä" * 5000, "y" * 300_000),
    *(b"", b"a", b"\0", bytes(range(256)), b"z" * 4096, b"z" * 4097, b"z" * 300_000),
]
RESULTS = [
    *VALUES,
    *(True, False, Whole(5), Real(1.5), Text("s"), Data(b"d"), float("nan"), bytearray(b"xyz"), bytearray()),
    *(memoryview(b"abc"), memoryview(b"abcdef")[::2], array.array("i", [1, 2]), "\ud800", "a\udcff"),
    *(2**63, -(2**63) - 1, 2**200, [], (), {}, object(), int, len, 1j, Decimal(1), datetime.date(2020, 1, 1)),
]


def label(value):
    return f"{type(value).__name__}-{value!r:.12}"


@pytest.mark.parametrize("value", VALUES, ids=label)
def test_a_value_arrives_as_it_is(same, value):
    def case(s):
        seen = []
        s.con.create_function("f", -1, lambda *values: seen.extend(values))
        s.con.execute("select f(?)", (value,)).fetchall()
        s.con.execute("select f(?, ?)", (value, 1)).fetchall()
        s.con.execute("select f(1.5, ?, ?)", (value, value)).fetchall()
        s.con.execute(f"select f({', '.join(['?'] * 20)})", [value, None] * 10).fetchall()
        return seen

    same(case)


@pytest.mark.parametrize("value", RESULTS, ids=label)
def test_a_result_arrives_or_fails_as_in_the_stdlib(same, value):
    def case(s):
        s.con.create_function("f", -1, lambda *_: value)
        sql = "select f(), typeof(f()), length(f()), f(1), f(1.5), f('x')"
        return s.attempt(lambda: s.con.execute(sql).fetchall())

    same(case)


def test_an_empty_or_zeroed_blob_is_bytes(same):
    def case(s):
        seen = []
        s.con.create_function("f", 1, seen.append)
        s.con.execute("select f(x''), f(zeroblob(3)), f(cast('' as blob))").fetchall()
        return seen

    same(case)


def test_text_that_is_not_utf8_fails(same):
    def case(s):
        s.con.create_function("f", -1, lambda *_: 1)
        bad = "cast(x'61ff' as text)"
        return [
            s.attempt(lambda sql=sql: s.con.execute(sql).fetchall())
            for sql in (f"select f({bad})", f"select f(1, {bad})")
        ]

    same(case)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 20, 100, 127])
def test_any_number_of_arguments(same, count):
    values = [[1, 2.5, "t", b"b", None][i % 5] for i in range(count)]

    def case(s):
        seen = []
        s.con.create_function("f", count, lambda *v: seen.append(v))
        s.con.create_function("g", -1, lambda *v: len(v))
        sql = f"select f({', '.join(['?'] * count)}), g({', '.join(['?'] * count)})"
        return s.con.execute(sql, values * 2).fetchall(), seen

    same(case)


def test_more_arguments_than_the_stdlibs_sqlite_takes(con):
    con.create_function("f", 1000, lambda *values: sum(values))
    assert con.execute(f"select f({', '.join(map(str, range(1000)))})").fetchone() == (sum(range(1000)),)


def test_more_combinations_of_types_than_are_remembered(con):
    con.create_function("f", 8, lambda *values: repr(values))
    letters = {"0": 1, "1": 2.5, "2": "x", "3": None}
    names = [f"{n:08o}".translate(str.maketrans("4567", "0123")) for n in range(0, 8**8, 3000)]
    for name in dict.fromkeys(names):
        values = tuple(letters[letter] for letter in name)
        assert con.execute("select f(?, ?, ?, ?, ?, ?, ?, ?)", values).fetchone() == (repr(values),)
    assert len(con._database.sandbox.callbacks._handlers) <= 4096


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("x"),
        ValueError("x"),
        MemoryError(),
        OverflowError("x"),
        UnicodeDecodeError("a", b"", 0, 1, ""),
    ],
    ids=lambda e: type(e).__name__,
)
def test_an_exception_fails_the_statement_and_is_its_cause(same, error):
    def case(s):
        def f(*_):
            raise error

        s.con.create_function("f", -1, f)
        outcomes = [
            s.attempt(lambda sql=sql: s.con.execute(sql).fetchall()) for sql in ("select f()", "select f(1, 'x')")
        ]
        if s.m is wasqlite:
            with pytest.raises(Exception) as caught:
                s.con.execute("select f()")
            assert caught.value.__cause__ is error
        return outcomes

    same(case)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exit_from_a_function_is_kept_as_the_cause(kind):
    for module in (sqlite3, wasqlite):
        con = module.connect(":memory:")

        def f(*_):
            raise kind(3)

        con.create_function("f", -1, f)
        with pytest.raises(module.OperationalError, match="user-defined function raised exception") as caught:
            con.execute("select f()")
        if module is wasqlite:
            assert type(caught.value.__cause__) is kind
        assert con.execute("select 1").fetchone() == (1,)
        con.close()


def test_the_cause_of_an_unsupported_result_tells_its_type(con):
    con.create_function("f", 0, lambda: Decimal(1))
    with pytest.raises(wasqlite.OperationalError) as caught:
        con.execute("select f()")
    cause = caught.value.__cause__
    assert type(cause) is wasqlite.ProgrammingError
    assert str(cause) == "User-defined functions cannot return 'decimal.Decimal' values to SQLite"


def test_an_error_in_a_later_row_comes_after_the_rows_before_it(con):
    con.create_function("f", 1, lambda x: 10 // (5 - x))
    cursor = con.execute("select f(value) from json_each('[1, 2, 3, 4, 5, 6]')")
    assert [cursor.fetchone() for _ in range(4)] == [(2,), (3,), (5,), (10,)]
    with pytest.raises(wasqlite.OperationalError, match="user-defined function raised exception"):
        cursor.fetchone()
    assert cursor.fetchone() is None


def test_an_error_in_a_later_row_has_its_cause(con):
    con.create_function("f", 1, lambda x: 10 // (500 - x))
    sql = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 1000) select f(x) from n"
    cursor = con.execute(sql)
    with pytest.raises(wasqlite.OperationalError) as caught:
        for _ in cursor:
            pass
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_old_exception_is_not_the_cause_of_another_error(con):
    con.create_function("f", 0, lambda: 1 // 0)
    with pytest.raises(wasqlite.OperationalError):
        con.execute("select f()")
    with pytest.raises(wasqlite.OperationalError) as caught:
        con.execute("select nothing()")
    assert caught.value.__cause__ is None


def test_an_inner_statements_cause_stays_inside(con):
    def outer():
        with pytest.raises(wasqlite.OperationalError) as caught:
            con.execute("select inner()")
        assert isinstance(caught.value.__cause__, KeyError)
        raise IndexError

    def inner():
        raise KeyError

    con.create_function("outer", 0, outer)
    con.create_function("inner", 0, inner)
    with pytest.raises(wasqlite.OperationalError) as caught:
        con.execute("select outer()")
    assert type(caught.value.__cause__) is IndexError


BAD_ARGUMENTS = [
    *[(5, 1, len), (None, 1, len), (b"f", 1, len), ("f", "a", len), ("f", 1.5, len), ("f", None, len)],
    *[("f", 2**31, len), ("f", -(2**70), len), ("f\0", 1, len), ("\ud800", 1, len), ("f" * 300, 1, len)],
    *[("f", -2, len), ("f", 5000, len), ("", 1, len), ("f", True, len), ("f", 0, None), ("f", 0, 5), ("ä", 0, len)],
]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=lambda a: f"{a!r:.25}")
@pytest.mark.parametrize("method", ["create_function", "create_aggregate", "create_window_function"])
def test_arguments_of_registration(same, method, arguments):
    same(
        lambda s: (
            s.attempt(lambda: getattr(s.con, method)(*arguments)),
            s.attempt(lambda: s.con.execute("select f()")),
        )
    )


@pytest.mark.parametrize(
    "register",
    [
        lambda con: con.create_function(name="f", narg=1, func=len),
        lambda con: con.create_function("f", 1, func=len),
        lambda con: con.create_function("f", 1, len, deterministic="yes"),
        lambda con: con.create_aggregate(name="f", n_arg=1, aggregate_class=len),
        lambda con: con.create_aggregate("f", 1, aggregate_class=len),
        lambda con: con.set_authorizer(authorizer_callback=None),
        lambda con: con.set_progress_handler(progress_handler=None, n=5),
        lambda con: con.set_progress_handler(None, n=5),
        lambda con: con.set_trace_callback(trace_callback=None),
    ],
)
def test_keywords_are_deprecated_as_in_the_running_python(same, register):
    same(lambda s: register(s.con))


def test_deterministic_functions_may_be_in_an_index(same):
    def case(s):
        s.con.create_function("d", 1, lambda x: x, deterministic=True)
        s.con.create_function("n", 1, lambda x: x)
        s.con.execute("create table t(a)")
        return [s.attempt(lambda f=f: s.con.execute(f"create index {f}i on t({f}(a))").description) for f in ("d", "n")]

    same(case)


def test_functions_are_told_apart_by_name_and_number_of_arguments(same):
    def case(s):
        s.con.create_function("f", 1, lambda a: "one")
        s.con.create_function("f", 2, lambda a, b: "two")
        s.con.create_function("f", -1, lambda *a: "any")
        s.con.create_function("ABS", 1, lambda a: "mine")
        s.con.create_function("größe", 0, lambda: "ß")
        rows = [s.con.execute("select f(1), F(1, 2), f(1, 2, 3), f(), abs(-1), größe()").fetchall()]
        s.con.create_function("f", 1, None)
        rows.append(s.attempt(lambda: s.con.execute("select f(1)").fetchall()))
        s.con.create_window_function("f", 2, None)
        rows.append(s.con.execute("select f(1, 2)").fetchall())
        s.con.create_function("g", 1, len)
        rows += [s.attempt(lambda v=v: s.con.execute(f"select g({v})").fetchall()) for v in ("'abc'", "1, 2", "1")]
        return rows

    same(case)


def test_a_function_in_use_cannot_be_replaced(same):
    def case(s):
        s.con.create_function("f", 1, lambda x: x)
        sql = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 10000) select f(x) from n"
        s.cur.execute(sql)
        outcomes = [
            s.attempt(lambda: s.con.create_function("f", 1, lambda x: 2)),
            s.attempt(lambda: s.con.create_aggregate("f", 1, len)),
            s.attempt(lambda: s.con.create_window_function("f", 1, len)),
            s.attempt(lambda: s.con.create_window_function("f", 1, None)),
            s.attempt(lambda: s.con.create_function("new", 1, len)),
        ]
        s.cur.fetchall()
        return (
            outcomes,
            s.attempt(lambda: s.con.create_function("f", 1, lambda x: 2)),
            s.con.execute("select f(1)").fetchall(),
        )

    same(case)


# -- using the connection from inside --------------------------------------------------------------------------------


def test_a_function_may_query_its_connection(same):
    def case(s):
        s.con.executescript("create table t(x); insert into t values (1), (2), (3)")
        s.con.create_function("f", 1, lambda x: s.con.execute("select sum(x) + ? from t", (x,)).fetchone()[0])
        return s.con.execute("select f(x) from t").fetchall()

    same(case)


def test_a_function_may_run_the_very_statement_that_calls_it(same):
    def case(s):
        def f(x):
            return s.con.execute("select f(?)", (x - 1,)).fetchone()[0] + x if x else 0

        s.con.create_function("f", 1, f)
        return s.con.execute("select f(?)", (20,)).fetchall()

    same(case)


NUMBERS = [0, 1, -1, 2**63 - 1, -(2**63), 1.5, -0.0, float("inf"), float("nan"), None, "text", b"blob", True, 2**63]


@pytest.mark.parametrize("inner", NUMBERS, ids=repr)
@pytest.mark.parametrize("outer", NUMBERS, ids=repr)
def test_numbers_of_nested_functions_are_not_mixed_up(same, outer, inner):
    def case(s):
        s.con.create_function("g", 1, lambda x: inner)

        def f(x):
            rows = [
                s.attempt(lambda sql=sql: s.con.execute(sql).fetchall()) for sql in ("select g(1)", "select g(1.5)")
            ]
            seen.append(rows)
            return outer

        seen = []
        s.con.create_function("f", 1, f)
        sql = "select f(x), f(x + 0.5), g(x) from (select 1 x union all select 2 union all select 3)"
        return s.attempt(lambda: s.con.execute(sql).fetchall()), seen

    same(case)


# What the guest puts where it expects an answer, as an integer and as the bits of a float.
NO_INTEGER = 0x9E3779B97F4A7C15 - 2**64
NO_REAL = struct.unpack("<d", struct.pack("<Q", 0x7FF4D1CEC0DEFACE))[0]


def test_no_number_is_taken_for_a_missing_answer(same):
    def case(s):
        s.con.execute("create table t(x)")
        s.con.executemany("insert into t values (?)", [(1,), (NO_INTEGER,), (2.5,), (NO_INTEGER - 1,)])
        seen = []
        s.con.create_function("f", 1, lambda x: seen.append(x) or x)
        s.con.create_function("g", 1, lambda x: NO_INTEGER)
        s.con.create_function("h", 1, lambda x: NO_REAL)
        return s.con.execute("select f(x), g(x), h(x), typeof(h(x)), g(f(x)) from t").fetchall(), seen

    same(case)


def test_every_function_has_a_lane_or_none(con):
    # There are 250.
    for n in range(300):
        con.create_function(f"f{n}", 1, lambda x, n=n: x + n)
    sql = ", ".join(f"f{n}(1), f{n}(0.5)" for n in range(300))
    expected = tuple(value for n in range(300) for value in (1 + n, 0.5 + n))
    for _ in range(3):
        assert con.execute(f"select {sql}").fetchone() == expected
    for n in range(0, 300, 2):
        con.create_function(f"f{n}", 1, lambda x, n=n: x - n)
    expected = tuple(value for n in range(300) for value in ((1 - n, 0.5 - n) if n % 2 == 0 else (1 + n, 0.5 + n)))
    for _ in range(3):
        assert con.execute(f"select {sql}").fetchone() == expected
    callbacks = con._database.sandbox.callbacks
    assert len(callbacks._free) + len(callbacks._lanes) == 250
    assert set(callbacks._made) <= set(range(1, 251))


def test_a_function_that_replaces_itself_while_it_is_compiled_into_a_statement(con):
    # A deterministic function of constants can be called while a statement is compiled, when nothing runs.
    con.execute("create table t(x)")
    con.execute("create index i on t(x)")
    con.executemany("insert into t values (?)", [(n,) for n in range(1000)])
    con.execute("analyze")

    def f(x):
        for n in range(5):
            try:
                con.create_function("f", 1, lambda x: 7, deterministic=True)
                con.create_function(f"f{n}", 1, lambda x: 7, deterministic=True)
            except wasqlite.OperationalError:
                refused.append(n)
        return 7

    refused = []
    for _ in range(5):
        con.create_function("f", 1, f, deterministic=True)
        assert con.execute("select count(*) from t where x > f(1) and x < f(3.5)").fetchone() == (0,)
    assert con._database.instance.dead is None


def test_nested_text_results_do_not_overwrite_each_other(con):
    def f(text, depth):
        inner = con.execute("select f(? || '.', ?)", (text, depth - 1)).fetchone()[0] if depth else "end"
        return f"{text} {depth} {inner}" + "x" * (5000 if depth == 3 else 0)

    con.create_function("f", 2, f)
    found = con.execute("select f('a', 5), f('b', 1)").fetchone()
    assert found[0].startswith("a 5 a. 4 a.. 3 a... 2 a.... 1 a..... 0 endx")
    assert found[1] == "b 1 b. 0 end"


def test_a_function_may_write_to_its_connection(same):
    def case(s):
        s.con.execute("create table t(x)")
        s.con.create_function("f", 1, lambda x: s.con.execute("insert into t values (?)", (x,)).rowcount)
        s.con.create_function("many", 0, lambda: s.con.executemany("insert into t values (?)", [(7,), (8,)]).rowcount)
        rows = s.con.execute("select f(1), f(2), many()").fetchall()
        return rows, s.con.in_transaction, s.con.execute("select x from t").fetchall()

    same(case)


@pytest.mark.parametrize(
    "inner", ["commit()", "rollback()", "executescript('create table u(a)')", "execute('drop table t')"]
)
@pytest.mark.parametrize("outer", ["insert into t values (f())", "select f() from t", "select f()"])
def test_a_function_may_end_a_transaction_as_far_as_sqlite_lets_it(same, outer, inner):
    def case(s):
        s.con.execute("create table t(x)")
        s.con.execute("insert into t values (1)")
        s.con.create_function("f", 0, lambda: eval(f"con.{inner}", {"con": s.con}) and None)
        outcome = s.attempt(lambda: s.con.execute(outer).fetchall())
        return outcome, s.con.in_transaction, s.attempt(lambda: s.con.execute("select x from t").fetchall())

    same(case)


def test_the_cursor_that_runs_it_is_out_of_reach(con):
    # The stdlib says so to execute() only; fetchone() crashes it from 3.12 on.
    cursor, inside = con.cursor(), []
    uses = (lambda: cursor.execute("select 1"), cursor.fetchone, cursor.fetchall, cursor.close, lambda: next(cursor))
    for number, use in enumerate(uses):

        def f(use=use):
            with pytest.raises(wasqlite.ProgrammingError, match="Recursive use of cursors not allowed") as caught:
                use()
            inside.append(caught.value)

        con.create_function(f"f{number}", 0, f)
        assert cursor.execute(f"select f{number}()").fetchall() == [(None,)]
    assert len(inside) == len(uses)


def test_a_function_may_interrupt(same):
    def case(s):
        s.con.create_function("f", 0, s.con.interrupt)
        sql = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 5) select f() from n"
        return s.attempt(lambda: s.con.execute(sql).fetchall()), s.con.execute("select 1").fetchall()

    same(case)


def test_a_function_cannot_replace_itself_while_it_runs(same):
    def case(s):
        s.con.create_function("f", 0, lambda: s.con.create_function("f", 0, lambda: 2))
        return s.attempt(lambda: s.con.execute("select f()").fetchall())

    same(case)


def test_a_function_may_open_its_connection_anew(con):
    con.create_function("f", 0, lambda: con.__init__(":memory:"))
    assert con.execute("select f()").fetchall() == [(None,)]
    assert con.execute("select 1").fetchall() == [(1,)]


def test_a_function_of_shared_memory_may_use_the_other_connection(connect):
    name = "file:test_functions?mode=memory&cache=shared"
    one, two = connect(name, uri=True), connect(name, uri=True)
    one.execute("create table t(x)")
    two.create_function("g", 1, lambda x: x * 2)
    one.create_function("g", 1, lambda x: x * 3)
    one.create_function("f", 1, lambda x: two.execute("select g(?)", (x,)).fetchone()[0] + 1)
    assert one.execute("select f(5), g(5)").fetchone() == (11, 15)
    one.close()
    assert two.execute("select g(5)").fetchone() == (10,)
    with pytest.raises(wasqlite.OperationalError, match="no such function: f"):
        two.execute("select f(5)")


def test_calls_from_several_threads(connect):
    con = connect(check_same_thread=False)
    inside = []
    con.create_function("f", 1, lambda x: inside.append(threading.get_ident()) or x + 1)
    results = []

    def work(n):
        for i in range(50):
            results.append(con.execute("select f(?)", (i,)).fetchone() == (i + 1,))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 200
    assert len(inside) == 200


REGISTRATIONS = [
    lambda con: con.create_function("f", 0, len),
    lambda con: con.create_aggregate("f", 0, len),
    lambda con: con.create_window_function("f", 0, len),
    lambda con: con.create_collation("f", len),
    lambda con: con.set_authorizer(None),
    lambda con: con.set_progress_handler(None, 1),
    lambda con: con.set_trace_callback(None),
]


@pytest.mark.parametrize("register", REGISTRATIONS)
def test_registration_checks_thread_and_connection(same, register):
    def case(s):
        found = []
        thread = threading.Thread(target=lambda: found.append(s.attempt(lambda: register(s.con))))
        thread.start()
        thread.join()
        other = s.connect(":memory:")
        other.close()
        return found, s.attempt(lambda: register(other))

    same(case)


# -- tracebacks ------------------------------------------------------------------------------------------------------


def test_swallowed_exceptions_go_to_the_unraisable_hook(same, monkeypatch):
    class A:
        def step(self, x):
            return x / 0

        def finalize(self):
            raise KeyError

    class W:
        step = inverse = lambda self, x: None
        value = lambda self: 1  # noqa: E731
        finalize = A.finalize

    def fails(*_):
        raise ZeroDivisionError("in the callback")

    def case(s):
        seen = []

        def hook(u):
            name = u.exc_traceback.tb_frame.f_code.co_name
            culprit = u.object if u.object is None else u.object.__name__
            seen.append(
                (u.exc_type.__name__, s.clean(str(u.exc_value)), u.err_msg and s.clean(u.err_msg), culprit, name)
            )

        monkeypatch.setattr(sys, "unraisablehook", hook)
        con, outcomes = s.con, []

        def run(sql, *parameters):
            outcomes.append(s.attempt(lambda: con.execute(sql, parameters).fetchall()))

        con.create_function("quiet", 0, fails)
        run("select quiet()")
        s.m.enable_callback_tracebacks(True)
        try:
            con.create_function("f", -1, fails)
            con.create_function("g", -1, lambda *_: [])
            con.create_function("h", -1, lambda *_: 2**70)
            con.create_aggregate("a", 1, A)
            con.create_window_function("w", 1, W)
            for sql in ("f()", "f(1)", "g()", "h()", "h(cast(x'ff' as text))", "a(1)", "w(1) over ()"):
                run(f"select {sql}")
            con.set_authorizer(fails)
            run("select 1")
            con.set_authorizer(lambda *_: 2**70)
            run("select 1")
            con.set_authorizer(None)
            con.set_progress_handler(fails, 1)
            run("select 1 union select 2")
            con.set_progress_handler(None, 1)
            con.set_trace_callback(fails)
            run("select 1")
            con.set_trace_callback(lambda _: None)
            former = con.setlimit(s.m.SQLITE_LIMIT_LENGTH, 100)
            run("select ?", "x" * 95)
            con.set_trace_callback(None)
            con.setlimit(s.m.SQLITE_LIMIT_LENGTH, former)
        finally:
            s.m.enable_callback_tracebacks(False)
        return outcomes, seen

    same(case)


def test_tracebacks_without_a_hook_go_to_stderr(con, capsys, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)

    def failing():
        raise ZeroDivisionError("on purpose")

    con.create_function("f", 0, failing)
    wasqlite.enable_callback_tracebacks(True)
    try:
        with pytest.raises(wasqlite.OperationalError):
            con.execute("select f()")
    finally:
        wasqlite.enable_callback_tracebacks(False)
    written = capsys.readouterr().err
    assert "Exception ignored" in written and "failing" in written
    assert "wasqlite/capi" not in written


def test_a_failing_hook_harms_nothing(con, capsys, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda u: 1 // 0)
    con.create_function("f", 0, lambda: [])
    wasqlite.enable_callback_tracebacks(True)
    try:
        with pytest.raises(wasqlite.OperationalError):
            con.execute("select f()")
    finally:
        wasqlite.enable_callback_tracebacks(False)
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("flag", [True, 0, 2, "a", None, 1.5, 2**40])
def test_the_flag_of_tracebacks_is_an_int(same, flag):
    def case(s):
        try:
            return s.attempt(lambda: s.m.enable_callback_tracebacks(flag))
        finally:
            s.m.enable_callback_tracebacks(False)

    same(case)


# -- life ------------------------------------------------------------------------------------------------------------


class Callback:
    def __call__(self, *_):
        return 1


def register_everything(con, callback):
    con.create_function("f", -1, callback)
    con.create_aggregate("a", 1, lambda: callback)
    con.create_window_function("w", 1, lambda: callback)
    con.create_collation("c", callback)
    con.set_authorizer(lambda *_: 0 if callback else 1)
    con.set_progress_handler(lambda: 0 if callback else 1, 1000)
    con.set_trace_callback(callback)
    con.execute("select f(1), f('x'), 'a' < 'b' collate c").fetchall()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_dropped_connection_frees_its_callbacks_at_once():
    gc.collect()
    gc.disable()
    try:
        con, callback = wasqlite.connect(":memory:"), Callback()
        register_everything(con, callback)
        references = [weakref.ref(x) for x in (callback, con._database, con._database.sandbox, con._database.instance)]
        del con, callback
        assert [reference() for reference in references] == [None] * 4
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_connection_in_a_cycle_with_its_callbacks_is_collected():
    con, callback = wasqlite.connect(":memory:"), Callback()
    callback.con = con
    register_everything(con, callback)
    references = [weakref.ref(x) for x in (callback, con._database, con._database.sandbox, con._database.instance)]
    del con, callback
    gc.collect()
    assert [reference() for reference in references] == [None] * 4


@pytest.mark.parametrize(
    ("register", "remove"),
    [
        (lambda con, f: con.create_function("f", 0, f), lambda con: con.create_function("f", 0, len)),
        (lambda con, f: con.create_window_function("f", 0, f), lambda con: con.create_window_function("f", 0, None)),
        (lambda con, f: con.create_collation("f", f), lambda con: con.create_collation("f", None)),
        (lambda con, f: con.set_authorizer(f), lambda con: con.set_authorizer(None)),
        (lambda con, f: con.set_progress_handler(f, 10), lambda con: con.set_progress_handler(len, 0)),
        (lambda con, f: con.set_progress_handler(f, 10), lambda con: con.set_progress_handler(None, 10)),
        (lambda con, f: con.set_trace_callback(f), lambda con: con.set_trace_callback(len)),
        (lambda con, f: con.create_function("f", 0, f), lambda con: con.close()),
        (lambda con, f: con.create_aggregate("f", 0, f), lambda con: con.close()),
    ],
)
def test_what_is_replaced_removed_or_closed_is_freed(connect, register, remove):
    con, callback = connect(), Callback()
    reference = weakref.ref(callback)
    register(con, callback)
    del callback
    assert reference() is not None
    remove(con)
    assert reference() is None


def test_a_callback_that_could_not_be_registered_is_freed(con):
    callback = Callback()
    reference = weakref.ref(callback)
    with pytest.raises(wasqlite.Error):
        con.create_function("f" * 300, 0, callback)
    del callback
    assert reference() is None


def test_a_closed_shared_connection_frees_its_callbacks(connect):
    name = "file:test_freed?mode=memory&cache=shared"
    one, two = connect(name, uri=True), connect(name, uri=True)
    callback = Callback()
    reference = weakref.ref(callback)
    register_everything(one, callback)
    del callback
    one.close()
    assert reference() is None
    assert two.execute("select 1").fetchall() == [(1,)]
