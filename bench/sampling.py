"""Shares of processor time of a workload by Linux's ``perf``, with the guest's functions by name."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import modules
import native
import programs
import speedtest
import start
from contenders import CONTENDERS, SUBJECT, Driver
from native import BuildError
from scale import Scale
from workloads import WORKLOADS, Timed, Workload

Profile = dict[str, dict[str, float]]
"""Percent by ``areas`` and by ``functions``, the largest first."""

SAMPLED = 3.0
"""Seconds that perf looks at, at least."""
# wasmtime_profiling_strategy_enum: write /tmp/perf-PID.map, which tells perf the names of compiled functions.
_PERFMAP = 3
_COLLECTOR = "Python's garbage collector"
# Areas by the file that the code is in; the first pattern that fits.
_AREAS = {
    "guest": r"perf-\d+\.map|\[JIT\]",
    "SQLite": r"libsqlite3|speedtest1",
    "sqlite3 module": r"_sqlite3\.|apsw",
    "Python": r"python",
    "ctypes": r"_ctypes|libffi",
    "wasmtime": r"wasmtime",
    "kernel": r"kernel|\[unknown\]|vdso",
    "libc": r"libc\.|libm\.|ld-linux",
}
_COLLECTING = re.compile(r"visit_\w+|gc_\w+|\w+_?traverse|deduce_unreachable|untrack_tuples|subtract_refs")


def name_functions() -> None:
    """Compile with a module that has names, and let wasmtime tell perf about them."""
    from wasqlite.bridge import _wasmtime, cache
    from wasqlite.capi import library

    api = _wasmtime.api()
    wasmtime, plain = ctypes.CDLL(str(api.path)), api.config_new
    wasmtime.wasmtime_config_profiler_set.argtypes = [ctypes.c_void_p, ctypes.c_uint8]

    def config_new() -> Any:
        config = plain()
        wasmtime.wasmtime_config_profiler_set(config, _PERFMAP)
        return config

    api.config_new = config_new
    # Code that comes from the cache lies in a file, and perf would look for names there.
    cache.directory = lambda: None
    library.PATH = modules.build(names=True)


def prepared(workload: Workload, contender: str, scale: Scale) -> Timed:
    """The workload, warm."""
    assert callable(workload.run)
    timed = workload.run(Driver(CONTENDERS[contender], scale))
    timed.before()
    timed.run()
    return timed


def sampled(workload: Workload, contender: str, scale: Scale, control: int) -> None:
    """In a process that perf watches: run the workload between the two words that switch perf on and off."""
    if contender == SUBJECT.name:
        name_functions()
    if isinstance(workload.run, str):
        module = str(modules.build(speedtest=True, names=True))
        with tempfile.TemporaryDirectory(prefix="wasqlite-speedtest-") as folder:
            arguments = [*programs.speedtest_options(workload.run, scale), f"{folder}/speed.db"]
            speedtest.run_in_sandbox(module, arguments, lambda: os.write(control, b"enable\n"))
    timed = prepared(workload, contender, scale)
    spent = 0.0
    while spent < SAMPLED:
        timed.before()
        os.write(control, b"enable\n")
        begun = time.perf_counter()
        timed.run()
        spent += time.perf_counter() - begun
        os.write(control, b"disable\n")
    timed.close()


def record(command: Sequence[str], data: str, environment: dict[str, str], *, control: bool) -> None:
    """Run a command under perf. With ``control`` it is told a descriptor, by which it switches perf on and off."""
    perf = shutil.which("perf")
    if perf is None:
        raise BuildError(
            "perf was not found (Debian: apt-get install linux-perf): there are no shares of processor time"
        )
    reading, writing = os.pipe()
    watched = [perf, "record", "-q", "-F", "4999", "-o", data]
    if control:
        watched += ["-D", "-1", f"--control=fd:{reading}"]
        command = [*command, str(writing)]
    done = subprocess.run(
        [*watched, "--", *command],
        env=environment,
        pass_fds=(reading, writing),
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(reading)
    os.close(writing)
    if done.returncode != 0:
        raise BuildError(f"perf record failed: {done.stderr[-2000:]}")


def read(data: str) -> Profile:
    """What perf has recorded, by area and by function."""
    command = ["perf", "report", "-i", data, "--stdio", "-q", "--sort", "dso,sym", "-F", "overhead,dso,sym", "-t", ";"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    areas: defaultdict[str, float] = defaultdict(float)
    functions: defaultdict[str, float] = defaultdict(float)
    for line in report.splitlines():
        parts = [part.strip() for part in line.split(";", 2)]
        if len(parts) < 3 or not parts[0].endswith("%"):
            continue
        percent, symbol = float(parts[0][:-1]), re.sub(r"^\[.\] (wasm.*?::)?", "", parts[2])
        area = next((area for area, pattern in _AREAS.items() if re.search(pattern, parts[1])), "other")
        if area == "Python" and _COLLECTING.fullmatch(symbol.partition(".")[0]):
            area = _COLLECTOR
        areas[area] += percent
        functions[f"{area}: {symbol[:60]}"] += percent

    def ordered(found: dict[str, float]) -> dict[str, float]:
        return {name: round(share, 1) for name, share in sorted(found.items(), key=lambda item: -item[1])}

    return {"areas": ordered(areas), "functions": dict(list(ordered(functions).items())[:40])}


def profile(workload: Workload, contender: str, scale: Scale) -> Profile:
    """Sample one workload with one contender."""
    environment = native.environment() if CONTENDERS[contender].native else dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="wasqlite-perf-") as folder:
        data = f"{folder}/perf.data"
        if workload.run == "process":
            record(
                [sys.executable, "-c", start.program(CONTENDERS[contender].module)], data, environment, control=False
            )
        elif isinstance(workload.run, str) and contender != SUBJECT.name:
            options = programs.speedtest_options(workload.run, scale)
            record([*speedtest.sides()[contender], *options, f"{folder}/speed.db"], data, environment, control=False)
        else:
            modules.build(names=True, speedtest=isinstance(workload.run, str))
            settings = json.dumps(dataclasses.asdict(scale))
            record([sys.executable, __file__, workload.name, contender, settings], data, environment, control=True)
        return read(data)


def main() -> None:
    name, contender, settings, control = sys.argv[1:]
    workload = next(workload for workload in WORKLOADS if workload.name == name)
    sampled(workload, contender, Scale(**json.loads(settings)), int(control))


if __name__ == "__main__":
    main()
