"""Oracle cases: statements, errors, transactions, life cycles."""

from __future__ import annotations

import threading
from typing import Any

from oracle import Case, Subject

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


STATEMENTS: list[Any] = [
    *("", " ", ";", "-- c", "/* c */", "/* open", "select 1;", "select 1; ", "select 1; -- c", "select 1; /* c */"),
    *("select 1; /* open", "select 1;;", "select 1; select 2", "select 1; // c", "select 1 /* open", "select 1 -- c"),
    *("selec 1", "select", "select * from nowhere", "select nowhere", "select 1 +", "select 'open", "select \x01"),
    *("\0", "select 1\0", "select\0 1", "select '\ud800'", "select 'ä' as ä", 'SELECT 1 AS "a b"', "begin; select 1"),
    *(b"select 1", 1, None, ["select 1"]),
    *("create table t(a)", "create table t(a", "create table if not exists t(a)", "drop table nowhere"),
    *(
        "drop table if exists t",
        "pragma user_version",
        "pragma user_version = 5",
        "pragma nowhere",
        "pragma foreign_keys",
    ),
    *("explain select 1", "values(1), (2)", "vacuum", "analyze", "savepoint s", "release s", "rollback to s", "commit"),
    *("rollback", "end", "begin", "begin immediate", "begin exclusive", "insert into nowhere values(1)"),
    *("select abs(-9223372036854775808)", "select json('x')", "select 1/0", "select count(*)", "select sum(1), 'x'"),
    *("select zeroblob(-1)", "select zeroblob(3000000000)", "select printf('%d', 5)", "attach ':memory:' as x"),
    *("detach nowhere", "select load_extension('x')", "select * from sqlite_master", "select * from sqlite_schema"),
    *("reindex", "alter table nowhere rename to x", "create view v as select 1", "select ?", "select :a"),
    *("WITH x AS (SELECT 1) SELECT * FROM x", "select 1 union select 2 order by 3", "select 9223372036854775808"),
    *("select 1 limit 'x'", "delete from nowhere", "update nowhere set a = 1", "replace into nowhere values(1)"),
]
for sql in STATEMENTS:
    CASES[f"execute_{sql!r}"] = lambda s, q=sql: s.cur.execute(q).fetchall()
    CASES[f"executescript_{sql!r}"] = lambda s, q=sql: s.cur.executescript(q)
    CASES[f"executemany_{sql!r}"] = lambda s, q=sql: s.cur.executemany(q, [()]).fetchall()


def table(s: Subject) -> None:
    s.cur.execute("create table t(id integer primary key, a unique not null, b check(b > 0) default 1)")
    s.cur.executemany("insert into t(a, b) values(?, ?)", [("x", 1), ("y", 2), ("z", 3)])
    s.con.commit()


CHANGES: list[str] = [
    *("insert into t(a) values('w')", "insert into t(a) values('x')", "insert into t(a) values(null)", "delete from t"),
    *(
        "insert into t(a, b) values('w', 0)",
        "insert into t(id, a) values(1, 'w')",
        "insert into t(id, a) values('q', 'w')",
    ),
    *(
        "update t set a = 'n' where id = 1",
        "update t set a = 'n'",
        "update t set b = b + 1",
        "delete from t where id > 1",
    ),
    *(
        "replace into t(id, a) values(1, 'n')",
        "insert or ignore into t(a) values('x')",
        "INSERT OR FAIL INTO t(a) VALUES('x')",
    ),
    *(
        "insert or rollback into t(a) values('x')",
        "  \n\t-- c\n/* d */ insert into t(a) values('w')",
        "select * from t",
    ),
    *("with q as (select 'w' as w) insert into t(a) select w from q", "explain insert into t(a) values('w')"),
    *(
        "insert into t(a) values('w') returning id, a",
        "update t set b = b + 1 returning id",
        "delete from t returning *",
    ),
    *(
        "update t set b = 1 where 0 returning id",
        "insert into t(a) select a || 'q' from t",
        "insert into t default values",
    ),
    *("insert into t(a) values('v'), ('w'), ('x')", "insert into t(a, b) values('u')", "insert into t(zz) values(1)"),
    *(
        "create table u(a)",
        "create index i on t(b)",
        "drop table t",
        "alter table t add column c",
        "begin",
        "pragma table_info(t)",
    ),
]
for sql in CHANGES:
    CASES[f"change_{sql!r}"] = lambda s, q=sql: (table(s), s.cur.execute(q), s.state(), s.cur.fetchall())
    CASES[f"change_without_level_{sql!r}"] = lambda s, q=sql: (
        table(s),
        setattr(s.con, "isolation_level", None),
        s.cur.execute(q),
        s.cur.fetchall(),
    )
    CASES[f"change_twice_{sql!r}"] = lambda s, q=sql: (
        table(s),
        s.attempt(lambda: s.cur.execute(q).fetchall()),
        s.state(),
        s.attempt(lambda: s.cur.execute(q).fetchall()),
        s.con.rollback(),
        s.cur.execute("select * from t order by id").fetchall(),
    )


