"""Runs the tests in this process: ``worker.py EVENTS [name ...]``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "cpython"))

import worker

PACKAGE = "test.test_pyexpat"


def prove_the_swap() -> None:
    """Fail unless the tests get wasexpat and nothing else."""
    import pyexpat

    import wasexpat

    assert pyexpat is wasexpat, pyexpat
    users = [module for name, module in sys.modules.items() if name.startswith(PACKAGE)]
    assert users, "the tests were not loaded"
    for user in users:
        assert user.expat.ParserCreate is wasexpat.ParserCreate, user.expat
        assert user.errors is wasexpat.errors, user.errors


if __name__ == "__main__":
    worker.main(PACKAGE, prove_the_swap)
