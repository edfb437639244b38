"""Runs one case against a module and writes down everything that a caller could see."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import wasqlite

Case = Callable[["Subject"], Any]


class Subject:
    """A module under observation, with a fresh connection and a folder for files."""

    def __init__(self, module: ModuleType, folder: Path) -> None:
        self.m = module
        self.folder = folder
        self.opened: list[Any] = []
        self.con = self.connect(":memory:")
        self.cur = self.con.cursor()

    def connect(self, database: Any, **keywords: Any) -> Any:
        """A connection that is closed at the end."""
        connection = self.m.connect(database, **keywords)
        self.opened.append(connection)
        return connection

    def attempt(self, action: Callable[[], Any]) -> Any:
        """The shape of the action's value, or of its exception: for cases that go on after an error."""
        try:
            return self.shape(action())
        except Exception as error:
            return self.shape_of_error(error)

    def state(self) -> dict[str, Any]:
        """What the attributes say."""
        names = ["description", "rowcount", "lastrowid", "arraysize"]
        seen = {name: self.attempt(lambda name=name: getattr(self.cur, name)) for name in names}
        for name in ["total_changes", "in_transaction", "isolation_level"]:
            seen[name] = self.attempt(lambda name=name: getattr(self.con, name))
        return seen

    def shape(self, value: Any) -> Any:
        """The value with the types of everything in it."""
        if value is self.con:
            return "con"
        if isinstance(value, self.m.Cursor):
            return "cursor"
        if isinstance(value, dict):
            return value
        if isinstance(value, list | tuple):
            return (type(value).__name__, [self.shape(item) for item in value])
        if isinstance(value, BaseException):
            return self.shape_of_error(value)
        return (type(value).__name__, self.clean(repr(value)))

    def shape_of_error(self, error: BaseException) -> Any:
        """Class, message, and the attributes that errors from SQLite have."""
        code = getattr(error, "sqlite_errorcode", "absent")
        name = getattr(error, "sqlite_errorname", "absent")
        return ("error", type(error).__name__, self.clean(str(error)), code, name)

    def clean(self, text: str) -> str:
        """Without addresses, thread numbers, folders, and the modules' names."""
        text = re.sub(r"0x[0-9a-f]+", "0x", text).replace(str(self.folder), "<folder>")
        text = re.sub(r"thread id \d+", "thread id N", text)
        return text.replace("wasqlite.", "").replace("sqlite3.", "")

    def close(self) -> None:
        """Close what was opened."""
        for connection in self.opened:
            connection.close()


def observe(module: ModuleType, case: Case, folder: Path) -> dict[str, Any]:
    """The outcome of a case, the state after it, and whether the connection still works."""
    folder.mkdir()
    subject = Subject(module, folder)
    try:
        outcome = subject.attempt(lambda: case(subject))
        seen = {"outcome": outcome, **subject.state()}
        seen["usable"] = subject.attempt(lambda: subject.con.execute("select 'still', 1").fetchall())
        return seen
    finally:
        subject.close()


def seen_warnings(caught: list[warnings.WarningMessage]) -> list[tuple[str, str, str]]:
    """What was warned of, and in which file."""
    return [
        (w.category.__name__, str(w.message), Path(w.filename).name)
        for w in caught
        if not issubclass(w.category, ResourceWarning)
    ]


def both(case: Case, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the case gives with the standard library's module and with ours, warnings included."""
    seen = []
    for module in (sqlite3, wasqlite):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            outcome = observe(module, case, folder / module.__name__)
        seen.append({**outcome, "warnings": seen_warnings(caught)})
    return seen[0], seen[1]
