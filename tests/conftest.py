"""What holds for all tests."""

from __future__ import annotations

import signal

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGINT raise KeyboardInterrupt: a shell starts its background jobs, and what they start, with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
