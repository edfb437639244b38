"""Fixtures of the driver's tests: connections that are closed at the end, and a count of guest calls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from oracle import Case, both

import wasqlite
from wasqlite.bridge.engine import engine


@pytest.fixture
def connect() -> Iterator[Callable[..., wasqlite.Connection]]:
    """``wasqlite.connect`` whose connections are closed after the test."""
    opened: list[wasqlite.Connection] = []

    def opener(database: Any = ":memory:", **keywords: Any) -> wasqlite.Connection:
        connection = wasqlite.connect(database, **keywords)
        opened.append(connection)
        return connection

    yield opener
    for connection in opened:
        if connection._thread is not None:
            connection._thread = None
        connection.close()


@pytest.fixture
def con(connect: Callable[..., wasqlite.Connection]) -> wasqlite.Connection:
    """A connection to a database in memory."""
    return connect()


@pytest.fixture
def same(tmp_path: Path) -> Callable[[Case], Any]:
    """Runs a case against the stdlib and wasqlite, which must agree in everything: its outcome."""
    runs = 0

    def check(case: Case) -> Any:
        nonlocal runs
        runs += 1
        folder = tmp_path / str(runs)
        folder.mkdir()
        expected, seen = both(case, folder)
        assert seen == expected
        return seen["outcome"]

    return check


class Crossings:
    """Counts the calls into guests whose connections were opened after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        api = engine().api
        for name in ("call_releasing", "call_holding"):
            monkeypatch.setattr(api, name, self._counting(getattr(api, name)))

    def _counting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            self.count += 1
            return call(*args)

        return counted

    def of(self, action: Callable[[], Any]) -> int:
        """How many calls the action makes."""
        before = self.count
        action()
        return self.count - before


@pytest.fixture
def crossings(monkeypatch: pytest.MonkeyPatch) -> Crossings:
    """A counter of guest calls; ask for it before ``con`` and ``connect``."""
    return Crossings(monkeypatch)