@case
def returning_row_by_row(s: Subject) -> Any:
    table(s)
    s.cur.execute("update t set b = b + 1 returning id")
    return [(s.cur.rowcount, s.cur.fetchone()) for _ in range(5)], s.cur.rowcount


@case
def lastrowid_over_statements(s: Subject) -> Any:
    table(s)
    seen = [s.cur.lastrowid]
    for sql in (
        "insert into t(a) values('q')",
        "select 1",
        "update t set b = 5",
        "insert into t(id, a) values(77, 'r')",
        "",
    ):
        seen.append(s.cur.execute(sql).lastrowid)
    seen.append(s.attempt(lambda: s.cur.execute("insert into t(a) values('q')")))
    seen.append(s.cur.lastrowid)
    s.cur.executemany("insert into t(a) values(?)", [("1",), ("2",)])
    return seen, s.cur.lastrowid, s.con.cursor().lastrowid


@case
def executemany_counts(s: Subject) -> Any:
    table(s)
    seen = [s.cur.executemany("insert into t(a) values(?)", [(str(i),) for i in range(n)]).rowcount for n in (0, 1)]
    seen.append(s.cur.executemany("update t set b = ? where id <= ?", [(1, 1), (2, 2), (3, 0)]).rowcount)
    seen.append(s.cur.executemany("create table if not exists q(a)", [(), ()]).rowcount)
    return seen


@case
def executemany_large(s: Subject) -> Any:
    s.cur.execute("create table t(a, b, c)")
    s.cur.executemany("insert into t values(?, ?, ?)", ((i, str(i), i / 2) for i in range(30000)))
    return s.cur.rowcount, s.cur.execute("select count(*), sum(a), max(length(b)), sum(c) from t").fetchall()


@case
def executemany_fails_in_the_middle(s: Subject) -> Any:
    table(s)
    rows = [(str(i % 500),) for i in range(1000)]
    failure = s.attempt(lambda: s.cur.executemany("insert into t(a) values(?)", rows))
    return failure, s.state(), s.con.execute("select count(*) from t").fetchall()


for bad in ((1,), (1, 2, 3), 5, {"a": 1}, None, (object(), 1), (2**70, 1), ("\ud800", 1), [memoryview(b"abc")[::2], 1]):
    for position in (0, 1, 100):

        def bad_row(s: Subject, bad: Any = bad, position: int = position) -> Any:
            s.cur.execute("create table t(a, b)")
            rows: list[Any] = [(i, i) for i in range(200)]
            rows[position] = bad
            failure = s.attempt(lambda: s.cur.executemany("insert into t values(?, ?)", rows))
            return failure, s.state(), s.con.execute("select count(*), sum(a) from t").fetchall()

        CASES[f"executemany_bad_row_{type(bad).__name__}_{len(str(bad))}_{position}"] = bad_row


@case
def executemany_iterator_raises(s: Subject) -> Any:
    s.cur.execute("create table t(a)")

    def rows() -> Any:
        for i in range(100):
            yield (i,)
        raise ZeroDivisionError("here")

    failure = s.attempt(lambda: s.cur.executemany("insert into t values(?)", rows()))
    return failure, s.con.execute("select count(*) from t").fetchall()


@case
def executemany_with_its_own_cursor(s: Subject) -> Any:
    s.cur.execute("create table t(a)")
    s.cur.execute("select 1")
    return s.cur.executemany("insert into t values(?)", s.cur)


@case
def executemany_not_iterable(s: Subject) -> Any:
    table(s)
    return s.cur.executemany("insert into t(a) values(?)", 5)


