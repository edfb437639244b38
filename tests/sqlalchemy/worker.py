"""One run of SQLAlchemy's tests, in a process of its own: ``worker.py MODULE URL EVENTS SOURCES PATH...``.

Every engine that the tests make, by whatever URL, uses MODULE: it is what the dialect imports as its DB-API module.
Every connection that a pool opens is looked at and counted by the module that its class comes from, so that the parent
can check that the swap is real.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

import pytest

# Before SQLAlchemy's own plugin is imported, as its assertions are to be rewritten.
pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

SETTINGS = """[sqla_testing]
requirement_cls = test.requirements:DefaultRequirements
profile_file = profiles.txt
[db]
default = {url}
"""


class Events:
    """A pytest plugin that writes each outcome to a file as it comes."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, **event: Any) -> None:
        print(json.dumps(event), file=self.file, flush=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The call's outcome, and whatever is not a success before and after it."""
        if report.when == "call" or not report.passed:
            outcome = "xfailed" if report.skipped and hasattr(report, "wasxfail") else report.outcome
            self.write(test=report.nodeid, outcome=outcome, detail=str(report.longrepr or ""))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported counts as a failed test."""
        if report.failed:
            self.write(test=report.nodeid, outcome="failed", detail=str(report.longrepr))


def swap(module: Any) -> Counter[str]:
    """Let every SQLite engine use ``module``: a counter of the connections by the module of their class."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
    from sqlalchemy.pool import Pool

    connections: Counter[str] = Counter()
    event.listen(Pool, "connect", lambda connection, _: connections.update([type(connection).__module__]))
    # The way that the documentation shows, on SQLAlchemy's own dialect.
    engine = create_engine("sqlite://", module=module)
    assert engine.dialect.dbapi is module
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 'works'").scalar() == "works"
    engine.dispose()
    # Not a class of our own: SQLAlchemy finds what else its tests need by the module of the dialect's class.
    SQLiteDialect_pysqlite.import_dbapi = classmethod(lambda cls: module)
    return connections


def main() -> int:
    name, url, events, sources, *paths = sys.argv[1:]
    module = importlib.import_module(name)
    Path("setup.cfg").write_text(SETTINGS.format(url=url))
    Path("pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    Path("profiles.txt").touch()
    # Its test.requirements says what SQLite can do; everything else comes from the installed package.
    sys.path.insert(0, sources)
    with Path(events).open("w") as file:
        plugin = Events(file)
        plugin_module = importlib.import_module("sqlalchemy.testing.plugin.pytestplugin")
        connections = swap(module)
        version = module.sqlite_version
        options = ["--rootdir", ".", "-c", "pytest.ini", "--noconftest", "--import-mode=importlib", "-q", "--tb=short"]
        status = pytest.main([*options, "--dburi", url, *paths], plugins=[plugin_module, plugin])
        plugin.write(connections=connections, sqlite=version, status=int(status))
    return 0


if __name__ == "__main__":
    sys.exit(main())
