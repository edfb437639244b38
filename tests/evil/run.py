"""The evil modules on every Python found here, and the count: ``python tests/evil/run.py [--others] [part of a name]``.

``--others``: not on the Python that runs this.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "evil")]
from corpus import EVIL  # noqa: E402
from interpreters import others, prepare  # noqa: E402
from test_evil import run  # noqa: E402


def main(arguments: list[str]) -> int:
    """1 if anything ended differently from how it must."""
    this = {f"{sys.version_info[0]}.{sys.version_info[1]}": Path(sys.executable)}
    pythons = this if "--others" not in arguments else {}
    part = next((argument for argument in arguments if not argument.startswith("-")), "")
    for (major, minor), python in sorted(others().items()):
        pythons[f"{major}.{minor}"] = prepare(python, ROOT / f".venv-{major}.{minor}")
    names = [name for name in EVIL if part in name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        for version, python in pythons.items():
            good = 0
            results = pool.map(lambda name, python=python: run(python, name, environment), names)
            for name, result in zip(names, results, strict=True):
                if result.returncode or result.stderr:
                    print(f"--- Python {version}: {name} (exit {result.returncode})", result.stdout, result.stderr)
                else:
                    good += 1
            failed += len(names) - good
            print(f"Python {version}: {good} of {len(names)} evil modules ended as documented", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
