"""Workloads that are whole programs, started anew for each turn and timed from outside or by themselves."""

from __future__ import annotations

import resource
from collections.abc import Callable
from functools import cache, partial
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


def speedtest_options(name: str, scale: Scale) -> list[str]:
    """Without waiting for the disk, in memory or on a file."""
    return ["--size", str(scale.speedtest), "--nosync", *(["--memdb"] if name == "speedtest1" else [])]


def speedtest_program(name: str, contender: Contender, scale: Scale, environment: Environment) -> Answer:
    """The seconds that the program counts itself: neither its start nor its end."""
    command = _sides().get(contender.name)
    if command is None:
        raise NotBuilt("speedtest1 is a C program")
    seconds, rows = speedtest.run(command, speedtest_options(name, scale))
    return {"wall": sum(seconds.values()), "digest": rows}


PROGRAMS: dict[str, Callable[[Contender, Scale, Environment], Answer]] = {
    "process": process,
    "speedtest1": partial(speedtest_program, "speedtest1"),
    "speedtest1-file": partial(speedtest_program, "speedtest1-file"),
}
