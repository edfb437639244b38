"""From times to the table: ratios, verdicts, and documentation that shows the committed run."""

from __future__ import annotations

from typing import Any

import pytest
import results


def document(*runs: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    samples = [
        {name: {contender: {"wall": times} for contender, times in sides.items()} for name, sides in run.items()}
        for run in runs
    ]
    return {"quick": False, "runs": samples}


def fetchall(*ours: float) -> dict[str, dict[str, list[float]]]:
    return {"fetchall": {"native": [1.0, 1.0, 1.0, 9.0, 1.0], "wasqlite": list(ours)}}


def only_row(*runs: dict[str, dict[str, list[float]]]) -> results.Row:
    (row,) = results.rows_of(document(*runs))
    return row


def test_a_ratio_is_the_quotient_of_the_medians() -> None:
    row = only_row(fetchall(0.3, 0.3, 0.3, 0.1, 0.9))
    assert row.measured == [pytest.approx(0.3)]
    assert row.verdict == "ok"


def test_a_row_counts_only_when_the_runs_agree() -> None:
    good, bad = fetchall(0.3, 0.3, 0.3, 0.3, 0.3), fetchall(0.5, 0.5, 0.5, 0.5, 0.5)
    assert only_row(good, good).verdict == "ok"
    assert only_row(bad, bad).verdict == "missed"
    assert only_row(good, bad).verdict == "runs differ"


def test_noise_is_seen_where_rounds_differ() -> None:
    calm = only_row({"fetchall": {"native": [1.0] * 5, "wasqlite": [0.5] * 5}})
    wild = only_row({"fetchall": {"native": [1.0] * 5, "wasqlite": [0.1, 0.3, 0.5, 0.7, 0.9]}})
    assert calm.spread == 0
    assert wild.spread == pytest.approx(0.8)


def test_two_runs_side_by_side() -> None:
    slow, fast = document(fetchall(0.8, 0.8)), document(fetchall(0.4, 0.4))
    (title,) = [each.workload.title for each in results.rows_of(fast)]
    assert results.beside(slow, fast).splitlines()[2:] == [f"| {title} | 0.80 | 0.40 | 0.50 |"]
    assert results.beside(document({}), fast).splitlines()[2:] == [f"| {title} | - | 0.40 | new |"]


def test_what_is_not_built_is_said_and_not_counted() -> None:
    found = document({"row": {}})
    found["runs"][0]["row"]["wasqlite"] = {"missing": "wasqlite has no Row"}
    (row,) = results.rows_of(found)
    assert row.verdict == "not built"
    assert "row: wasqlite has no Row" in results.table(found)


def test_the_mean_of_parts_needs_all_of_them() -> None:
    run = {name: {"native": [1.0], "wasqlite": [2.0]} for name in results.QUERIES}
    (row,) = results.rows_of(document(run))
    assert row.workload.name == "tpch"
    assert row.measured == [pytest.approx(2.0)]
    del run["tpch-07"]
    assert "tpch" not in {row.workload.name for row in results.rows_of(document(run))}


def test_milliseconds_are_wasqlites_own() -> None:
    row = only_row({"connect": {"native": [0.0001], "wasqlite": [0.0009]}})
    assert row.measured == [pytest.approx(0.9)]
    assert row.verdict == "ok"


def test_the_documentation_shows_the_committed_run() -> None:
    assert results.DOCUMENT.read_text(encoding="utf-8") == results.pages(), "run: python bench/results.py --write"
    assert results.markdown(results.committed()) in results.pages()


def test_the_plot_was_drawn_from_the_committed_run() -> None:
    assert results.digest(results.committed()) in results.PLOT.read_text(), "run: python bench/results.py --write"
