"""SQLAlchemy's compliance suite for dialects, and its own tests of the SQLite dialect: the stdlib beside wasqlite.

A process each for both modules, on a database in memory and on one in a file. What a test does with the stdlib it must
do with wasqlite: one that passes there and fails or is skipped here fails the run. The stdlib runs on a library built
from the same SQLite source where it can be made, so that tests which ask for the version decide alike.

SQLAlchemy's source distribution says what SQLite can do (``test/requirements.py``); it is fetched once by pip and kept
in the build's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import native  # noqa: E402

URLS = {"memory": "sqlite:///:memory:", "file": "sqlite:///compliance.db"}
SECONDS = 900
"""For one process, which takes a tenth of that: it only ends what hangs."""


def sources() -> Path:
    """The unpacked source distribution of the SQLAlchemy that is installed here."""
    name = f"sqlalchemy-{version('sqlalchemy')}"
    unpacked = native.cache_directory() / name
    if not unpacked.exists():
        with native.step(f"fetch the sources of {name}"), tempfile.TemporaryDirectory(dir=unpacked.parent) as folder:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            wanted = ["--no-binary", "sqlalchemy", "--dest", folder, name.replace("-", "==", 1)]
            subprocess.run([*pip, *wanted], check=True)
            with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as archive:
                archive.extractall(folder, filter="data")
            Path(folder, name).replace(unpacked)
    return unpacked


def stdlib_environment() -> dict[str, str]:
    """Where the stdlib's module runs on our SQLite's source; as installed where that cannot be."""
    try:
        return native.environment()
    except native.BuildError as error:
        print(f"the stdlib runs on the SQLite that is installed: {error}")
        return dict(os.environ)


class Run:
    """One process: the last word on every test, and what the process says of itself."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.outcomes: dict[str, str] = {}
        self.details: dict[str, str] = {}
        self.summary: dict[str, Any] = {}
        for event in events:
            if "test" not in event:
                self.summary = event
            # A test that passes, but whose end fails, has failed.
            elif self.outcomes.get(event["test"]) != "failed":
                self.outcomes[event["test"]] = event["outcome"]
                self.details[event["test"]] = event["detail"]

    def counts(self) -> str:
        found = Counter(self.outcomes.values())
        return ", ".join(f"{found[kind]} {kind}" for kind in ("passed", "failed", "skipped", "xfailed"))


def run(module: str, url: str, environment: dict[str, str], paths: list[Path]) -> Run:
    """SQLAlchemy's tests with one module."""
    # In memory where the system has a place for that: the tests wait for the disk most of the time otherwise.
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="compliance-", dir=place if place.is_dir() else None) as folder:
        events, work = Path(folder, "events"), Path(folder, "work")
        work.mkdir()
        command = [sys.executable, HERE / "worker.py", module, url, events, sources(), *paths]
        with Path(folder, "output").open("w+") as output:
            child = subprocess.Popen(command, cwd=work, env=environment, stdout=output, stderr=subprocess.STDOUT)
            try:
                child.wait(SECONDS)
            finally:
                child.kill()
                child.wait()
            output.seek(0)
            printed = output.read()
        lines = events.read_text().splitlines() if events.exists() else []
    found = Run([json.loads(line) for line in lines])
    if not found.summary:
        sys.exit(
            f"{printed[-5000:]}\nthe process with {module} ended with status {child.returncode} before its tests did"
        )
    return found


def proven(module: str, found: Run) -> bool:
    """Whether the module made connections, and the other one none. SQLAlchemy's tests also make mocks of them."""
    used = {name.partition(".")[0] for name in found.summary["connections"]}
    return used & {"sqlite3", "wasqlite"} == {module}


def worse(before: Run, after: Run) -> list[str]:
    """The tests that went better with the stdlib: failed, skipped or missing now, and not so before."""
    wanted = {test: outcome for test, outcome in before.outcomes.items() if outcome != "failed"}
    found = [test for test, outcome in wanted.items() if after.outcomes.get(test) not in (outcome, "passed")]
    new = after.outcomes.keys() - before.outcomes.keys()
    return sorted(found) + sorted(test for test in new if after.outcomes[test] == "failed")


def main() -> int:
    """Run all; 1 if anything is worse than with the stdlib."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    environments = {"sqlite3": stdlib_environment(), "wasqlite": dict(os.environ)}
    paths = [HERE / "suite.py", *sorted((sources() / "test" / "dialect" / "sqlite").glob("test_*.py"))]
    well = True
    for kind, url in URLS.items():
        runs = {}
        for module, environment in environments.items():
            runs[module] = run(module, url, environment, paths)
            summary = runs[module].summary
            print(f"{kind}, {module} on SQLite {summary['sqlite']}: {runs[module].counts()}", end="; ")
            print("connections:", ", ".join(f"{n} of {name}" for name, n in summary["connections"].items()))
            if not proven(module, runs[module]):
                print(f"NOT {module}: another module made connections, or none was made")
                well = False
        for test in worse(runs["sqlite3"], runs["wasqlite"]):
            now = runs["wasqlite"].outcomes.get(test, "not there")
            print(f"\nWORSE: {test}: {runs['sqlite3'].outcomes.get(test, 'not there')} with the stdlib, {now} here")
            print(runs["wasqlite"].details.get(test, "")[-3000:])
            well = False
    return not well


if __name__ == "__main__":
    sys.exit(main())
