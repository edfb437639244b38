"""How long a process takes to import the driver, connect, run a first query and end: wasqlite beside the stdlib.

Whole processes, in turn, after one of each to warm up: ``python bench/start.py [rounds]``. Quote the ratio.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

PROGRAM = """
import {module}
con = {module}.{connect}(":memory:")
assert con.execute("SELECT 1").fetchone() == (1,)
con.close()
"""
MODULES = ("sqlite3", "wasqlite")


def program(module: str) -> str:
    """What the process runs."""
    return PROGRAM.format(module=module, connect="Connection" if module == "apsw" else "connect")


def warm(environment: dict[str, str] | None = None) -> dict[str, str]:
    """An environment in which Python keeps its bytecode, as it does for every package that pip installs."""
    found = dict(os.environ if environment is None else environment)
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


def run(module: str, environment: dict[str, str] | None = None) -> float:
    """Seconds of wall time of one process."""
    environment = warm(environment)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program(module)], env=environment, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the medians, and the median of the ratios of neighbouring runs."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    for module in MODULES:
        run(module)
    times = [[run(module) for module in MODULES] for _ in range(rounds)]
    native, ours = ([pair[i] for pair in times] for i in range(2))
    ratio = statistics.median(b / a for a, b in times)
    medians = (statistics.median(native) * 1e3, statistics.median(ours) * 1e3)
    print(f"stdlib {medians[0]:.0f} ms, wasqlite {medians[1]:.0f} ms: {ratio:.1f} times")


if __name__ == "__main__":
    main()
