"""The main job on real data: one database file, native SQLite and wasqlite taking turns on it.

Run it with ``make demo``.
"""

from __future__ import annotations

import math
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flights
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import wasqlite

console = Console(width=None if sys.stdout.isatty() else 110)

QUERIES = {
    "Busiest routes, and how late they run": """
        SELECT f.origin, f.dest, a.name AS airport, count(*) AS flights, round(avg(f.arr_delay), 1) AS mean_delay
        FROM flights f JOIN airports a ON a.faa = f.dest
        GROUP BY f.origin, f.dest ORDER BY flights DESC LIMIT 6""",
    "Airlines by share of flights more than an hour late": """
        SELECT l.name AS airline, count(*) AS flights, round(100.0 * avg(f.arr_delay > 60), 1) AS late_percent
        FROM flights f JOIN airlines l USING (carrier)
        WHERE f.arr_delay IS NOT NULL
        GROUP BY l.name HAVING count(*) > 1000 ORDER BY late_percent DESC LIMIT 6""",
    "The worst day of each month (window function)": """
        WITH days AS (
            SELECT month, day, count(*) AS flights, round(avg(dep_delay), 1) AS mean_delay
            FROM flights GROUP BY month, day),
        ranked AS (SELECT *, rank() OVER (PARTITION BY month ORDER BY mean_delay DESC) AS place FROM days)
        SELECT month, day, flights, mean_delay FROM ranked WHERE place = 1 ORDER BY month""",
    "Weather at departure: three tables, by wind": """
        SELECT CASE WHEN w.wind_speed < 10 THEN 'calm' WHEN w.wind_speed < 20 THEN 'breeze' ELSE 'strong' END AS wind,
               count(*) AS flights, round(avg(f.dep_delay), 1) AS mean_delay, round(avg(p.seats)) AS seats
        FROM flights f
        JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
        JOIN planes p ON p.tailnum = f.tailnum
        WHERE w.wind_speed IS NOT NULL
        GROUP BY wind ORDER BY mean_delay""",
}


class Regret(Exception):
    """What makes a transaction roll back."""


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """What an action returns, and the seconds it took."""
    start = time.perf_counter()
    result = action()
    return result, time.perf_counter() - start


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    console.print(f"[italic]{title}[/italic]")
    table = Table(header_style="bold")
    for i, name in enumerate(header):
        numeric = all(isinstance(row[i], int | float) or row[i] is None for row in rows)
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(table)
    console.print()


def same(left: Any, right: Any) -> bool:
    """Equal results; floats may differ in the last digits, since the two are SQLites of different versions."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def write_with_native(path: Path) -> None:
    native = sqlite3.connect(path)
    with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        for table in flights.TABLES:
            task = progress.add_task(f"stdlib writes {table} ...", total=1)
            count = flights.load(native, table)
            progress.update(task, completed=1, description=f"stdlib wrote {count:,} {table}")
    native.execute("CREATE INDEX weather_at ON weather (origin, time_hour)")
    native.execute("CREATE INDEX plane ON planes (tailnum)")
    native.commit()
    native.close()
    console.print(f"{path.stat().st_size / 1e6:.1f} MB in {path}\n")


def compare_queries(native: sqlite3.Connection, sandboxed: wasqlite.Connection) -> list[tuple[str, float, float]]:
    times = []
    for title, sql in QUERIES.items():
        expected, native_seconds = timed(lambda sql=sql: native.execute(sql).fetchall())
        cursor = sandboxed.cursor()
        rows, seconds = timed(lambda sql=sql, cursor=cursor: cursor.execute(sql).fetchall())
        if not same(rows, expected):
            raise SystemExit(f"wasqlite and the stdlib disagree about: {title}")
        show(title, [column[0] for column in cursor.description or ()], rows)
        times.append((title, native_seconds, seconds))
    everything = "SELECT * FROM flights"
    expected, native_seconds = timed(lambda: native.execute(everything).fetchall())
    rows, seconds = timed(lambda: sandboxed.execute(everything).fetchall())
    if rows != expected:
        raise SystemExit("wasqlite and the stdlib read different flights")
    times.append((f"Read the whole table: {len(rows):,} rows of {len(rows[0])} columns", native_seconds, seconds))
    return times


def update_in_a_transaction(sandboxed: wasqlite.Connection) -> int:
    """Mark the flights that made up time in the air."""
    sandboxed.execute("ALTER TABLE flights ADD COLUMN made_up INTEGER")
    with sandboxed:
        changed = sandboxed.execute(
            "UPDATE flights SET made_up = dep_delay - arr_delay WHERE arr_delay < dep_delay"
        ).rowcount
        sandboxed.execute(
            "CREATE TABLE summary AS "
            "SELECT carrier, count(made_up) AS faster, count(*) AS flights FROM flights GROUP BY carrier"
        )
    try:
        with sandboxed:
            sandboxed.execute("DELETE FROM flights")
            raise Regret
    except Regret:
        console.print("A DELETE of all flights was rolled back by an exception in its `with` block.")
    return changed


def check_with_native(path: Path, changed: int) -> None:
    native = sqlite3.connect(path)
    counted = native.execute("SELECT count(*), count(made_up) FROM flights").fetchone()
    verdict = native.execute("PRAGMA integrity_check").fetchone()[0]
    console.print(
        f"stdlib finds {counted[1]:,} of {counted[0]:,} flights updated; integrity_check: [bold]{verdict}[/bold]"
    )
    if counted[1] != changed or verdict != "ok":
        raise SystemExit("the file is not what wasqlite wrote")
    cursor = native.execute("SELECT * FROM summary ORDER BY faster * 1.0 / flights DESC LIMIT 5")
    show("Who makes up time in the air (read by the stdlib)", [c[0] for c in cursor.description], cursor.fetchall())
    native.close()


def main() -> None:
    console.rule("wasqlite demo")
    console.print(f"stdlib sqlite3: native SQLite {sqlite3.sqlite_version}")
    console.print(f"wasqlite:       SQLite {wasqlite.sqlite_version} in a WebAssembly sandbox\n")
    with tempfile.TemporaryDirectory(prefix="wasqlite-demo-") as folder:
        path = Path(folder) / "flights.db"
        write_with_native(path)
        with console.status("wasqlite opens the same file (the first start ever compiles the module) ..."):
            sandboxed, seconds = timed(lambda: wasqlite.connect(path))
        console.print(f"wasqlite.connect: {seconds * 1000:.0f} ms\n")
        native = sqlite3.connect(path)
        times = compare_queries(native, sandboxed)
        native.close()
        changed, seconds = timed(lambda: update_in_a_transaction(sandboxed))
        console.print(f"wasqlite updated {changed:,} rows in one transaction ({seconds:.2f} s)\n")
        sandboxed.close()
        check_with_native(path, changed)
        rows = [(title, f"{1e3 * a:.0f} ms", f"{1e3 * b:.0f} ms", f"{b / a:.2f}") for title, a, b in times]
        show("Time per query, one run each, on this machine", ["query", "stdlib", "wasqlite", "ratio"], rows)
        versions = f"SQLite {sqlite3.sqlite_version} and {wasqlite.sqlite_version}"
        console.print(
            f"The two are different SQLites ({versions}), so a ratio compares what you have with what you would get."
        )


if __name__ == "__main__":
    main()
