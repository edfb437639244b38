"""SQLite's speedtest1 on a file: in the sandbox, with wasqlite's VFS and host functions, beside native code.

Both are the amalgamation that wasqlite is built from: the module compiled as always, native by ``gcc -O2`` with the
same features. ``python bench/speedtest.py [--rounds 3] [--size 100] [--sync] [--journal MODE] [--memory] [--profile]``:
the two take turns; printed are the medians of each test and their ratio. Without ``--sync`` both run with
synchronous=OFF, because waiting for the disk would hide the difference. ``--memory`` shows what the compiled code alone
costs, ``--profile`` how much of the guest's time goes to which host function.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import modules
import native
from native import BuildError, run_command

RESULT = re.compile(r"^ *(\d+) - (.*?)\.* +(\d+)\.(\d\d\d)s$", re.MULTILINE)
TARGET, TARGET_SINGLE = 1.9, 4.0
# Below this many seconds the program's own clock (milliseconds) decides more than SQLite does.
SHORT = 0.02


def run_in_sandbox(module: str, arguments: list[str], loaded: Callable[[], Any] = lambda: None) -> None:
    """In a process of its own: call the program as a guest of wasqlite's bridge; its output goes to standard output.

    ``loaded`` is called when all that is left is to run it.
    """
    from wasqlite.bridge import HostFunction, Library, Memory
    from wasqlite.capi.progress import Progress
    from wasqlite.vfs.host import HostFiles

    files = HostFiles()

    def output(memory: Memory) -> list[HostFunction]:
        """What the program prints; descriptors that are files are not written this way."""

        def fd_write(fd: int, vectors: int, count: int, written: int) -> int:
            total = 0
            for i in range(count):
                piece = memory.read(memory.read_u32(vectors + 8 * i), memory.read_u32(vectors + 8 * i + 4))
                total += len(piece)
                (sys.stdout if fd == 1 else sys.stderr).buffer.write(piece)
            memory.write_u32(written, total)
            return 0

        return [HostFunction("wasi_snapshot_preview1", "fd_write", "iiii", "i", fd_write)]

    spent: dict[str, list[float]] = {}

    def functions(memory: Memory) -> list[HostFunction]:
        """The host's functions, timed where that is asked for."""
        found = [*files.functions(memory), *Progress().functions(memory), *output(memory)]
        for function in found if profiled else ():

            def timed(*words: Any, call: Any = function.call, name: str = function.name) -> Any:
                start = time.perf_counter()
                answer = call(*words)
                spent.setdefault(name, []).append(time.perf_counter() - start)
                return answer

            function.call = timed
        return found

    if profiled := arguments[0] == "--profile":
        del arguments[0]
    library = Library.load(module, interruptible=False)

    def uncalled(memory: Memory) -> list[HostFunction]:
        """What a program in C has no use for: user functions and the like."""

        def refuse(*words: Any) -> None:
            raise NotImplementedError("speedtest1 called a function of the driver")

        ours = [
            (module, name, *kinds) for module, name, kinds in library.imports if kinds and not module.startswith("wasi")
        ]
        return [HostFunction(*words, refuse) for words in ours]

    instance = library.open(hosts=[uncalled, functions])
    allocate, memory = instance.function("malloc"), instance.memory
    words = [b"speedtest1", *(word.encode() for word in arguments)]
    vector = allocate(4 * len(words) + 4)
    for i, word in enumerate(words):
        address = allocate(len(word) + 1)
        memory.write(address, word + b"\0")
        memory.write_u32(vector + 4 * i, address)
    memory.write_u32(vector + 4 * len(words), 0)
    loaded()
    code = instance.function(modules.SPEEDTEST_MAIN)(len(words), vector)
    sys.stdout.flush()
    for name, calls in sorted(spent.items(), key=lambda item: -sum(item[1])):
        print(f"{name:24}{len(calls):9} calls{sum(calls):8.3f} s{sum(calls) / len(calls) * 1e6:8.1f} us each")
    instance.close()
    files.close()
    sys.exit(code)


