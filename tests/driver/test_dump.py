"""``iterdump`` beside the standard library's, and dumps that make the database anew."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from oracle import Case, Subject, both

import wasqlite

CASES: dict[str, Case] = {}

SCHEMATA: dict[str, str] = {
    "empty": "",
    "values": """
        create table t(a, b text, c real, d blob, e integer primary key);
        insert into t values(null, 'x', 1.5, x'00ff', 1), (5, 'it''s', -2.25, '', 2), ('ä', '日本', 0.1, x'', 3);
        insert into t values('a' || char(10) || 'b', ';', 1e10, zeroblob(3), 9223372036854775807);
        insert into t values(-9223372036854775808, '"', -0.5, 'blob?', -1);
    """,
    "order_of_tables": 'create table b(x); create table a(x); create table "C"(x); insert into b values(1);',
    "quoted_names": """
        create table "quoted""table"("quoted""field" text, "two words", "select");
        insert into "quoted""table" values('quoted''value', '"', 'x');
        create table [brackets]([x y]); insert into [brackets] values(1);
        create table `ticks`(`a`); insert into `ticks` values(2);
        create table "größe"("日本"); insert into "größe" values(3);
    """,
    "indexes_triggers_views": """
        create table t(a unique, b); create unique index i on t(b); create index j on t(a, b) where a > 1;
        create view v as select a from t; create view w(x, y) as select * from t;
        create trigger g after insert on t begin update t set b = 1; select 'x;y'; end;
        insert into t values(1, 2);
    """,
    "autoincrement": """
        create table t(id integer primary key autoincrement, x); create table u(id integer primary key autoincrement);
        insert into t(x) values('a'), ('b'); delete from t; insert into u values(100); create table empty(a);
    """,
    "autoincrement_unused": "create table t(id integer primary key autoincrement);",
    "statistics": """
        create table t(a, b); create index i on t(a); insert into t values(1, 2), (1, 3), (2, 3); analyze;
    """,
    "without_rowid": "create table t(a primary key, b) without rowid; insert into t values('z', 1), ('a', 2);",
    "strict": "create table t(a int, b any) strict; insert into t values(1, 'x'), (2, 5);",
    "generated_columns": """
        create table t(a, b as (a + 1), c as (a * 2) stored); insert into t(a) values(1), (2);
    """,
    "defaults_and_checks": """
        create table t(a default 5 check(a > 0), b collate nocase not null default 'x', primary key(a, b));
        insert into t default values;
    """,
    "foreign_keys_that_hold": """
        create table p(a primary key); create table c(a references p(a)); insert into p values(1);
        insert into c values(1), (null);
    """,
    "foreign_keys_that_do_not_hold": """
        create table p(a primary key); create table c(a references p(a)); insert into c values(1);
    """,
    "virtual_tables": """
        create virtual table f using fts4(a, b); create table t(x); create virtual table r using rtree(i, x, y);
    """,
    "virtual_table_with_rows": "create virtual table f using fts4(a); insert into f values('it''s text');",
    "virtual_table_with_quotes": """create virtual table "f ""x" using fts4('a b', tokenize='porter');""",
    "dropped_and_altered": """
        create table t(a); alter table t add column b default 'x'; alter table t rename to u; create table gone(a);
        drop table gone; alter table u rename column a to "a b"; insert into u values(1, 2);
    """,
    "temporary": "create temp table t(a); insert into t values(1); create table main.u(a);",
    "attached": "attach ':memory:' as other; create table other.t(a); create table t(b);",
    "comments_in_sql": "create table t(a /* one */, -- two\n b);",
    "reserved_words": 'create table "order"("group", "index"); insert into "order" values(1, 2);',
    "many_rows": """
        create table t(a, b);
        with n(x) as (select 1 union all select x + 1 from n where x < 3000) insert into t select x, 'v' || x from n;
    """,
}
for name, schema in SCHEMATA.items():

    def dumped(s: Subject, schema: str = schema) -> Any:
        s.con.executescript(schema)
        return list(s.con.iterdump())

    CASES[f"dump_{name}"] = dumped


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


@case
def inside_a_transaction(s: Subject) -> Any:
    s.con.execute("create table t(a)")
    s.con.execute("insert into t values(1)")
    return list(s.con.iterdump()), s.con.in_transaction


@case
def changes_while_dumping(s: Subject) -> Any:
    s.con.executescript("create table a(x); create table b(x); insert into a values(1)")
    found = []
    for line in s.con.iterdump():
        found.append(line)
        if line.startswith("INSERT"):
            s.con.execute("insert into b values(2)")
    return found


@case
def closed(s: Subject) -> Any:
    s.con.close()
    return s.attempt(s.con.iterdump)


@case
def closed_on_the_way(s: Subject) -> Any:
    s.con.execute("create table t(a)")
    lines = s.con.iterdump()
    found = [next(lines)]
    s.con.close()
    return found, s.attempt(lambda: list(lines))


@case
def wrong_arguments(s: Subject) -> Any:
    for arguments in ((1,), ("x",)):
        try:
            s.con.iterdump(*arguments)
        except TypeError:
            continue
        return "no error"
    return "TypeError"


if sys.version_info >= (3, 13):
    for number, pattern in enumerate([None, "", "t%", "_", "v", "%", "none", "T1", "sqlite%", "t\\%", 5]):

        def filtered(s: Subject, pattern: Any = pattern) -> Any:
            s.con.executescript("""
                create table t1(a integer primary key autoincrement); create table t2(b); create table u(c);
                insert into t1 values(1); insert into u values(2); create view v as select 1; create index t3 on t2(b);
            """)
            return list(s.con.iterdump(filter=pattern))

        CASES[f"filter_{number}"] = filtered


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    expected, seen = both(CASES[name], tmp_path)
    assert seen == expected


RESTORED = SCHEMATA.keys() - {"virtual_table_with_rows", "attached", "temporary"}


@pytest.mark.parametrize("name", sorted(RESTORED))
def test_a_dump_makes_the_database_anew(name: str, con: wasqlite.Connection, connect: Any) -> None:
    con.executescript(SCHEMATA[name])
    dump = list(con.iterdump())
    other = connect()
    other.executescript("".join(dump))
    assert list(other.iterdump()) == dump


@pytest.mark.parametrize("name", sorted(RESTORED))
def test_native_sqlite_reads_the_dump(name: str, con: wasqlite.Connection) -> None:
    con.executescript(SCHEMATA[name])
    native = sqlite3.connect(":memory:")
    try:
        native.executescript("".join(con.iterdump()))
        tables = "select name, sql from sqlite_master where name not like 'sqlite_stat%' order by name"
        assert native.execute(tables).fetchall() == con.execute(tables).fetchall()
    finally:
        native.close()


@pytest.mark.parametrize("factory", [bytes, bytearray, lambda value: value.decode()])
def test_text_factory_does_not_matter(con: wasqlite.Connection, factory: Any) -> None:
    con.executescript(SCHEMATA["values"] + SCHEMATA["autoincrement_unused"].replace(" t(", " counted("))
    con.executescript(SCHEMATA["virtual_tables"].replace(" t(", " other("))
    expected = list(con.iterdump())
    con.text_factory = factory
    assert list(con.iterdump()) == expected
    assert con.text_factory is factory


def test_row_factory_does_not_matter(con: wasqlite.Connection) -> None:
    con.executescript(SCHEMATA["values"])
    expected = list(con.iterdump())
    con.row_factory = lambda cursor, row: {"a": row}
    assert list(con.iterdump()) == expected


def test_names_with_single_quotes(con: wasqlite.Connection, connect: Any) -> None:
    # The stdlib's dump fails there in many versions.
    con.executescript("""create table "it's"("a'b" integer primary key autoincrement); insert into "it's" values(7);""")
    other = connect()
    other.executescript("".join(con.iterdump()))
    found = other.execute("""select "a'b", seq from "it's", sqlite_sequence where name = 'it''s'""")
    assert found.fetchall() == [(7, 7)]


def test_more_columns_than_an_expression_may_be_deep(con: wasqlite.Connection) -> None:
    con.execute(f"create table t({', '.join(f'c{i}' for i in range(1500))})")
    con.execute(f"insert into t values({', '.join(map(str, range(1500)))})")
    assert f'INSERT INTO "t" VALUES({",".join(map(str, range(1500)))});' in list(con.iterdump())
