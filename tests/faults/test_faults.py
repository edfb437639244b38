"""The sweep of faults in its short form (``make faults`` is the whole), and that it would notice damage."""

from __future__ import annotations

from pathlib import Path

import pytest
from injector import Fault, Injector
from struck import MODES, WORKLOADS
from sweep import Sweep, scratch, sweep

import wasqlite.connection

EVERY = 40
EVERY_IN_WAL = 120  # SQLite waits up to ten seconds for a WAL whose locks fail before it gives up


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_no_fault_damages_anything(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    with scratch() as folder:
        outcomes, wrong = sweep(folder, EVERY_IN_WAL if mode == "WAL" else EVERY, [mode], verbose=False)
    with capsys.disabled():
        faults = outcomes.total() - outcomes["not reached"]
        print(f"\n{mode}: {faults} faults, {len(wrong)} corruptions, crashes or hangs: {dict(outcomes)}")
    assert not wrong
    assert faults > 100


def test_a_lost_write_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    injector = Injector()
    monkeypatch.setattr(wasqlite.connection, "HostFiles", injector.host_files)
    workload = next(workload for workload in WORKLOADS if workload.name == "update with spills")
    with scratch() as folder:
        part = folder / "part"
        part.mkdir()
        one = Sweep(injector, workload, "DELETE", part)
        for at in range(0, one.operations, 20):
            one.fault(Fault(at, "lost", lasting=True))
    assert one.outcomes["WRONG"] > 5


def test_the_layer_sees_every_kind_of_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of names or layers must not empty the sweep."""
    injector = Injector()
    monkeypatch.setattr(wasqlite.connection, "HostFiles", injector.host_files)
    con = wasqlite.connect(tmp_path / "x.db", isolation_level=None)
    injector.start(None)
    con.execute("create table t(a)")
    con.close()
    assert {"fd_pwrite", "fd_datasync", "path_unlink_file", "file_lock", "path_open"} <= set(injector.names)
