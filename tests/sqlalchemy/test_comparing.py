"""The comparison of two runs finds what is worse, and only that; and the proof of the swap can fail."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module ``run``; its imports from other folders are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    spec = importlib.util.spec_from_file_location("compliance_run", Path(__file__).with_name("run.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def events(**outcomes: str) -> list[dict[str, Any]]:
    return [{"test": name, "outcome": outcome, "detail": ""} for name, outcome in outcomes.items()]


def test_what_is_worse(run: ModuleType) -> None:
    before = run.Run(events(a="passed", b="passed", c="passed", d="skipped", e="failed", f="passed", g="skipped"))
    after = run.Run(events(a="failed", b="skipped", d="failed", e="failed", f="passed", g="passed", new="failed"))
    assert run.worse(before, after) == ["a", "b", "c", "d", "new"]


def test_a_test_whose_end_fails_has_failed(run: ModuleType) -> None:
    found = run.Run([*events(a="passed"), *events(a="failed"), *events(a="passed")])
    assert found.counts() == "0 passed, 1 failed, 0 skipped, 0 xfailed"


@pytest.mark.parametrize(
    ("connections", "proven"),
    [
        ({"wasqlite.connection": 5, "unittest.mock": 1}, True),
        ({"wasqlite.connection": 5, "sqlite3": 1}, False),
        ({"unittest.mock": 1}, False),
    ],
)
def test_the_swap_is_proven_by_the_connections(run: ModuleType, connections: dict[str, int], proven: bool) -> None:
    assert run.proven("wasqlite", run.Run([{"connections": connections}])) is proven
