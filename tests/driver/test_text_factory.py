"""``text_factory`` over many rows, beside the standard library's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from oracle import Case, Subject, both

CASES: dict[str, Case] = {}

# Columns: text only, text and NULL, text and blobs, text and numbers, everything, no text, text with NUL.
SELECT = """
    with n(x) as (select 1 union all select x + 1 from n where x < {rows})
    select 'täxt' || x as a, case x % 3 when 0 then null else 't' || x end as b,
        case x % 2 when 0 then cast(x as blob) else '' || x end as c, case x % 4 when 1 then x else 'n' || x end as d,
        case x % 5 when 0 then null when 1 then x when 2 then x / 2.0 when 3 then 'ü' || x else x'00ff' end as e,
        x as f, case x % 7 when 3 then 'a' || char(0) || 'b' else '' end as g
    from n
"""
BAD = """
    with n(x) as (select 1 union all select x + 1 from n where x < {rows})
    select x, 'good' || x as good, case x when {at} then cast(x'61ff62' as text) else 'ok' || x end as bad,
        case when x = {at} + 1 then cast(x'fe' as text) else x'fe' end as mixed
    from n
"""


class Text(str):
    pass


FACTORIES: dict[str, Any] = {
    "str": str,
    "bytes": bytes,
    "bytearray": bytearray,
    "length": len,
    "own_class": lambda data: Text(data, "utf-8"),
    "replace": lambda data: data.decode(errors="replace"),
    "latin_1": lambda data: data.decode("latin-1"),
    "nothing": lambda data: None,
    "no_callable": 5,
    "none": None,
    "wrong_arguments": lambda: None,
}
FETCHES: dict[str, Callable[[Any], Any]] = {
    "fetchall": lambda c: c.fetchall(),
    "fetchmany": lambda c: [c.fetchmany(7), c.fetchmany(1), c.fetchmany(100)],
    "list": list,
    "fetchone": lambda c: [c.fetchone() for _ in range(5)],
}
for name, factory in FACTORIES.items():
    for rows in (1, 2, 3, 9, 300):
        for fetch_name, fetch in FETCHES.items():

            def whole(s: Subject, factory: Any = factory, rows: int = rows, fetch: Any = fetch) -> Any:
                s.con.text_factory = factory
                cursor = s.con.execute(SELECT.format(rows=rows))
                found = [s.attempt(lambda: fetch(cursor)), s.attempt(lambda: fetch(cursor))]
                s.con.row_factory = s.m.Row
                return found, s.attempt(lambda: [tuple(row) for row in s.con.execute(SELECT.format(rows=rows))])

            CASES[f"{name}_{rows}_{fetch_name}"] = whole

for at in (1, 2, 3, 5, 8, 9):
    for name in ("str", "bytes", "replace"):
        for fetch_name, fetch in FETCHES.items():

            def bad(s: Subject, at: int = at, factory: Any = FACTORIES[name], fetch: Any = fetch) -> Any:
                s.con.text_factory = factory
                cursor = s.con.execute(BAD.format(rows=9, at=at))
                return [s.attempt(lambda: fetch(cursor)) for _ in range(3)], s.attempt(cursor.fetchone)

            CASES[f"not_utf8_{name}_at_{at}_{fetch_name}"] = bad


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


@case
def changed_between_fetches(s: Subject) -> Any:
    cursor = s.con.execute(SELECT.format(rows=30))
    found = [cursor.fetchone()]
    for factory in (bytes, str, len, bytearray, str, bytes):
        s.con.text_factory = factory
        found += [cursor.fetchone(), cursor.fetchmany(2), next(cursor)]
    return found, cursor.fetchall()


@case
def of_the_connection_and_for_all_its_cursors(s: Subject) -> Any:
    first, second = (s.con.execute(SELECT.format(rows=3)) for _ in range(2))
    s.con.text_factory = bytes
    return first.fetchall(), second.fetchone(), s.cur.execute("select 'x'").fetchall()


@case
def raises_for_one_row(s: Subject) -> Any:
    def factory(data: bytes) -> Any:
        if data.endswith(b"5"):
            raise LookupError(data)
        return data.decode()

    s.con.text_factory = factory
    found = []
    for fetch in FETCHES.values():
        cursor = s.con.execute(
            "with n(x) as (select 1 union all select x + 1 from n where x < 9) select 't' || x from n"
        )
        found += [s.attempt(lambda f=fetch, c=cursor: f(c)) for _ in range(3)]
    return found


@case
def uses_the_cursor(s: Subject) -> Any:
    s.con.text_factory = lambda data: s.attempt(s.cur.fetchone)
    s.cur.execute("select 'a' union all select 'b' union all select 'c'")
    return s.cur.fetchone(), s.cur.fetchall()


@case
def every_text_is_made_once(s: Subject) -> Any:
    found = []
    for factory in (None, s.m.Row, lambda cursor, row: row):
        for fetch in FETCHES.values():
            calls: list[bytes] = []
            s.con.text_factory = lambda data, calls=calls: calls.append(data) or data
            s.con.row_factory = factory
            cursor = s.con.execute(
                "with n(x) as (select 1 union all select x + 1 from n where x < 50) select 't' || x from n"
            )
            fetch(cursor)
            cursor.fetchall()
            found.append(calls)
    return found


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    expected, seen = both(CASES[name], tmp_path)
    assert seen == expected
