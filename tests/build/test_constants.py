"""The generated constants: their values, and that the checked-in file is what the header says."""

from __future__ import annotations

import importlib.util
import sqlite3
from pathlib import Path
from types import ModuleType

import pytest

import constants
import fetch_sqlite
from wasqlite.bridge.builder.report import BuildError

CHECKED_IN = constants.OUTPUT


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    specification = importlib.util.spec_from_file_location("generated_constants", CHECKED_IN)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_checked_in_file_is_what_the_header_says() -> None:
    header = (fetch_sqlite.fetch() / "sqlite3.h").read_text("utf-8")
    assert CHECKED_IN.read_text("utf-8") == constants.render(header)


def test_first_line_says_how_it_was_made() -> None:
    first = CHECKED_IN.read_text("utf-8").splitlines()[0]
    assert "Generated" in first and "build/constants.py" in first


def test_values_agree_with_the_standard_library(generated: ModuleType) -> None:
    names = [name for name in vars(sqlite3) if name.startswith("SQLITE_")]
    assert len(names) > 30
    assert {name: getattr(generated, name) for name in names} == {name: getattr(sqlite3, name) for name in names}


def test_names_of_result_codes(generated: ModuleType) -> None:
    names = generated.RESULT_CODE_NAMES
    assert names[0] == "SQLITE_OK"
    assert names[101] == "SQLITE_DONE"
    assert names[2067] == "SQLITE_CONSTRAINT_UNIQUE"
    # Authorizer's SQLITE_IGNORE is 2 as well: only result codes count.
    assert names[2] == "SQLITE_INTERNAL"
    assert all(getattr(generated, name) == code for code, name in names.items())


@pytest.mark.parametrize(
    ("expression", "value"),
    [("0x00000001", 1), ("(SQLITE_ERROR | (3<<8))", 769), ("-1", -1), ("SQLITE_ERROR", 1)],
)
def test_evaluates_the_forms_of_the_header(expression: str, value: int) -> None:
    assert constants.evaluate(expression, {"SQLITE_ERROR": 1}) == value


@pytest.mark.parametrize("expression", ["UNKNOWN", "f(1)", "((type)0)", '"text"', "1 +"])
def test_refuses_other_expressions(expression: str) -> None:
    with pytest.raises(BuildError, match="extend build"):
        constants.evaluate(expression, {})


def test_a_missing_chapter_is_an_error() -> None:
    with pytest.raises(BuildError, match="has no chapter 'Result Codes'"):
        constants.read_sections("")


def test_output_is_left_alone_when_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "constants.py"
    monkeypatch.setattr("sys.argv", ["constants.py", "--output", str(output)])
    constants.main()
    before = output.stat().st_mtime_ns
    constants.main()
    assert output.stat().st_mtime_ns == before
