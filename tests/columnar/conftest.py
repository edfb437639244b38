"""Fixtures of the columns' tests, which need numpy; those of Arrow ask for what they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wasqlite

pytest.importorskip("numpy")


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
        connection._thread = None
        connection.close()


@pytest.fixture
def con(connect: Callable[..., wasqlite.Connection]) -> wasqlite.Connection:
    """A connection to a database in memory."""
    return connect()


@pytest.fixture(params=[1, 2, 7, None], ids=lambda rows: f"batches of {rows or 'any size'}")
def batch_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """How many rows the guest delivers per call."""
    from wasqlite.columnar import source

    if request.param is not None:
        monkeypatch.setattr(source, "BATCH_ROWS", request.param)
    return request.param
