"""All of SQLite's mptest scripts: by wasqlite processes alone, and by wasqlite and native processes together.

``python run.py [--modes DELETE WAL] [--mixes MODULES ...] [SCRIPT ...]``. The scripts come from the Debian source
package (build/fetch_upstream.py). Exit code 1 if a script failed, 3 if the scripts could not be fetched.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CLIENT = Path(__file__).with_name("client.py")
# The master is the first, client 1 the second, and so on in turn.
MIXES = ("wasqlite", "wasqlite,sqlite3", "sqlite3,wasqlite")
MODES = ("DELETE", "TRUNCATE", "PERSIST", "WAL")
SCRIPTS = ("config01.test", "config02.test", "crash01.test", "multiwrite01.test")
# What does not fit WAL; SQLite's own mptest reports the same. config01 takes every client to another journal mode,
# which is refused while others are connected, and config02 changes the page size four times, which has no effect.
UNFIT = {("config01.test", "WAL")}
PAGE_SIZES = re.compile(r"expected --match \[(\d+)(?: \1){4}\], got \[4096 4096 4096 4096 4096\]")
EXPECTED_ERRORS = {("config02.test", "WAL"): 4}
LIMIT = 900
UNFETCHED = 3


def fetch() -> Path:
    """The directory of the scripts; exits with the reason if there is none."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "build" / "fetch_upstream.py")], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        print(f"SQLite's mptest scripts cannot be fetched: {done.stderr.strip().splitlines()[-1:]}")
        sys.exit(UNFETCHED)
    return Path(done.stdout.strip().splitlines()[-1]) / "mptest"


def run(script: Path, modules: str, mode: str) -> bool:
    """One script; prints a line, and what was wrong."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wasqlite-mptest-") as folder:
        command = [sys.executable, str(CLIENT), f"{folder}/mp.db", str(script), "--modules", modules, "--journal", mode]
        # A session of its own, so that nothing is left when it hangs.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        try:
            output, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            output += f"ERROR: not done after {LIMIT} s\n"
    summary = re.search(r"^Summary: (.*)$", output, re.MULTILINE)
    errors = [line for line in output.splitlines() if "ERROR" in line]
    expected = EXPECTED_ERRORS.get((script.name, mode), 0)
    right = summary is not None and len(errors) == expected and all(map(PAGE_SIZES.search, errors))
    right = right and process.returncode == (1 if expected else 0)
    said = summary[1] if summary else "no summary"
    seconds = time.monotonic() - start
    print(
        f"{script.name:20}{modules:20}{mode:10}{seconds:6.1f} s  {said}{', as native' if expected else ''}", flush=True
    )
    if not right:
        print("\n".join(errors[:10] or output.splitlines()[-20:]))
    return right


def main() -> None:
    """Every combination."""
    parser = argparse.ArgumentParser(description="Run SQLite's mptest scripts with native and wasqlite processes.")
    parser.add_argument("scripts", nargs="*", default=SCRIPTS)
    parser.add_argument("--modes", nargs="+", default=MODES)
    parser.add_argument("--mixes", nargs="+", default=MIXES)
    arguments = parser.parse_args()
    folder = fetch()
    results = [
        run(folder / script, modules, mode)
        for mode in arguments.modes
        for modules in arguments.mixes
        for script in arguments.scripts
        if (script, mode) not in UNFIT
    ]
    print(f"{results.count(True)} of {len(results)} passed")
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
