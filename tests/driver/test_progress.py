"""The progress handler: how often it is called, what stops a statement, beside Ctrl-C and interrupt()."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time

import pytest

import wasqlite

LONG = "with recursive n(x) as (select 1 union all select x + 1 from n where x < {}) select sum(x) from n"
SHORT = "select 1 union select 2 union select 3"


class Truth:
    def __bool__(self):
        raise ValueError("neither true nor false")


@pytest.mark.parametrize("answer", [0, 1, None, "x", "", [], 1.5, True, False, Truth(), object()], ids=repr)
def test_what_is_true_interrupts(same, answer):
    def case(s):
        s.con.set_progress_handler(lambda: answer, 1)
        outcome = s.attempt(lambda: s.con.execute(SHORT).fetchall())
        s.con.set_progress_handler(None, 1)
        return outcome, s.con.execute(SHORT).fetchall()

    same(case)


@pytest.mark.parametrize("steps", [1, 2, 7, 100, 1000, 50_000, 100_000, 150_000, 250_000])
def test_it_is_called_every_so_many_steps(steps):
    counts = []
    for module in (sqlite3, wasqlite):
        con = module.connect(":memory:")
        calls = []
        con.set_progress_handler(lambda calls=calls: calls.append(1), steps)
        con.execute(LONG.format(100_000)).fetchall()
        counts.append(len(calls))
        con.close()
    # Two versions of SQLite compile to slightly different programs.
    assert counts[0] > 0
    assert abs(counts[0] - counts[1]) <= 1 + counts[0] // 10


@pytest.mark.parametrize("n", [0, -1, -(2**31), 2**31 - 1, 2**31, "x", 1.5, None, True])
def test_the_number_of_steps(same, n):
    def case(s):
        outcome = s.attempt(lambda: s.con.set_progress_handler(lambda: 1, n))
        return outcome, s.attempt(lambda: s.con.execute(SHORT).fetchall())

    same(case)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit, MemoryError, OverflowError])
def test_an_exception_interrupts_and_is_the_cause(same, error):
    def fails():
        raise error

    def case(s):
        s.con.set_progress_handler(fails, 1)
        outcome = s.attempt(lambda: s.con.execute(SHORT).fetchall())
        if s.m is wasqlite:
            with pytest.raises(wasqlite.OperationalError, match="interrupted") as caught:
                s.con.execute(SHORT)
            assert type(caught.value.__cause__) is error
        s.con.set_progress_handler(None, 1)
        return outcome

    same(case)


def test_something_that_cannot_be_called_interrupts(same):
    def case(s):
        s.con.set_progress_handler(5, 1)
        return s.attempt(lambda: s.con.execute(SHORT).fetchall())

    same(case)


@pytest.mark.parametrize("replacement", [(None, 1), (lambda: 0, 2), (lambda: 1, 1), (lambda: 0, 0)])
def test_it_may_replace_itself(same, replacement):
    def case(s):
        s.con.set_progress_handler(lambda: s.con.set_progress_handler(*replacement), 1)
        return s.attempt(lambda: s.con.execute(SHORT).fetchall())

    same(case)


def test_it_must_not_use_its_connection(con):
    inside = []

    def progress():
        for use in (lambda: con.execute("select 5"), con.close):
            with pytest.raises(wasqlite.ProgrammingError) as caught:
                use()
            inside.append(caught.value)

    con.set_progress_handler(progress, 1)
    assert con.execute(SHORT).fetchall() == [(1,), (2,), (3,)]
    assert inside
    con.set_progress_handler(None, 1)
    assert con.execute("select 2").fetchall() == [(2,)]


@pytest.mark.parametrize("steps", [10, 100_000, 10**9])
def test_interrupt_and_signals_still_end_a_query(connect, steps):
    con = connect(check_same_thread=False)
    con.set_progress_handler(lambda: 0, steps)
    threading.Timer(0.3, con.interrupt).start()
    with pytest.raises(wasqlite.OperationalError, match="interrupted"):
        con.execute(LONG.format(10**11))

    class Alarm(Exception):
        pass

    def ring(*_):
        raise Alarm

    former = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        # Where the handler happens to be running, the exception is one of its own.
        with pytest.raises((Alarm, wasqlite.OperationalError)) as caught:
            con.execute(LONG.format(10**11))
        assert isinstance(caught.value, Alarm) or isinstance(caught.value.__cause__, Alarm)
    finally:
        signal.signal(signal.SIGALRM, former)
    assert con.execute("select 1").fetchall() == [(1,)]


def test_a_deadline_by_handler(con):
    end = time.monotonic() + 0.2
    con.set_progress_handler(lambda: time.monotonic() > end, 10_000)
    with pytest.raises(wasqlite.OperationalError, match="interrupted"):
        con.execute(LONG.format(10**11))


def test_handlers_of_two_connections_to_shared_memory(connect):
    name = "file:test_progress?mode=memory&cache=shared"
    one, two = connect(name, uri=True), connect(name, uri=True)
    calls = []
    one.set_progress_handler(lambda: calls.append(1), 1)
    two.set_progress_handler(lambda: calls.append(2), 1)
    one.execute(SHORT).fetchall()
    assert set(calls) == {1}
    two.execute(SHORT).fetchall()
    assert set(calls) == {1, 2}
