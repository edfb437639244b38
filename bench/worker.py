"""A contender's process: it prepares a workload when told to, and takes one turn at a time.

Requests and answers are lines of JSON on standard input and output (what else is printed goes to standard error).
"""

from __future__ import annotations

import gc
import hashlib
import json
import marshal
import math
import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

from contenders import CONTENDERS, Driver, NotBuilt
from scale import Scale
from workloads import WORKLOADS, Timed

SHORTEST = 0.05
"""Seconds that a turn takes at least, where the workload can be repeated."""

Answer = dict[str, Any]


def digest(values: Any) -> str:
    """The same for equal values; marshal's version 2 does not depend on which objects are shared."""
    return hashlib.sha256(marshal.dumps(values, 2)).hexdigest()


def turn(timed: Timed, repeat: int) -> tuple[Any, Answer]:
    """What a run returns, and seconds per operation of wall time and of processor time."""
    timed.before()
    gc.collect()
    run = timed.run
    result = None
    cpu, start = time.process_time(), time.perf_counter()
    for _ in range(repeat):
        result = run()
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    return result, {"wall": wall / repeat / timed.operations, "cpu": cpu / repeat / timed.operations}


def serve(driver: Driver, requests: Iterator[str]) -> Iterator[Answer]:
    """Answer every request."""
    yield {"ready": driver.identity()}
    table = {workload.name: workload for workload in WORKLOADS}
    timed: Timed | None = None
    repeat = 1
    for line in requests:
        name = line.strip()
        if name == "turn":
            assert timed is not None
            yield turn(timed, repeat)[1]
            continue
        try:
            if timed is not None:
                timed.close()
            timed = None  # what the last workload kept goes before the next one comes
            workload = table[name]
            assert callable(workload.run)
            timed = workload.run(driver)
            if workload.fresh:
                yield {"value": timed.run()}
                continue
            result, figures = turn(timed, 1)
            if not timed.check(result):
                yield {"error": f"{name} with {driver.contender.name}: a wrong answer"}
                continue
            same = digest(timed.plain(result)) if timed.plain else None
            del result
            repeat = math.ceil(SHORTEST / (figures["wall"] * timed.operations)) if timed.calibrate else 1
            yield {"digest": same}
        except NotBuilt as missing:
            yield {"missing": str(missing)}
        except Exception:
            yield {"error": f"{name} with {driver.contender.name}:\n{traceback.format_exc()}"}
    if timed is not None:
        timed.close()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    driver = Driver(CONTENDERS[sys.argv[1]], Scale(**json.loads(sys.argv[2])))
    for answer in serve(driver, iter(sys.stdin.readline, "")):
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
