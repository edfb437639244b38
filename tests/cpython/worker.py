"""Runs CPython's own tests in this process and writes what became of each: ``worker.py EVENTS [name ...]``.

examples/expat runs those of another module in the same way.

Every line of the file EVENTS is JSON: the test, what happened to it, the traceback. "start" comes first, so that the
file names the test that a crash or a hang was in.
"""

from __future__ import annotations

import faulthandler
import json
import subprocess
import sys
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

PACKAGE = "test.test_sqlite3"
CHILD = "import sqlite3; print(sqlite3.connect(':memory:').execute('select sqlite_source_id()').fetchone()[0])"


def name_of(test: Any, package: str) -> str:
    """The test's name within the package; the module's alone where it could not be imported."""
    return str(test.id()).removeprefix("unittest.loader._FailedTest.").removeprefix(package + ".")


class Events(unittest.TestResult):
    """Writes an event for everything that unittest reports."""

    def __init__(self, file: TextIO, package: str) -> None:
        super().__init__()
        self._file = file
        self._package = package

    def put(self, test: Any, event: str, detail: str = "") -> None:
        self._file.write(json.dumps({"test": name_of(test, self._package), "event": event, "detail": detail}) + "\n")
        self._file.flush()

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self.put(test, "start")

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        self.put(test, "stop")

    def addSuccess(self, test: Any) -> None:
        self.put(test, "success")

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self.put(test, "failure", self.failures[-1][1])

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self.put(test, "failure", self.errors[-1][1])

    def addSkip(self, test: Any, reason: str) -> None:
        self.put(test, "skip", reason)

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self.put(test, "success")

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.put(test, "failure", "CPython expects this test to fail, and it passed")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.put(test, "failure", (self.failures + self.errors)[-1][1])


def prove_the_swap() -> None:
    """Fail unless the tests, and the processes that they start, get wasqlite and nothing else."""
    import wasqlite

    users = [m for name, m in sys.modules.items() if name.startswith(PACKAGE + ".")]
    seen = {id(m): m for user in users for key, m in vars(user).items() if key in ("sqlite", "sqlite3")}
    assert list(seen.values()) == [wasqlite], f"the tests use {list(seen.values())}"
    for name in ("sqlite3", "_sqlite3"):
        assert sys.modules[name] is wasqlite, f"{name} is {sys.modules[name]}"
    loaded = [m for m in list(sys.modules.values()) if "_sqlite3." in (getattr(m, "__file__", None) or "")]
    assert not loaded, f"the stdlib's extension module is here: {loaded}"
    con = wasqlite.connect(":memory:")
    ours = con.execute("select sqlite_source_id()").fetchone()[0]
    con.close()
    result = subprocess.run([sys.executable, "-I", "-c", CHILD], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ours, f"a child process has SQLite {result.stdout}"


def main(package: str, prove: Callable[[], None]) -> None:
    """Load, look at what was loaded, run."""
    faulthandler.enable()
    names = [f"{package}.{name}" for name in sys.argv[2:]] or [package]
    tests = unittest.TestLoader().loadTestsFromNames(names)
    prove()
    with Path(sys.argv[1]).open("w") as file:
        tests.run(Events(file, package))


if __name__ == "__main__":
    main(PACKAGE, prove_the_swap)
