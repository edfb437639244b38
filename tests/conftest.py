"""What holds for all tests."""

from __future__ import annotations

import signal

import pytest

from wasqlite import bulk, cursor, handout


def pytest_addoption(parser: pytest.Parser) -> None:
    """Batches of a fixed number of rows, both ways: results must not depend on it."""
    parser.addoption("--batch-rows", type=int, help="fetch and insert in batches of just so many rows")


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGINT raise KeyboardInterrupt: a shell starts its background jobs, and what they start, with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rows = config.getoption("--batch-rows")
    if rows:
        # Not cursor.FIRST_ROWS: that a statement of one row has ended with its execution, and one of more rows has not,
        # is what programs see of the stdlib.
        sizes = [
            (cursor, "MOST_ROWS"),
            (handout, "ALL_ROWS"),
            (bulk, "FIRST_ROWS"),
            (bulk, "MOST_ROWS"),
        ]
        for module, name in sizes:
            assert isinstance(getattr(module, name), int)
            setattr(module, name, rows)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of how many calls a batch takes are about the usual sizes."""
    if config.getoption("--batch-rows"):
        for item in items:
            if item.get_closest_marker("usual_batches"):
                item.add_marker(pytest.mark.skip(reason="about the usual sizes of batches"))
