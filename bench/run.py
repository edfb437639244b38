"""The benchmarks: every workload with every contender, taking turns. ``make bench`` runs it; see docs/performance.md.

``python bench/run.py [--quick] [--only NAME ...] [--rounds N] [--runs N] [--cpu] [--output FILE]`` prints one table of
ratios and writes all times as JSON. Each contender lives in a process of its own and only one of them works at a time.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import fnmatch
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import native
import tpch
from contenders import CONTENDERS, NATIVE, SUBJECT, Contender, NotBuilt
from native import ROOT, SQLITE_SOURCE_ID, BuildError, run_command
from programs import PROGRAMS
from results import dump, rows_of, table
from scale import FULL, QUICK, Scale
from workloads import WORKLOADS, Workload

Samples = dict[str, Any]


class Worker:
    """The process of one contender."""

    def __init__(self, contender: Contender, scale: Scale, environment: dict[str, str]) -> None:
        command = [sys.executable, str(Path(__file__).parent / "worker.py"), contender.name]
        self.process = subprocess.Popen(
            [*command, json.dumps(dataclasses.asdict(scale))],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.identity: dict[str, str] = self.answer()["ready"]

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise BuildError(f"a benchmark process has ended with status {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise BuildError(found["error"])
        return found

    def ask(self, request: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


class Bench:
    """One run over the chosen workloads."""

    def __init__(self, contenders: list[Contender], scale: Scale) -> None:
        self.scale = scale
        with_library = native.environment()
        self.environments = {c: with_library if c.native else dict(os.environ) for c in contenders}
        self.workers = {c: Worker(c, scale, environment) for c, environment in self.environments.items()}
        for contender in (NATIVE, SUBJECT):
            found = self.workers[contender].identity["source_id"]
            if found != SQLITE_SOURCE_ID:
                raise BuildError(f"{contender.title} runs SQLite {found}, not {SQLITE_SOURCE_ID}")

    def prepare(self, workload: Workload, contender: Contender) -> dict[str, Any]:
        """A first time that does not count; what it returned, as a digest."""
        if isinstance(workload.run, str):
            try:
                return PROGRAMS[workload.run](contender, self.scale, self.environments[contender])
            except NotBuilt as missing:
                return {"missing": str(missing)}
        if workload.fresh:
            return self.turn(workload, contender)
        return self.workers[contender].ask(workload.name)

    def turn(self, workload: Workload, contender: Contender) -> dict[str, Any]:
        if isinstance(workload.run, str):
            return PROGRAMS[workload.run](contender, self.scale, self.environments[contender])
        if workload.fresh:
            worker = Worker(contender, self.scale, self.environments[contender])
            answer = worker.ask(workload.name)
            worker.close()
            return answer
        return self.workers[contender].ask("turn")

    def measure(self, workload: Workload) -> Samples:
        """All turns of a workload. The one who begins is another one in each round."""
        samples: Samples = {}
        digests = {}
        for contender in sorted(self.workers, key=lambda contender: contender != SUBJECT):
            answer = self.prepare(workload, contender)
            samples[contender.name] = found = {"missing": answer["missing"]} if "missing" in answer else {}
            if not found:
                digests[contender] = answer.get("digest")
            elif contender == SUBJECT:
                return samples
        if len(set(digests.values())) > 1:
            raise BuildError(f"{workload.name}: not all contenders return the same")
        order = deque(digests)
        for _ in range(self.scale.processes if workload.fresh or workload.run == "process" else self.scale.rounds):
            for contender in order:
                for key, value in self.turn(workload, contender).items():
                    if key != "digest":
                        samples[contender.name].setdefault(key, []).append(float(f"{value:.5g}"))
            order.rotate()
        return samples

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def one_run(
    contenders: list[Contender], chosen: list[Workload], scale: Scale, clock: str, label: str
) -> Iterator[tuple[str, Samples]]:
    """Samples workload by workload, with a line for each."""
    bench = Bench(contenders, scale)
    started = time.monotonic()
    try:
        for number, workload in enumerate(chosen, 1):
            begun = time.monotonic()
            samples = bench.measure(workload)
            row = rows_of({"runs": [{workload.name: samples}], "clock": clock})[0]
            now = time.monotonic()
            took = f"{now - begun:5.1f} s, {now - started:4.0f} s in all"
            say(f"{label}[{number:2}/{len(chosen)}] {workload.title:50} {row.summary:24} ({took})")
            yield workload.name, samples
    finally:
        bench.close()


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ": unknown")
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": model.partition(":")[2].strip(),
        "processors": os.cpu_count(),
        "sqlite": SQLITE_SOURCE_ID,
        "versions": {name: importlib.metadata.version(name) for name in ("wasmtime", "apsw", "numpy", "pyarrow")},
        "load": round(os.getloadavg()[0], 1),
    }


def choose(patterns: list[str]) -> list[Workload]:
    """The workloads that are measured: all, or those that a pattern names (a row of parts names its parts)."""
    measured = [workload for workload in WORKLOADS if workload.run is not None]
    chosen = [
        w for w in measured if not patterns or any(fnmatch.fnmatch(w.name, p) or w.part_of == p for p in patterns)
    ]
    if not chosen:
        raise BuildError(f"no workload is named {patterns}; there are: {', '.join(w.name for w in WORKLOADS)}")
    return chosen


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Benchmarks of wasqlite beside native SQLite.")
    parser.add_argument("--quick", action="store_true", help="less data, fewer rounds: about two minutes")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a workload, or a pattern of names")
    parser.add_argument("--rounds", type=int, help="turns of each contender per workload")
    parser.add_argument("--runs", type=int, default=1, help="repeat it all: a row counts when the runs agree")
    parser.add_argument("--cpu", action="store_true", help="show ratios of processor time, for a busy machine")
    parser.add_argument("--output", type=Path, help="where the times go, as JSON")
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    if arguments.rounds:
        scale = dataclasses.replace(scale, rounds=arguments.rounds, processes=arguments.rounds)
    contenders = [NATIVE, SUBJECT] if arguments.quick else list(CONTENDERS.values())
    chosen = choose(arguments.only)
    if any(workload.part_of == "tpch" for workload in chosen):
        tpch.prepare(scale.tpch)
    document = {"machine": machine(), "scale": dataclasses.asdict(scale), "quick": arguments.quick, "runs": []}
    clock = document["clock"] = "cpu" if arguments.cpu else "wall"
    for number in range(1, arguments.runs + 1):
        label = f"run {number} of {arguments.runs} " if arguments.runs > 1 else ""
        document["runs"].append({})
        for name, samples in one_run(contenders, chosen, scale, clock, label):
            document["runs"][-1][name] = samples
            document["machine"]["load"] = max(document["machine"]["load"], round(os.getloadavg()[0], 1))
            if arguments.output:
                arguments.output.parent.mkdir(parents=True, exist_ok=True)
                arguments.output.write_text(dump(document))
    print(table(document))


if __name__ == "__main__":
    run_command(main)
