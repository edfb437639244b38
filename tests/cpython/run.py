"""CPython's own sqlite3 tests, unmodified, on wasqlite: ``run.py [--python 3.12] [test_dbapi.BlobTests ...]``.

Each interpreter of 3.11 or newer that is found here runs the ``test.test_sqlite3`` of its own installation, in a
virtual environment where ``import sqlite3`` gives wasqlite. ``expected.toml`` lists which tests fail and why. A test
that fails and is not in it fails the run, and so does one that is in it and passes. Nobody writes that list but people.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from interpreters import ROOT, others, prepare

HERE = Path(__file__).resolve().parent
SECONDS = 900
"""For all tests of one interpreter, which take a tenth of that: it only ends what hangs."""
SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"


class Suite(NamedTuple):
    """Tests of CPython, and what they are run on."""

    package: str
    folder: Path
    """Where ``expected.toml``, ``worker.py`` and ``swap`` are."""
    swap: str = "swap"
    """The module that puts ours in the place of the stdlib's."""
    paths: tuple[Path, ...] = ()
    """What the tests find modules in, besides the sources of wasqlite."""

    @property
    def probe(self) -> str:
        """Code that prints whether the interpreter has the tests."""
        return f"from importlib.util import find_spec as f; print(bool(f('test') and f('{self.package}')))"


SQLITE = Suite("test.test_sqlite3", HERE)


def expectations(version: str, suite: Suite = SQLITE) -> dict[str, str]:
    """Which tests fail with this version of Python, each with the reason."""
    found: dict[str, str] = {}
    for group in tomllib.loads((suite.folder / "expected.toml").read_text()).get("group", []):
        for test in group["tests"] if version in group["python"] else []:
            if test in found:
                sys.exit(f"expected.toml lists {test} twice for Python {version}")
            found[test] = group["reason"]
    return found


def ask(python: Path, code: str) -> str:
    """What an interpreter prints."""
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def environment(python: Path, folder: Path, suite: Suite = SQLITE) -> Path:
    """A fresh virtual environment that has what ``python`` has, this checkout, and the swap: its interpreter."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    inside = folder / "bin" / "python"
    paths = [str(path) for path in (ROOT / "src", *suite.paths)]
    lines = [*paths, ask(python, SITE), str(HERE), str(suite.folder), f"import {suite.swap}"]
    # Not PYTHONPATH: the tests start interpreters that ignore it.
    Path(ask(inside, SITE), "swap.pth").write_text("\n".join(lines) + "\n")
    return inside


class Outcome:
    """What the events say: the last word on every test, and the tracebacks of those that failed."""

    def __init__(self, events: Sequence[dict[str, str]]) -> None:
        self.of: dict[str, str] = {}
        self.details: dict[str, str] = {}
        self.running: str | None = None
        for event in events:
            test, kind = event["test"], event["event"]
            if kind in ("start", "stop"):
                self.running = test if kind == "start" else None
            elif self.of.get(test) != "failure":
                self.of[test] = kind
                self.details[test] = event["detail"]

    def names(self, kind: str) -> set[str]:
        return {test for test, found in self.of.items() if found == kind}


def judge(version: str, outcome: Outcome, partly: bool, suite: Suite = SQLITE) -> bool:
    """Compare with what is expected and print the counts: whether all is well. ``partly``: not all tests were run."""
    expected = expectations(version, suite)
    if partly:
        expected = {test: reason for test, reason in expected.items() if test in outcome.of}
    failed, skipped, passed = (outcome.names(kind) for kind in ("failure", "skip", "success"))
    for test in sorted(failed - expected.keys()):
        print(f"\nFAILED, not in expected.toml: {test}\n{outcome.details[test]}")
    for test in sorted(expected.keys() - failed):
        print(f"in expected.toml, but {outcome.of.get(test, 'not there')}: {test} ({expected[test]})")
    reasons: dict[str, int] = {}
    for test in failed & expected.keys():
        reasons[expected[test]] = reasons.get(expected[test], 0) + 1
    print(
        f"Python {version}: {len(outcome.of)} tests run, {len(passed)} passed, {len(skipped)} skipped, "
        f"{sum(reasons.values())} failed as expected, {len(failed - expected.keys())} failed unexpectedly"
    )
    for reason, count in sorted(reasons.items()):
        print(f"  {count} expected: {reason}")
    return failed == expected.keys()


def conforms(version: str, python: Path, names: Sequence[str], suite: Suite = SQLITE) -> bool:
    """Run the tests with one interpreter."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        inside = environment(python, Path(folder, "environment"), suite)
        events, work = Path(folder, "events"), Path(folder, "work")
        work.mkdir()
        events.touch()
        with Path(folder, "output").open("w+") as output:
            child = subprocess.Popen(
                [inside, suite.folder / "worker.py", events, *names], cwd=work, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                ended = f"ended with status {status}" if (status := child.wait(SECONDS)) else ""
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                ended = f"did not end within {SECONDS} s"
            output.seek(0)
            printed = output.read()
        outcome = Outcome([json.loads(line) for line in events.read_text().splitlines()])
    if ended:
        at = f" in {outcome.running}" if outcome.running else ""
        print(f"{printed}\nPython {version}: the tests' process {ended}{at}")
        return False
    return judge(version, outcome, bool(names), suite)


def main(suite: Suite = SQLITE) -> int:
    """Run everywhere; 1 if anything was unexpected anywhere."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(description=f"CPython's {suite.package} on modules of ours")
    parser.add_argument("--python", metavar="X.Y", action="append", help="only this version; may be repeated")
    parser.add_argument("names", nargs="*", help="only these, as in expected.toml: a module, a class or a test")
    given = parser.parse_args()
    here = sys.version_info[:2]
    well = True
    for number, python in sorted({**others(), here: Path(sys.executable)}.items()):
        version = ".".join(map(str, number))
        if given.python and version not in given.python:
            continue
        if ask(python, suite.probe) == "True":
            inside = python if number == here else prepare(python, ROOT / f".venv-{version}")
            well = conforms(version, inside, given.names, suite) and well
        else:
            print(f"Python {version}: not run, {python} was installed without {suite.package}")
            well = well and number != here
    return not well


if __name__ == "__main__":
    sys.exit(main())
