"""Where the time of one workload goes, to explain a row that misses its target.

``python bench/explain.py NAME [--quick] [--native] [--lines N]`` prints what ``cProfile`` says of the Python code and,
where Linux's ``perf`` is installed, shares of processor time: the guest's functions by name, the interpreter, ctypes,
wasmtime, libc, the kernel. ``--native`` adds perf's profile of the same workload on native SQLite.
"""

from __future__ import annotations

import argparse
import cProfile
import ctypes
import dataclasses
import json
import os
import pstats
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from typing import Any

import modules
import native
import speedtest
import start
from contenders import CONTENDERS, NATIVE, SUBJECT, Driver
from native import BuildError, run_command
from programs import PROGRAMS
from scale import FULL, QUICK, Scale
from workloads import WORKLOADS, Timed, Workload

SAMPLED = 3.0
"""Seconds that perf looks at, at least."""
# wasmtime_profiling_strategy_enum: write /tmp/perf-PID.map, which tells perf the names of compiled functions.
_PERFMAP = 3
# Areas by the file that the code is in; the first pattern that fits.
AREAS = {
    "guest": r"perf-\d+\.map|\[JIT\]",
    "native SQLite": r"libsqlite3|speedtest1",
    "sqlite3 module": r"_sqlite3\.|apsw",
    "Python": r"python",
    "ctypes": r"_ctypes|libffi",
    "wasmtime": r"wasmtime",
    "kernel": r"kernel|\[unknown\]|vdso",
    "libc": r"libc\.|libm\.|ld-linux",
}


def prepared(workload: Workload, contender: str, scale: Scale) -> Timed:
    """The workload, warm."""
    if not callable(workload.run):
        raise BuildError(f"{workload.name} is a whole program")
    timed = workload.run(Driver(CONTENDERS[contender], scale))
    timed.before()
    timed.run()
    return timed


def python_profile(workload: Workload, scale: Scale, lines: int) -> None:
    """Print what cProfile says. Its own cost falls on calls of Python functions, so take counts and order from it."""
    timed = prepared(workload, SUBJECT.name, scale)
    timed.before()
    profile = cProfile.Profile()
    profile.runcall(timed.run)
    print("Python functions (cProfile):")
    stats = pstats.Stats(profile, stream=sys.stdout)
    stats.strip_dirs().sort_stats("tottime").print_stats(lines)


def name_functions() -> None:
    """Compile with a module that has names, and let wasmtime tell perf about them."""
    from wasqlite.bridge import _wasmtime, cache

    api = _wasmtime.api()
    library, plain = ctypes.CDLL(str(api.path)), api.config_new
    library.wasmtime_config_profiler_set.argtypes = [ctypes.c_void_p, ctypes.c_uint8]

    def config_new() -> Any:
        config = plain()
        library.wasmtime_config_profiler_set(config, _PERFMAP)
        return config

    api.config_new = config_new
    # Code that comes from the cache lies in a file, and perf would look for names there.
    cache.directory = lambda: None


def sampled(name: str, contender: str, scale: Scale, control: int) -> None:
    """In a process that perf watches: run the workload between the two words that switch perf on and off."""
    workload = next(workload for workload in WORKLOADS if workload.name == name)
    if contender == SUBJECT.name:
        name_functions()
    if isinstance(workload.run, str):
        os.write(control, b"enable\n")
        options = ["--size", str(scale.speedtest), "--nosync", *(["--memdb"] if name == "speedtest1" else [])]
        module = str(modules.build(speedtest=True, names=True))
        with tempfile.TemporaryDirectory(prefix="wasqlite-speedtest-") as folder:
            speedtest.run_in_sandbox(module, [*options, f"{folder}/speed.db"])
    if contender == SUBJECT.name:
        from wasqlite.capi import library

        library.PATH = modules.build(names=True)
    timed = prepared(workload, contender, scale)
    spent = 0.0
    while spent < SAMPLED:
        timed.before()
        os.write(control, b"enable\n")
        begun = time.perf_counter()
        timed.run()
        spent += time.perf_counter() - begun
        os.write(control, b"disable\n")


def by_share(shares: dict[str, float]) -> list[tuple[str, float]]:
    """The largest first."""
    return sorted(shares.items(), key=lambda item: -item[1])