@case
def executemany_named(s: Subject) -> Any:
    table(s)
    s.cur.executemany("insert into t(a, b) values(:a, :b)", [{"a": "p", "b": 5}, {"a": "q", "b": 6, "c": 7}])
    failure = s.attempt(
        lambda: s.cur.executemany("insert into t(a, b) values(:a, :b)", [{"a": "r", "b": 5}, {"a": "s"}])
    )
    return failure, s.con.execute("select a, b from t").fetchall()


@case
def executemany_mixed_types(s: Subject) -> Any:
    s.cur.execute("create table t(a, b)")
    rows = [(1, "a"), (2.5, None), ("x", b"y"), (None, 5), (True, bytearray(b"q")), ("ä", "\0"), [7, ""], (b"", 1e300)]
    s.cur.executemany("insert into t values(?, ?)", rows * 50)
    return s.cur.execute("select a, b, typeof(a), typeof(b) from t").fetchall()


@case
def constraint_codes(s: Subject) -> Any:
    s.con.execute("pragma foreign_keys = on")
    s.con.executescript(
        "create table p(id integer primary key);"
        "create table c(p references p(id), u unique, n not null, k check(k > 0));"
        "insert into c values(null, 1, 1, 1);"
    )
    rows = [(9, 2, 1, 1), (None, 1, 1, 1), (None, 3, None, 1), (None, 4, 1, 0)]
    seen = [s.attempt(lambda r=r: s.con.execute("insert into c values(?, ?, ?, ?)", r)) for r in rows]
    seen.append(s.attempt(lambda: s.con.execute("insert into p values('x')")))
    return seen


@case
def script_stops_at_the_error(s: Subject) -> Any:
    failure = s.attempt(
        lambda: s.con.executescript("create table t(a); insert into t values(1); nonsense; insert into t values(2)")
    )
    return failure, s.con.execute("select * from t").fetchall()


@case
def script_commits_first(s: Subject) -> Any:
    table(s)
    s.cur.execute("insert into t(a) values('q')")
    s.cur.execute("select 1 as x")
    before = s.con.in_transaction
    s.cur.executescript("select 1; select 2; begin; insert into t(a) values('r');")
    during = s.con.in_transaction, s.cur.description, s.cur.rowcount
    s.con.rollback()
    return before, during, s.con.execute("select a from t").fetchall()


@case
def rollback_keeps_select(s: Subject) -> Any:
    table(s)
    s.con.execute("insert into t(a) values('q')")
    rows = s.con.execute("select a from t")
    first = rows.fetchone()
    s.con.rollback()
    return first, s.attempt(rows.fetchall)


@case
def select_during_drop(s: Subject) -> Any:
    table(s)
    s.cur.execute("insert into t(a) select a || b.value from t, json_each('[1,2,3,4,5,6,7,8,9]') b")
    s.con.commit()
    rows = s.con.execute("select a from t")
    rows.fetchone()
    return s.attempt(lambda: s.con.execute("drop table t")), len(rows.fetchall())


@case
def schema_change_between_executions(s: Subject) -> Any:
    table(s)
    seen = [s.cur.execute("select * from t where id = 1").fetchall(), s.cur.description]
    s.con.execute("alter table t add column c default 'new'")
    seen += [s.cur.execute("select * from t where id = 1").fetchall(), s.cur.description]
    return seen


@case
def same_sql_in_three_cursors(s: Subject) -> Any:
    table(s)
    cursors = [s.con.execute("select a from t order by a") for _ in range(3)]
    return [[c.fetchone() for c in cursors] for _ in range(4)]


@case
def description_survives_an_error(s: Subject) -> Any:
    s.cur.execute("select 1 as a")
    failure = s.attempt(lambda: s.cur.execute("select nowhere"))
    return failure, s.cur.description, s.cur.fetchall(), s.cur.rowcount


@case
def wrong_parameters_after_begin(s: Subject) -> Any:
    table(s)
    return s.attempt(lambda: s.cur.execute("insert into t(a) values(?)", ())), s.con.in_transaction


for level in ("", "deferred", "Immediate", "EXCLUSIVE", None, "x", 5, "IMMEDIATE\0", "immediate ", b"", True):
    CASES[f"isolation_level_{level!r}"] = lambda s, v=level: (
        setattr(s.con, "isolation_level", v),
        s.con.isolation_level,
        s.con.execute("create table t(a)"),
        s.con.execute("insert into t values(1)"),
        s.con.in_transaction,
    )
    CASES[f"connect_isolation_level_{level!r}"] = lambda s, v=level: (
        s.connect(":memory:", isolation_level=v).isolation_level
    )


