"""Every case gives the same values, errors and attributes as the standard library's module.

The few accepted differences are in ``DIFFERENCES``, each with its reason and with what ours gives instead.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cases_files
import cases_statements
import cases_values
from oracle import both

CASES = {**cases_values.CASES, **cases_statements.CASES, **cases_files.CASES}
ANY: Any = mock.ANY
NO_EXTENSIONS = "there is no load_extension() inside the sandbox"
AHEAD = "the second row is looked for in execute() already, so a statement with one row is finished by then"


def error(name: str, message: str, code: Any = "absent", code_name: Any = "absent") -> Any:
    return ("error", name, message, code, code_name)


# Name: the reason, and what is different: every other observation is the same.
DIFFERENCES: dict[str, tuple[str, dict[str, Any]]] = {
    "value_19_float": (
        "SQLite 3.54.1 writes this float as text with other digits than 3.40.1",
        {"outcome": ("list", [("tuple", [("float", "5e-324"), ("str", "'real'"), ("int", "23")])])},
    ),
    """execute_"select load_extension('x')\"""": (
        NO_EXTENSIONS,
        {"outcome": error("OperationalError", "no such function: load_extension", 1, "SQLITE_ERROR")},
    ),
    """executescript_"select load_extension('x')\"""": (
        NO_EXTENSIONS,
        {"outcome": error("OperationalError", "no such function: load_extension", 1, "SQLITE_ERROR")},
    ),
    """executemany_"select load_extension('x')\"""": (
        NO_EXTENSIONS,
        {"outcome": error("OperationalError", "no such function: load_extension", 1, "SQLITE_ERROR")},
    ),
    """change_"insert into t(a) values('w') returning id, a\"""": (AHEAD + " and counted", {"outcome": ANY}),
    "select_without_table_on_a_bad_file": (
        "SQLite 3.54.1 reads the schema for every statement, 3.40.1 only for those that name a table",
        {"outcome": error("DatabaseError", "file is not a database", 26, "SQLITE_NOTADB")},
    ),
    "uri_when_not_asked_for": (
        "Debian builds SQLite with SQLITE_USE_URI=1, so that uri=False has no effect there",
        {"outcome": ("list", [("str", "'file:x?mode=memory'")])},
    ),
    "close_rolls_back": (
        "the stdlib leaves the journal while a SELECT is unfinished; ours ends all statements first",
        {"outcome": ("tuple", [("list", [("str", "'x.db'")]), ("list", [("tuple", [("int", "2000")])])])},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    expected, seen = both(CASES[name], tmp_path)
    if name in DIFFERENCES:
        reason, differing = DIFFERENCES[name]
        assert seen != expected, f"no longer different: {reason}"
        expected.update(differing)
    assert seen == expected


def test_enough_cases() -> None:
    assert len(CASES) >= 150
    assert DIFFERENCES.keys() <= CASES.keys()
