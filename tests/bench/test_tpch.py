"""TPC-H's queries in SQLite's dialect: what is lowered, and that the answers are DuckDB's."""

from __future__ import annotations

import json

import pytest
import tpch
from native import BuildError

import wasqlite

pytest.importorskip("sqlglot", reason="the dependency group `bench` is not installed")


@pytest.mark.parametrize(
    ("query", "lowered"),
    [
        ("SELECT a FROM t WHERE d <= CAST('1998-09-02' AS DATE)", "SELECT a FROM t WHERE d <= '1998-09-02'"),
        ("SELECT a FROM t WHERE d >= date '1995-09-01'", "SELECT a FROM t WHERE d >= '1995-09-01'"),
        ("SELECT extract(year FROM d) FROM t", "SELECT CAST(STRFTIME('%Y', d) AS INTEGER) FROM t"),
        (
            "SELECT x FROM (SELECT a, count(b) FROM t) AS s (x, y)",
            "SELECT x FROM (SELECT a AS x, COUNT(b) AS y FROM t) AS s",
        ),
        ("SELECT a FROM t ORDER BY a, b DESC", "SELECT a FROM t ORDER BY a, b DESC"),
    ],
)
def test_lowering(query: str, lowered: str) -> None:
    assert tpch.translate(query) == lowered


def test_what_cannot_be_lowered_is_an_error() -> None:
    with pytest.raises(BuildError, match="no lowering"):
        tpch.translate("SELECT d + INTERVAL '3' MONTH FROM t")


@pytest.mark.slow
def test_all_answers_are_right() -> None:
    pytest.importorskip("duckdb_extension_tpch", reason="the dependency group `bench` is not installed")
    folder = tpch.prepare(0.01)
    con = wasqlite.connect(":memory:")
    tpch.load(con, folder / "tpch.db")
    queries = json.loads((folder / "queries.json").read_text())
    assert len(queries) == 22
    wrong = [n for n, query in queries.items() if not tpch.same(con.execute(query["sql"]).fetchall(), query["answer"])]
    con.close()
    assert wrong == []


def test_a_wrong_answer_is_noticed() -> None:
    assert tpch.same([(1, 2.0, "x")], [[1, 2.0 + 1e-12, "x"]])
    assert not tpch.same([(1, 2.0, "x")], [[1, 2.001, "x"]])
    assert not tpch.same([(1, 2.0, "x")], [[1, 2.0, "y"]])
    assert not tpch.same([(1,)], [[1], [1]])
