"""Where the time of workloads goes, to explain rows that miss their target.

``python bench/explain.py NAME [--quick] [--lines N]`` prints what ``cProfile`` says of the Python code, and shares of
processor time by Linux's ``perf``, for wasqlite and for native SQLite.
``python bench/explain.py --missed FILE`` samples every row of a run that missed its target and writes the shares to
bench/results/profiles.json, from which ``bench/results.py --write`` makes the second table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
from pathlib import Path

import start
from contenders import NATIVE, SUBJECT
from native import BuildError, run_command
from results import PROFILES, rows_of, worst_part
from sampling import Profile, prepared, profile
from scale import FULL, QUICK, Scale
from workloads import WORKLOADS, Workload

SAMPLED = {w.name: w for w in WORKLOADS if w.run is not None and not w.fresh}


def python_profile(workload: Workload, scale: Scale, lines: int) -> None:
    """Print what cProfile says. Its own cost falls on calls of Python functions, so take counts and order from it."""
    timed = prepared(workload, SUBJECT.name, scale)
    timed.before()
    found = cProfile.Profile()
    found.runcall(timed.run)
    print("Python functions (cProfile):")
    pstats.Stats(found, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(lines)


def import_profile() -> None:
    """Print what a process imports."""
    command = [sys.executable, "-X", "importtime", "-c", start.program(SUBJECT.module)]
    print("Imports (microseconds: itself, with what it imports):")
    found = subprocess.run(command, env=start.warm(), capture_output=True, text=True, check=True).stderr.splitlines()
    print("\n".join(line for line in found if "wasqlite" in line or "ctypes" in line))
    print()


def show(title: str, found: Profile, lines: int) -> None:
    """Print shares of processor time."""
    print(f"{title}, shares of processor time (perf):")
    print("  " + ", ".join(f"{area} {share:.0f} %" for area, share in found["areas"].items() if share >= 0.5))
    for function, share in list(found["functions"].items())[:lines]:
        print(f"  {share:5.1f} %  {function}")
    print()


def missed(path: Path) -> None:
    """Sample the rows of a run that do not meet their target; of a row of parts, the worst part."""
    document = json.loads(path.read_text())
    scale = QUICK if document["quick"] else FULL
    rows = [row for row in rows_of(document) if row.verdict in ("missed", "runs differ")]
    wanted = {row.workload.name: worst_part(document, row.workload) for row in rows if row.workload.name != "mean"}
    found = {}
    for number, (name, part) in enumerate(wanted.items(), 1):
        if part.name not in SAMPLED:
            continue
        print(f"[{number}/{len(wanted)}] {part.title}", file=sys.stderr, flush=True)
        sides = {contender.name: profile(part, contender.name, scale) for contender in (SUBJECT, NATIVE)}
        found[name] = {"of": part.name, **sides}
    PROFILES.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Print all profiles of one workload, or sample those that missed."""
    parser = argparse.ArgumentParser(description="Where the time of benchmark workloads goes.")
    parser.add_argument("name", choices=SAMPLED, metavar="NAME", nargs="?")
    parser.add_argument("--quick", action="store_true", help="with the data of the quick benchmark")
    parser.add_argument("--lines", type=int, default=20, help="functions per profile")
    parser.add_argument("--missed", type=Path, metavar="FILE", help="the JSON of a run")
    arguments = parser.parse_args()
    if arguments.missed:
        missed(arguments.missed)
        return
    if arguments.name is None:
        raise BuildError(f"name a workload: {', '.join(SAMPLED)}")
    workload = SAMPLED[arguments.name]
    scale = QUICK if arguments.quick else FULL
    if workload.run == "process":
        import_profile()
    elif callable(workload.run):
        python_profile(workload, scale, arguments.lines)
    for contender in (SUBJECT, NATIVE):
        show(contender.title, profile(workload, contender.name, scale), arguments.lines)


if __name__ == "__main__":
    run_command(main)
