"""Fixtures: databases, and native SQLite as the other party."""

from __future__ import annotations

import importlib.util
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PEER = Path(__file__).with_name("native_peer.py")


class RemotePeer:
    """A NativePeer in a process of its own."""

    def __init__(self, path: str) -> None:
        command = [sys.executable, str(PEER), path]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.reply() == "ready"

    def reply(self) -> str:
        assert self.process.stdout
        answer = self.process.stdout.readline().strip()
        assert answer, "the native process died"
        return answer

    def ask(self, *words: str) -> str:
        assert self.process.stdin
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self.reply()

    def hold(self, level: str) -> None:
        self.ask("hold", level)

    def attempt(self, level: str) -> bool:
        return self.ask("attempt", level) == "True"

    def drop(self) -> None:
        self.ask("drop")

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(10) == 0


def local_peer(path: str) -> Any:
    """A NativePeer in this process."""
    spec = importlib.util.spec_from_file_location("native_peer", PEER)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.NativePeer(path)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
    connection.close()
    return path


@pytest.fixture
def remote(database: Path) -> Iterator[Callable[[], RemotePeer]]:
    """Makes native peers in other processes."""
    made: list[RemotePeer] = []

    def make() -> RemotePeer:
        made.append(RemotePeer(str(database)))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


@pytest.fixture
def local(database: Path) -> Iterator[Callable[[], Any]]:
    """Makes native peers in this process."""
    made: list[Any] = []

    def make() -> Any:
        made.append(local_peer(str(database)))
        return made[-1]

    yield make
    for peer in made:
        peer.close()
