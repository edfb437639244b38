"""Runs the tests on every other Python (3.11 or newer) that is found on this machine.

``python tests/interpreters.py [pytest arguments]``: each gets a virtual environment of its own beside ``.venv``, with
the project's dependencies, and the sources and the compiled module of this checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROBE = "import json, sys; print(json.dumps([*sys.version_info[:3], sys.implementation.name]))"


def candidates() -> list[Path]:
    """Interpreters by the usual names on PATH, and pyenv's."""
    found = [shutil.which(f"python3.{minor}") for minor in range(11, 30)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [Path(path) for path in found if path] + sorted(pyenv.glob("versions/*/bin/python3"))


def version(python: Path) -> tuple[int, int] | None:
    """Major and minor version of a CPython that runs, else None (a pyenv shim may not)."""
    result = subprocess.run([python, "-I", "-c", PROBE], capture_output=True, text=True)
    if result.returncode:
        return None
    major, minor, _, name = json.loads(result.stdout)
    return (major, minor) if name == "cpython" else None


def others() -> dict[tuple[int, int], Path]:
    """One interpreter for every version that is new enough and is not the running one."""
    found: dict[tuple[int, int], Path] = {}
    for python in candidates():
        of = version(python)
        if of is not None and of >= (3, 11) and of != sys.version_info[:2]:
            found.setdefault(of, python)
    return found


def prepare(python: Path, environment: Path) -> Path:
    """The interpreter of a virtual environment with what the tests need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    needed = [*project["project"]["dependencies"], *groups["test"], *groups["columnar"]]
    stamp = environment / "needed.json"
    inside = environment / "bin" / "python"
    if not stamp.exists() or json.loads(stamp.read_text()) != needed:
        subprocess.run([python, "-m", "venv", "--clear", environment], check=True)
        subprocess.run([inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needed], check=True)
        stamp.write_text(json.dumps(needed))
    return inside


USUAL = ["tests/bridge", "tests/vfs", "tests/capi", "tests/driver", "tests/columnar", "-m", "not slow"]


def run(name: str, python: Path) -> subprocess.CompletedProcess[str]:
    """The tests on one interpreter."""
    inside = prepare(python, ROOT / f".venv-{name}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [inside, "-m", "pytest", "-q", *(sys.argv[1:] or USUAL)]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def main() -> int:
    """Run the tests everywhere, on two interpreters at a time; 1 if they failed anywhere."""
    failed = []
    found = {f"{major}.{minor}": python for (major, minor), python in sorted(others().items())}
    print("other interpreters:", ", ".join(found) or "none", flush=True)
    with ThreadPoolExecutor(2) as pool:
        results = {name: pool.submit(run, name, python) for name, python in found.items()}
        for name, result in results.items():
            print(f"--- Python {name} ({found[name]})", result.result().stdout, sep="\n", flush=True)
            if result.result().returncode:
                failed.append(name)
    if failed:
        print("failed on:", ", ".join(failed))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
