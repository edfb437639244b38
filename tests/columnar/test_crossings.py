"""How often the guest is called: per batch, never per row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wasqlite
from wasqlite.bridge.engine import engine

ROWS = 200_000


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], int]:
    """How many guest calls an action makes, of a connection that is opened later."""
    count = 0
    api = engine().api

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            nonlocal count
            count += 1
            return call(*args)

        return counted

    for name in ("call_releasing", "call_holding"):
        monkeypatch.setattr(api, name, counting(getattr(api, name)))

    def of(action: Callable[[], Any]) -> int:
        before = count
        action()
        return count - before

    return of


def test_calls_are_per_batch(calls: Callable[[Callable[[], Any]], int]) -> None:
    con = wasqlite.connect(":memory:")
    # 65,536 rows at most in a call, and three of them to get there; the input buffer has to grow for each of those.
    assert 4 <= calls(lambda: con.ingest("t", {"x": np.arange(ROWS)})) <= 25
    con.execute("select x from t").close()
    assert calls(lambda: con.execute("select x from t").fetch_numpy()) == 1 + 4
    assert calls(lambda: con.execute("select 1 as x where 0").fetch_numpy()) <= 3
    con.close()