@case
def isolation_level_none_commits(s: Subject) -> Any:
    table(s)
    s.con.execute("delete from t")
    s.con.isolation_level = None
    return s.con.in_transaction, s.con.execute("select count(*) from t").fetchone()


@case
def isolation_level_cannot_be_deleted(s: Subject) -> Any:
    del s.con.isolation_level


@case
def with_commits(s: Subject) -> Any:
    table(s)
    with s.con as same:
        s.con.execute("delete from t")
    return same is s.con, s.con.in_transaction, s.con.execute("select count(*) from t").fetchone()


@case
def with_rolls_back(s: Subject) -> Any:
    table(s)

    def body() -> None:
        with s.con:
            s.con.execute("delete from t")
            raise ValueError("inside")

    return s.attempt(body), s.con.in_transaction, s.con.execute("select count(*) from t").fetchone()


@case
def with_whose_commit_fails(s: Subject) -> Any:
    s.con.executescript(
        "pragma foreign_keys = on; create table p(id primary key);"
        "create table c(p references p(id) deferrable initially deferred)"
    )

    def body() -> None:
        with s.con:
            s.con.execute("insert into c values(5)")

    return s.attempt(body), s.con.in_transaction


@case
def commit_and_rollback_without_transaction(s: Subject) -> Any:
    return s.con.commit(), s.con.rollback(), s.con.commit()


@case
def commit_with_unfinished_returning(s: Subject) -> Any:
    table(s)
    s.cur.execute("update t set b = b + 1 returning id")
    return s.attempt(s.con.commit), s.cur.fetchall(), s.con.commit()


CLOSED = ["isolation_level", "total_changes", "in_transaction", "commit", "rollback", "close", "cursor", "interrupt"]
for name in [*CLOSED, "__enter__", "row_factory"]:

    def closed_connection(s: Subject, name: str = name) -> Any:
        con = s.connect(":memory:")
        con.close()
        value = getattr(con, name)
        return value() if callable(value) else value

    def bare_connection(s: Subject, name: str = name) -> Any:
        value = getattr(s.m.Connection.__new__(s.m.Connection), name)
        return value() if callable(value) else value

    CASES[f"closed_{name}"] = closed_connection
    CASES[f"uninitialised_{name}"] = bare_connection

for name in [
    "fetchone",
    "fetchall",
    "fetchmany",
    "close",
    "__next__",
    "description",
    "rowcount",
    "lastrowid",
    "connection",
]:

    def cursor_of_closed(s: Subject, name: str = name) -> Any:
        con = s.connect(":memory:")
        cur = con.cursor()
        con.close()
        value = getattr(cur, name)
        return value() if callable(value) and name != "connection" else type(value).__name__

    def closed_cursor(s: Subject, name: str = name) -> Any:
        s.cur.close()
        value = getattr(s.cur, name)
        return value() if callable(value) and name != "connection" else type(value).__name__

    CASES[f"cursor_of_closed_connection_{name}"] = cursor_of_closed
    CASES[f"closed_cursor_{name}"] = closed_cursor

for method, args in {"execute": ("select 1",), "executemany": ("insert", []), "executescript": ("",)}.items():
    CASES[f"closed_cursor_{method}"] = lambda s, m=method, a=args: (s.cur.close(), getattr(s.cur, m)(*a))

    def on_closed(s: Subject, method: str = method, args: Any = args) -> Any:
        con = s.connect(":memory:")
        con.close()
        return getattr(con, method)(*args)

    CASES[f"closed_connection_{method}"] = on_closed
    CASES[f"{method}_wrong_type"] = lambda s, m=method, a=args: getattr(s.cur, m)(5, *a[1:])


@case
def subclass_cursor_without_init(s: Subject) -> Any:
    class Bare(s.m.Cursor):  # type: ignore[name-defined, misc]
        def __init__(self, connection: Any) -> None:
            pass

    bare = Bare(s.con)
    return [s.attempt(lambda: bare.execute("select 1")), s.attempt(bare.fetchall), s.attempt(bare.close)]


for factory in (None, lambda con: 5, int, lambda con: con):
    CASES[f"cursor_factory_{getattr(factory, '__name__', None)}_{CASES.__len__()}"] = lambda s, f=factory: s.con.cursor(
        f
    )


@case
def cursor_of_the_wrong_thing(s: Subject) -> Any:
    return s.m.Cursor(5)


