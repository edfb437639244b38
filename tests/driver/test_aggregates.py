"""User-defined aggregates: the life of their objects, errors in their methods, the connection from inside."""

from __future__ import annotations

import gc
import weakref

import pytest

import wasqlite

ROWS = "(select 1 x, 'a' k union all select 2, 'b' union all select 3, 'a')"


def boom(*_):
    raise ZeroDivisionError("boom")


class Total:
    def __init__(self):
        self.total = 0

    def step(self, *values):
        self.total += sum(v for v in values if v is not None)

    def finalize(self):
        return self.total


def variant(**methods):
    return type("Variant", (Total,), methods)


def without(name):
    kept = {n: f for n, f in vars(Total).items() if n in ("__init__", "step", "finalize") and n != name}
    return type("Without", (), kept)


def test_an_aggregate_has_an_object_for_each_group(same):
    def case(s):
        s.con.create_aggregate("total", -1, Total)
        return [
            s.con.execute(f"select {sql} from {ROWS}").fetchall()
            for sql in (
                "total(x)",
                "total()",
                "total(x, 1.5, null)",
                "total(x), total(x + 10), total(distinct k = 'a')",
            )
        ] + [s.con.execute(f"select k, total(x) from {ROWS} group by k").fetchall()]

    same(case)


def test_without_rows_there_is_no_object_and_the_result_is_null(same):
    made = []

    def case(s):
        s.con.create_aggregate("a", 1, lambda: made.append(1))
        return s.con.execute(f"select a(x) from {ROWS} where x > 100").fetchall(), len(made)

    same(case)


@pytest.mark.parametrize(
    "factory",
    [
        variant(__init__=boom),
        variant(step=boom),
        variant(finalize=boom),
        variant(step=boom, finalize=boom),
        variant(finalize=lambda self: self.nothing),
        variant(finalize=lambda self: []),
        variant(finalize=lambda self: 2**70),
        variant(finalize=lambda self: "\ud800"),
        variant(step=lambda self: None),
        variant(step=5),
        variant(step=property(boom)),
        variant(step=property(lambda self: self.nothing)),
        without("step"),
        without("finalize"),
        5,
        None,
    ],
    ids=range(16),
)
def test_errors_in_methods_have_the_stdlibs_messages(same, factory):
    def case(s):
        s.con.create_aggregate("a", 1, factory)
        rows = [s.attempt(lambda: s.con.execute(f"select a(x) from {ROWS}").fetchall())]
        rows.append(s.attempt(lambda: s.con.execute(f"select k, a(x) from {ROWS} group by k").fetchall()))
        return rows

    same(case)


@pytest.mark.parametrize("error", [MemoryError, OverflowError, KeyError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("method", ["__init__", "step", "finalize"])
def test_the_exception_is_the_cause(same, method, error):
    def fails(*_):
        raise error

    def case(s):
        s.con.create_aggregate("a", 1, variant(**{method: fails}))
        outcome = s.attempt(lambda: s.con.execute(f"select a(x) from {ROWS}").fetchall())
        if s.m is wasqlite:
            with pytest.raises((wasqlite.Error, MemoryError)) as caught:
                s.con.execute(f"select a(x) from {ROWS}").fetchall()
            assert type(caught.value.__cause__) is error
        return outcome

    same(case)


def test_a_second_exception_is_noted_on_the_first(con):
    con.create_aggregate("a", 1, variant(step=boom, finalize=lambda self: {}["key"]))
    with pytest.raises(wasqlite.OperationalError, match="'step' method raised error") as caught:
        con.execute(f"select a(x) from {ROWS}").fetchall()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert any("KeyError: 'key'" in note for note in caught.value.__cause__.__notes__)


def test_text_that_is_not_utf8_fails_in_step(con):
    con.create_aggregate("a", 1, Total)
    sql = "select a(v) from (select 1 v union all select cast(x'ff' as text) union all select 2)"
    with pytest.raises(wasqlite.OperationalError, match="'step' method raised error") as caught:
        con.execute(sql)
    assert isinstance(caught.value.__cause__, UnicodeDecodeError)


def test_arguments_of_all_types(same):
    def case(s):
        seen = []
        s.con.create_aggregate("a", -1, variant(step=lambda self, *v: seen.append(v), finalize=lambda self: None))
        s.con.execute(
            "select a(v), a(v, 1), a(1.5, v) from (select 1 v union all values (2.5), ('t'), (x'ff'), (null))"
        )
        s.con.execute(f"select a({', '.join('?' * 30)})", [1, "t", None] * 10)
        return seen

    same(case)


def test_methods_may_use_the_connection(same):
    def case(s):
        class Nested:
            def __init__(self):
                self.base = s.con.execute(f"select total(x) from {ROWS}").fetchone()[0]

            def step(self, x):
                self.base += s.con.execute("select ?", (x,)).fetchone()[0]

            def finalize(self):
                return s.con.execute("select ?", (self.base,)).fetchone()[0]

        s.con.create_aggregate("total", 1, Total)
        s.con.create_aggregate("nested", 1, Nested)
        return s.con.execute(f"select nested(x), total(x), nested(x) from {ROWS}").fetchall()

    same(case)


def test_objects_of_an_abandoned_statement_are_finalized_and_freed(con):
    finished = []
    con.create_aggregate("a", 1, variant(finalize=lambda self: finished.append(1) or 1))
    con.create_function("f", 1, lambda x: 1 // (2 - x))
    with pytest.raises(wasqlite.OperationalError):
        con.execute(f"select a(f(x)) from {ROWS}")
    assert con.execute(f"select a(x) from {ROWS}").fetchone() == (1,)
    assert len(finished) == 2
    assert con._database.sandbox.callbacks.instances == {}


def test_the_object_is_freed_with_the_result(con):
    references = []

    class A(Total):
        def __init__(self):
            super().__init__()
            references.append(weakref.ref(self))

    con.create_aggregate("a", 1, A)
    con.execute(f"select k, a(x) from {ROWS} group by k").fetchall()
    gc.collect()
    assert [reference() for reference in references] == [None, None]
