"""Cursors and connections whose class did not call our ``__init__``: what the stdlib's show and refuse."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing

import pytest

import wasqlite

CURSOR_ATTRIBUTES = ["description", "rowcount", "lastrowid", "arraysize", "connection", "row_factory", "nonsense"]
CURSOR_CALLS = {
    "execute": lambda c: c.execute("SELECT 1"),
    "executemany": lambda c: c.executemany("SELECT 1", []),
    "executescript": lambda c: c.executescript("SELECT 1"),
    "fetchone": lambda c: c.fetchone(),
    "fetchmany": lambda c: c.fetchmany(),
    "fetchall": lambda c: c.fetchall(),
    "next": lambda c: next(c),
    "close": lambda c: c.close(),
    "arraysize": lambda c: setattr(c, "arraysize", 5) or c.arraysize,
    "row_factory": lambda c: setattr(c, "row_factory", 7) or c.row_factory,
    "setinputsizes": lambda c: c.setinputsizes(1),
}
CONNECTION_ATTRIBUTES = [
    "in_transaction",
    "isolation_level",
    "total_changes",
    "row_factory",
    "text_factory",
    "nonsense",
]
CONNECTION_CALLS = {
    "cursor": lambda k: k.cursor(),
    "execute": lambda k: k.execute("SELECT 1"),
    "call": lambda k: k("SELECT 1"),
    "commit": lambda k: k.commit(),
    "rollback": lambda k: k.rollback(),
    "close": lambda k: k.close(),
    "interrupt": lambda k: k.interrupt(),
    "create_function": lambda k: k.create_function("f", 1, None),
    "with": lambda k: k.__enter__(),
    "iterdump": lambda k: list(k.iterdump()),
    "isolation_level": lambda k: setattr(k, "isolation_level", None),
    "text_factory": lambda k: setattr(k, "text_factory", bytes) or k.text_factory,
}


def both(make, use):
    seen = []
    for module in (sqlite3, wasqlite):
        with ExitStack() as stack:
            try:
                seen.append(use(make(module, stack)))
            except (module.Error, AttributeError) as error:
                seen.append((type(error).__name__, str(error)))
    return seen


def cursor(module, stack):
    class Forgetful(module.Cursor):
        def __init__(self, connection):
            pass

    return Forgetful(stack.enter_context(closing(module.connect(":memory:"))))


def connection(module, stack):
    class Forgetful(module.Connection):
        def __init__(self, *args):
            pass

    return Forgetful(":memory:")


@pytest.mark.parametrize("name", CURSOR_ATTRIBUTES)
def test_a_cursors_attributes(name):
    native, ours = both(cursor, lambda c: getattr(c, name))
    assert ours == native


@pytest.mark.parametrize("name", CURSOR_CALLS)
def test_a_cursors_methods(name):
    native, ours = both(cursor, CURSOR_CALLS[name])
    assert ours == native


@pytest.mark.parametrize("name", CONNECTION_ATTRIBUTES)
def test_a_connections_attributes(name):
    native, ours = both(connection, lambda k: getattr(k, name))
    assert ours == native


@pytest.mark.parametrize("name", CONNECTION_CALLS)
def test_a_connections_methods(name):
    native, ours = both(connection, CONNECTION_CALLS[name])
    assert ours == native


def test_what_was_set_before_the_base_class_was_initialised_is_lost():
    def made(module, stack):
        class Early(module.Cursor):
            def __init__(self, connection):
                self.row_factory = 7
                super().__init__(connection)

        return Early(stack.enter_context(closing(module.connect(":memory:"))))

    native, ours = both(made, lambda c: c.row_factory)
    assert ours == native is None


def test_a_connection_that_failed_to_open_again_was_never_initialised():
    def made(module, stack):
        opened = module.connect(":memory:")  # it closes itself first
        with pytest.raises(module.OperationalError):
            opened.__init__("/no such folder/file.db")
        return opened

    native, ours = both(made, lambda k: k.execute("SELECT 1"))
    assert ours == native == ("ProgrammingError", "Base Connection.__init__ not called.")
