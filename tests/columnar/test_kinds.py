"""The rules of types, on plain data."""

from __future__ import annotations

import pytest

from wasqlite.columnar import kinds


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("INTEGER", "int64"),
        ("unsigned big int", "int64"),
        ("VARCHAR(10)", "text"),
        ("Clob", "text"),
        ("BLOB", "blob"),
        ("double precision", "float64"),
        ("FLOAT", "float64"),
        ("CHARINT", "int64"),  # SQLite's rules in their order
        ("DECIMAL(10, 2)", "null"),
        ("DATE", "null"),
        ("", "null"),
        (None, "null"),
    ],
)
def test_the_declared_type_decides_where_there_are_no_values(declared: str | None, kind: str) -> None:
    assert kinds.declared(declared) == kind


@pytest.mark.parametrize(
    ("name", "kind"), [("int32", "int32"), (int, "int64"), (str, "text"), ("string", "text"), (bytes, "blob")]
)
def test_names_of_types(name: object, kind: str) -> None:
    assert kinds.parse(name) == kind


@pytest.mark.parametrize("name", ["int", "decimal", 5, None, [], "str"])
def test_other_names_are_refused(name: object) -> None:
    with pytest.raises(ValueError, match="is not an array type"):
        kinds.parse(name)


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="does not have: 'x'"):
        kinds.per_column({"x": "int64"}, ["a", "b"])
