"""How much work a benchmark run is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of the data and counts of operations per turn."""

    numbers: int = 500_000
    flights: int | None = None
    points: int = 20_000
    inserts: int = 20_000
    commits: int = 2_000
    calls: int = 1_000_000
    opened: int = 50
    tpch: float = 0.1
    speedtest: int = 100
    rounds: int = 7
    processes: int = 21
    """Turns where a turn is a process that starts and ends."""


FULL = Scale()
QUICK = Scale(
    numbers=100_000,
    flights=60_000,
    points=5_000,
    inserts=5_000,
    commits=500,
    calls=200_000,
    opened=20,
    tpch=0.01,
    speedtest=20,
    rounds=5,
    processes=9,
)
