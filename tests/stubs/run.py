"""Compares wasqlite with what typeshed says of sqlite3: ``make stubtest``.

First mypy's stubtest: every name and signature of the stubs is there, and the other way round. What differs is in
``allowlist.toml``, with the reason; entries that are of no use any more are an error. Then the types: mypy must accept
the program ``uses.py`` with sqlite3's stubs and with wasqlite's own hints alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SWAP = HERE.parent / "cpython"
# In this process `import sqlite3` gives wasqlite.
STUBTEST = "import swap; from mypy.stubtest import main; raise SystemExit(main())"
# mypy would keep its cache in an SQLite database, by the module under test. wasqlite itself is checked elsewhere.
CONFIGURATION = """
[mypy]
sqlite_cache = False
cache_dir = {folder}/cache
[mypy-wasqlite.*]
ignore_errors = True
"""


def allowlist() -> str:
    """The list as stubtest reads it: what goes for the running Python."""
    lines = []
    for entry in tomllib.loads((HERE / "allowlist.toml").read_text())["allowed"]:
        before = entry.get("before", "9.9")
        since = entry.get("since", "3.0")
        if parsed(since) <= sys.version_info[:2] < parsed(before):
            assert entry["reason"].strip(), entry
            lines += [f"{name}  # {entry['reason']}" for name in entry["names"]]
    return "\n".join(lines) + "\n"


def parsed(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def names_and_signatures(folder: Path, configuration: Path) -> int:
    """Run stubtest."""
    listed = folder / "allowlist"
    listed.write_text(allowlist())
    arguments = ["--concise", "--ignore-disjoint-bases", "--allowlist", listed, "--mypy-config-file", configuration]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{SWAP}"}
    return subprocess.run([sys.executable, "-c", STUBTEST, *arguments, "sqlite3"], env=environment).returncode


def types(folder: Path, configuration: Path) -> int:
    """Check the program with both."""
    status = 0
    for module in ("sqlite3", "wasqlite"):
        program = folder / f"uses_{module}.py"
        program.write_text((HERE / "uses.py").read_text().replace("sqlite3", module))
        print(f"uses.py with the types of {module}: ", end="", flush=True)
        environment = {**os.environ, "MYPYPATH": str(ROOT / "src")}
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file", configuration, program]
        status |= subprocess.run(command, cwd=folder, env=environment).returncode
    return status


def main() -> int:
    """Both; 1 if anything is wrong."""
    with tempfile.TemporaryDirectory(prefix="stubs-") as name:
        folder = Path(name)
        configuration = folder / "mypy.ini"
        configuration.write_text(CONFIGURATION.format(folder=folder))
        return names_and_signatures(folder, configuration) | types(folder, configuration)


if __name__ == "__main__":
    sys.exit(main())
