"""User-defined window functions: step, inverse, value and finalize over frames."""

from __future__ import annotations

import sqlite3

import pytest

import wasqlite

ROWS = "(select 1 x, 'a' k union all select 2, 'b' union all select 3, 'a' union all select 4, 'b')"
FRAMES = [
    "",
    "order by x",
    "order by x rows between 1 preceding and 1 following",
    "order by x rows between 2 following and 3 following",
    "partition by k order by x",
    "partition by k order by x rows between current row and unbounded following",
]


def boom(*_):
    raise ZeroDivisionError("boom")


class Window:
    def __init__(self):
        self.values = []

    def step(self, *values):
        self.values.append(values)

    def inverse(self, *values):
        self.values.remove(values)

    def value(self):
        return repr(self.values)

    def finalize(self):
        return repr(self.values)


def variant(**methods):
    return type("Variant", (Window,), methods)


def without(*names):
    return type("Without", (), {n: f for n, f in vars(Window).items() if not n.startswith("__m") and n not in names})


@pytest.mark.parametrize("frame", FRAMES)
def test_values_over_a_frame(same, frame):
    def case(s):
        s.con.create_window_function("w", -1, Window)
        return s.con.execute(f"select x, w(x, k) over ({frame}) from {ROWS} order by x").fetchall()

    same(case)


def test_a_window_function_is_an_aggregate_too(same):
    def case(s):
        s.con.create_window_function("w", 1, Window)
        return [
            s.con.execute(sql).fetchall()
            for sql in (
                f"select w(x) from {ROWS}",
                f"select k, w(x) from {ROWS} group by k",
                f"select w(x) from {ROWS} where 0",
                f"select w(x) over () from {ROWS} where 0",
            )
        ]

    same(case)


def test_a_frame_that_never_had_a_row_is_null(con):
    # The stdlib crashes here: it calls value() on an object that does not exist.
    con.create_window_function("w", 1, Window)
    sql = f"select x, w(x) filter (where x > 100) over (order by x) from {ROWS}"
    assert con.execute(sql).fetchall() == [(1, None), (2, None), (3, None), (4, None)]
    sql = f"select x, w(x) over (order by x rows between 2 preceding and 1 preceding) from {ROWS}"
    assert con.execute(sql).fetchall() == [(1, None), (2, "[(1,)]"), (3, "[(1,), (2,)]"), (4, "[(2,), (3,)]")]


@pytest.mark.parametrize(
    "factory",
    [
        *[variant(**{method: boom}) for method in ("__init__", "step", "inverse", "value", "finalize")],
        *[without(method) for method in ("step", "inverse", "value", "finalize")],
        without("inverse", "value"),
        *[variant(value=lambda self, v=v: v) for v in ([], 2**70, "\ud800", object())],
        *[variant(finalize=lambda self, v=v: v) for v in ([], 2**70)],
        variant(value=lambda self: self.nothing),
        variant(inverse=property(boom)),
        variant(inverse=lambda self: None),
    ],
    ids=range(19),
)
@pytest.mark.parametrize(
    "sql", [f"select w(x) over ({FRAMES[2]}) from {ROWS}", f"select w(x) from {ROWS}"], ids=["over", "all"]
)
def test_errors_in_methods_have_the_stdlibs_messages(same, factory, sql):
    def case(s):
        s.con.create_window_function("w", 1, factory)
        return s.attempt(lambda: s.con.execute(sql).fetchall())

    same(case)


@pytest.mark.parametrize("method", ["__init__", "step", "inverse", "value"])
def test_the_exception_is_the_cause(con, method):
    con.create_window_function("w", 1, variant(**{method: boom}))
    with pytest.raises(wasqlite.OperationalError) as caught:
        con.execute(f"select w(x) over ({FRAMES[2]}) from {ROWS}").fetchall()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_ignored_error_of_finalize_is_nobodys_cause(con):
    con.create_window_function("w", 1, variant(finalize=boom))
    assert len(con.execute(f"select w(x) over () from {ROWS}").fetchall()) == 4
    with pytest.raises(wasqlite.OperationalError) as caught:
        con.execute("select nothing()")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_exit_from_finalize_is_not_lost(con, kind):
    def leave(self):
        raise kind

    con.create_window_function("w", 1, variant(finalize=leave))
    with pytest.raises(kind):
        con.execute(f"select w(x) over () from {ROWS}").fetchall()
    assert con.execute("select 1").fetchall() == [(1,)]


def test_none_removes(same):
    def case(s):
        s.con.create_window_function("w", 1, Window)
        s.con.create_window_function("w", 1, None)
        s.con.create_window_function("w", 1, None)
        return s.attempt(lambda: s.con.execute(f"select w(x) over () from {ROWS}").fetchall())

    same(case)


def test_methods_may_use_the_connection():
    found = []
    for module in (sqlite3, wasqlite):
        con = module.connect(":memory:")

        class Nested(Window):
            def step(self, x, con=con):
                super().step(con.execute("select ? + 1", (x,)).fetchone()[0])

            def inverse(self, x, con=con):
                super().inverse(con.execute("select ? + 1", (x,)).fetchone()[0])

            def value(self, con=con):
                return con.execute("select ?", (super().value(),)).fetchone()[0]

        con.create_window_function("w", 1, Nested)
        found.append(con.execute(f"select w(x) over ({FRAMES[2]}) from {ROWS}").fetchall())
        con.close()
    assert found[0] == found[1]