def perf_profile(workload: Workload, contender: str, scale: Scale, lines: int) -> None:
    """Print perf's shares by area, and the functions at the top."""
    perf = shutil.which("perf")
    if perf is None:
        print("perf was not found (Debian: apt-get install linux-perf): without shares of processor time")
        return
    environment = native.environment() if CONTENDERS[contender].native else dict(os.environ)
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        inner = [workload.name, "--sampled", contender, json.dumps(dataclasses.asdict(scale)), str(writing)]
        if isinstance(workload.run, str) and contender == NATIVE.name:
            options = [
                "--size",
                str(scale.speedtest),
                "--nosync",
                *(["--memdb"] if workload.name == "speedtest1" else []),
            ]
            command = [*speedtest.sides()["native"], *options, f"{folder}/speed.db"]
            watched = [perf, "record", "-q", "-F", "999", "-o", data, "--", *command]
        else:
            command = [sys.executable, __file__, *inner]
            watched = [
                perf,
                "record",
                "-q",
                "-F",
                "999",
                "-o",
                data,
                "-D",
                "-1",
                f"--control=fd:{reading}",
                "--",
                *command,
            ]
        done = subprocess.run(
            watched, env=environment, pass_fds=(reading, writing), capture_output=True, text=True, check=False
        )
        os.close(reading)
        os.close(writing)
        if done.returncode != 0:
            raise BuildError(f"perf record failed: {done.stderr[-2000:]}")
        report = subprocess.run(
            [perf, "report", "-i", data, "--stdio", "-q", "--sort", "dso,sym", "-F", "overhead,dso,sym", "-t", ";"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    shares: defaultdict[str, float] = defaultdict(float)
    functions: defaultdict[str, float] = defaultdict(float)
    for line in report.splitlines():
        parts = [part.strip() for part in line.split(";")]
        if len(parts) < 3 or not parts[0].endswith("%"):
            continue
        percent, place, symbol = float(parts[0][:-1]), parts[1], ";".join(parts[2:])
        area = next((area for area, pattern in AREAS.items() if re.search(pattern, place)), "other")
        shares[area] += percent
        symbol = re.sub(r"^\[.\] ", "", symbol)
        functions[f"{area}: {re.sub(r'^wasm.*?::', '', symbol)}"] += percent
    print(f"{CONTENDERS[contender].title}, shares of processor time (perf):")
    print("  " + ", ".join(f"{area} {share:.0f} %" for area, share in by_share(shares) if share >= 0.5))
    for function, share in by_share(functions)[:lines]:
        print(f"  {share:5.1f} %  {function}")
    print()


def main() -> None:
    """Print all profiles of one workload."""
    parser = argparse.ArgumentParser(description="Where the time of a benchmark's workload goes.")
    parser.add_argument(
        "name", choices=[w.name for w in WORKLOADS if w.run is not None and not w.fresh], metavar="NAME"
    )
    parser.add_argument("--quick", action="store_true", help="with the data of the quick benchmark")
    parser.add_argument("--native", action="store_true", help="native SQLite beside it")
    parser.add_argument("--lines", type=int, default=20, help="functions per profile")
    parser.add_argument("--sampled", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sampled:
        contender, scale, control = arguments.sampled
        sampled(arguments.name, contender, Scale(**json.loads(scale)), int(control))
        return
    workload = next(workload for workload in WORKLOADS if workload.name == arguments.name)
    scale = QUICK if arguments.quick else FULL
    if workload.run == "process":
        print("What a process imports (microseconds: itself, with what it imports):")
        program = start.PROGRAM.format(module="wasqlite", connect="connect")
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", program], capture_output=True, text=True, check=True
        )
        found = [line for line in done.stderr.splitlines() if "wasqlite" in line or "ctypes" in line or "|   1" in line]
        print("\n".join(found))
        print()
        subprocess.run([sys.executable, "-m", "cProfile", "-s", "tottime", "-c", program], check=True)
        return
    if workload.run in PROGRAMS:
        modules.build(speedtest=True, names=True)
    else:
        modules.build(names=True)
        python_profile(workload, scale, arguments.lines)
    perf_profile(workload, SUBJECT.name, scale, arguments.lines)
    if arguments.native:
        perf_profile(workload, NATIVE.name, scale, arguments.lines)


if __name__ == "__main__":
    run_command(main)
