"""Workloads that are whole programs, started anew for each turn and timed from outside or by themselves."""

from __future__ import annotations

import resource
from collections.abc import Callable
from functools import cache
from typing import Any

import speedtest
import start
from contenders import Contender, NotBuilt
from scale import Scale

Environment = dict[str, str]
Answer = dict[str, Any]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def process(contender: Contender, scale: Scale, environment: Environment) -> Answer:
    """A Python that imports the driver, connects and runs a query."""
    before = _children()
    wall = start.run(contender.module, environment)
    return {"wall": wall, "cpu": _children() - before}


_sides = cache(speedtest.sides)


def _speedtest(contender: Contender, scale: Scale, *options: str) -> Answer:
    command = _sides().get(contender.name)
    if command is None:
        raise NotBuilt("speedtest1 is a C program")
    before = _children()
    seconds, rows = speedtest.run(command, ["--size", str(scale.speedtest), "--nosync", *options])
    return {"wall": sum(seconds.values()), "cpu": _children() - before, "digest": rows}


def speedtest_memory(contender: Contender, scale: Scale, environment: Environment) -> Answer:
    """The seconds that the program counts; the database is in memory."""
    return _speedtest(contender, scale, "--memdb")


def speedtest_file(contender: Contender, scale: Scale, environment: Environment) -> Answer:
    """The same on a file, without waiting for the disk."""
    return _speedtest(contender, scale)


PROGRAMS: dict[str, Callable[[Contender, Scale, Environment], Answer]] = {
    "process": process,
    "speedtest1": speedtest_memory,
    "speedtest1-file": speedtest_file,
}