@case
def no_attributes_can_be_added(s: Subject) -> Any:
    return [hasattr(s.con, "__dict__"), hasattr(s.cur, "__dict__")]


@case
def connection_has_the_exceptions(s: Subject) -> Any:
    return [
        getattr(s.con, name) is getattr(s.m, name) for name in ("Error", "Warning", "DataError", "NotSupportedError")
    ]


@case
def wrong_thread(s: Subject) -> Any:
    seen: list[Any] = []
    actions: list[Any] = [
        lambda: s.con.execute("select 1"),
        s.con.cursor,
        s.con.commit,
        s.con.rollback,
        s.con.close,
        s.cur.fetchone,
        s.cur.close,
        lambda: s.cur.execute("select 1"),
        s.con.interrupt,
        lambda: s.con.in_transaction,
        lambda: s.con.total_changes,
        lambda: s.con.__enter__(),
        lambda: s.cur.execute(5),
    ]
    thread = threading.Thread(target=lambda: seen.extend(s.attempt(a) for a in actions))
    thread.start()
    thread.join()
    return seen


@case
def threads_may_share_when_allowed(s: Subject) -> Any:
    con = s.connect(":memory:", check_same_thread=False)
    con.execute("create table t(a)")
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(con.execute("insert into t values(1) returning a").fetchall()))
    thread.start()
    thread.join()
    return seen, con.execute("select * from t").fetchall()


@case
def limits(s: Subject) -> Any:
    s.con.execute("select * from sqlite_master")  # reading the schema needs SQL of some length
    seen = [s.con.setlimit(1, 20), s.con.getlimit(1), s.attempt(lambda: s.con.execute("select 123456789012345"))]
    seen += [s.attempt(lambda: s.con.executescript("select 123456789012345")), s.con.execute("select 1").fetchone()]
    s.con.setlimit(1, 1000000)
    s.con.setlimit(0, 1000)
    seen.append(s.attempt(lambda: s.con.execute("select ?", ("x" * 2000,))))
    seen.append(s.attempt(lambda: s.con.execute("select ?", (b"x" * 2000,))))
    seen.append(s.attempt(lambda: s.con.executemany("create table if not exists q(a)", [()])))
    return seen, s.attempt(lambda: s.con.getlimit(99)), s.attempt(lambda: s.con.setlimit("a", 1))


@case
def interrupt_while_idle(s: Subject) -> Any:
    return s.con.interrupt(), s.con.execute("select 1").fetchall()


@case
def interrupt_between_rows(s: Subject) -> Any:
    s.cur.execute("with recursive n(x) as (select 1 union all select x + 1 from n) select x from n limit 100000")
    s.cur.fetchone()
    s.con.interrupt()
    return s.attempt(s.cur.fetchall), s.con.execute("select 1").fetchall()


@case
def connect_again(s: Subject) -> Any:
    s.con.execute("create table t(a)")
    s.con.row_factory = lambda c, r: list(r)
    s.con.text_factory = bytes
    s.con.__init__(":memory:")
    return s.con.execute("select name, 'x' from sqlite_master union all select 'y', 1").fetchall()


@case
def connect_again_fails(s: Subject) -> Any:
    con = s.connect(":memory:")
    failure = s.attempt(lambda: con.__init__(str(s.folder)))
    seen = [s.attempt(lambda: con.execute("select 1")), s.attempt(lambda: con.in_transaction)]
    con.__init__(":memory:")
    return failure, seen


ARGUMENTS: list[dict[str, Any]] = [
    *({"timeout": t} for t in ("a", None, 0, -1, 3, 1.5, 1e300)),
    *({"cached_statements": n} for n in ("a", 0, 1, -5, 1.5, None)),
    *({"check_same_thread": v} for v in (0, 1)),
    *({"uri": v} for v in (0, True)),
    {"detect_types": "a"},
    {"detect_types": 0},
]
for number, keywords in enumerate(ARGUMENTS):
    CASES[f"connect_arguments_{number}"] = lambda s, k=keywords: (
        s.connect(":memory:", **k).execute("select 1").fetchall()
    )


@case
def connect_without_database(s: Subject) -> Any:
    return s.m.connect()


for bad in (5, None, ["x"], "a\0b", b"a\0b", 1.5):
    CASES[f"connect_to_{bad!r}"] = lambda s, b=bad: s.connect(b)