def results(output: str) -> dict[str, float]:
    """Seconds per test."""
    return {f"{number} {name}": int(s) + int(ms) / 1000 for number, name, s, ms in RESULT.findall(output)}


def sides() -> dict[str, list[str]]:
    """How each side is started; both are built if need be."""
    sandbox = [sys.executable, __file__, "--in-sandbox", str(modules.build(speedtest=True))]
    return {"native": [str(native.speedtest(modules.speedtest_program()))], "wasqlite": sandbox}


def run(command: list[str], options: list[str]) -> tuple[dict[str, float], str]:
    """Run one side in a new folder: seconds per test, and the hash of all rows that it returned."""
    with tempfile.TemporaryDirectory(prefix="wasqlite-speedtest-") as folder:
        command = [*command, *options, "--verify", f"{folder}/speed.db"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"speedtest1 failed ({command[0]}): {done.stdout[-300:]}{done.stderr[-2000:]}")
    return results(done.stdout), re.findall(r"Verification Hash: (.*)", done.stdout)[0]


def compare(sides: dict[str, list[str]], options: list[str], rounds: int) -> bool:
    """Print the table; whether the targets are met."""
    times: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    hashes = set()
    for _ in range(rounds):
        for name, command in sides.items():
            seconds, rows = run(command, options)
            times[name].append(seconds)
            hashes.add(rows)
    if len(hashes) != 1:
        raise BuildError(f"native and wasqlite do not return the same rows: {hashes}")
    tests = list(times["native"][0])
    medians = {n: {test: statistics.median(run[test] for run in runs) for test in tests} for n, runs in times.items()}
    theirs, ours = medians["native"], medians["wasqlite"]
    print(f"{'test':62}{'native s':>10}{'wasqlite s':>12}{'ratio':>8}")
    worst = 0.0
    for test in tests:
        ratio = ours[test] / max(theirs[test], 0.001)
        note = " (too short)" if theirs[test] < SHORT else ""
        worst = worst if note else max(worst, ratio)
        print(f"{test:62}{theirs[test]:10.3f}{ours[test]:12.3f}{ratio:8.2f}{note}")
    total = sum(ours.values()) / sum(theirs.values())
    print(f"{'total':62}{sum(theirs.values()):10.3f}{sum(ours.values()):12.3f}{total:8.2f}")
    print(f"targets: total {total:.2f} <= {TARGET}; worst test of {SHORT} s and more {worst:.2f} <= {TARGET_SINGLE}")
    return total <= TARGET and worst <= TARGET_SINGLE


def main() -> None:
    """Build both, run them in turn."""
    if sys.argv[1:2] == ["--in-sandbox"]:
        run_in_sandbox(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description="speedtest1 on a file, native and wasqlite.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--sync", action="store_true", help="wait for the disk, as by default in SQLite")
    parser.add_argument("--journal", default="delete")
    parser.add_argument("--testset", default="main")
    parser.add_argument("--memory", action="store_true", help="a database in memory instead of a file")
    parser.add_argument("--profile", action="store_true", help="count and time the host calls instead")
    arguments = parser.parse_args()
    options: list[Any] = ["--size", arguments.size, "--journal", arguments.journal, "--testset", arguments.testset]
    if not arguments.sync:
        options.append("--nosync")
    if arguments.memory:
        options.append("--memdb")
    if arguments.profile:
        with tempfile.TemporaryDirectory(prefix="wasqlite-speedtest-") as folder:
            subprocess.run([*sides()["wasqlite"], "--profile", *map(str, options), f"{folder}/speed.db"], check=True)
        return
    met = compare(sides(), [str(option) for option in options], arguments.rounds)
    print("met" if met else "MISSED")


if __name__ == "__main__":
    run_command(main)
