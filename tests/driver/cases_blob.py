"""Oracle cases: blobs, values that are read and written in place."""

from __future__ import annotations

import threading
import weakref
from array import array
from collections.abc import Callable
from typing import Any

from oracle import Case, Subject

CASES: dict[str, Case] = {}
TEN = b"0123456789"


class Five:
    def __index__(self) -> int:
        return 5


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def opened(s: Subject, row: int = 1, **keywords: Any) -> Any:
    s.con.executescript(
        "create table t(a blob, b, c int);"
        "insert into t values(x'30313233343536373839', 'text', 5), (zeroblob(0), null, 1.5), ('äöü', 7, 8)"
    )
    return s.con.blobopen("t", "a", row, **keywords)


def value(s: Subject) -> Any:
    return s.con.execute("select a from t").fetchone()


def on_a_blob(name: str, *actions: Callable[[Any], Any]) -> None:
    """The outcomes of actions one after the other on one blob, where it stands after each, and what is in the table."""

    def run(s: Subject) -> Any:
        blob = opened(s)
        return [(s.attempt(lambda a=a: a(blob)), s.attempt(blob.tell)) for a in actions], value(s)

    CASES[name] = run


def setting(key: Any, data: Any) -> Callable[[Any], Any]:
    return lambda blob: blob.__setitem__(key, data)


KEYS: list[Any] = [
    *(0, 9, 10, -1, -10, -11, 2**31, 2**63, 2**100, -(2**100), True, Five(), None, "x", 1.0, (1, 2), b"a"),
    *(slice(None), slice(2, 5), slice(5, 2), slice(3, 3), slice(100, None), slice(-3, None), slice(None, -8)),
    *(slice(None, None, 2), slice(1, 9, 3), slice(None, None, 0), slice(2**70), slice("a"), slice(1.0)),
    *(slice(-(2**70), 2**70, 2**70), slice(Five(), None)),
]
for number, key in enumerate(KEYS):
    on_a_blob(f"item_{number}_{key}"[:30], lambda b, k=key: b[k])
    on_a_blob(f"delete_item_{number}_{key}"[:30], lambda b, k=key: b.__delitem__(k))
    on_a_blob(f"set_item_{number}_{key}"[:30], setting(key, 65))

ITEMS: list[Any] = [0, 255, 256, -1, 2**100, True, Five(), b"1", "1", None, 1.5]
for data in ITEMS:
    on_a_blob(f"set_item_to_{data}"[:30], setting(3, data))

SLICES: list[Any] = [
    *((slice(0, 2), data) for data in (b"xy", b"xyz", b"", "xy", 5, None, [1, 2], bytearray(b"xy"))),
    *((slice(0, 4), array("i", [7])), (slice(0, 4), array("i", [])), (slice(0, 2), memoryview(b"abcd")[::2])),
    *((slice(3, 3), None), (slice(3, 3), b"abc"), (slice(0, 4, 2), b"yz"), (slice(0, 4, 2), b"yza")),
    *((slice(0, 9, 4), bytearray(b"abc")), (slice(None), b"abcdefghij"), (slice(9, 1, 2), 5)),
    (slice(0, 2), memoryview(b"ab").cast("B", (1, 2))),
]
for number, (key, data) in enumerate(SLICES):
    on_a_blob(f"set_slice_{number}", setting(key, data))

for number, length in enumerate([-1, 0, 3, 10, 11, -5, 2**31 - 1, 2**31, -(2**31) - 1, 2**100, "x", 1.5, None, Five()]):
    on_a_blob(f"read_{number}_{length}"[:30], lambda b, n=length: b.read(n), lambda b: b.read(2), lambda b: b.read())

SEEKS: list[Any] = [
    *((0,), (4,), (-1,), (10,), (11,), (2**31 - 1,), (2**31,), (-(2**31),), (-(2**31) - 1,), ("x",), (None,), (1.0,)),
    *((2, 1), (-2, 1), (-6, 1), (5, 1), (6, 1), (2**31 - 1, 1), (-(2**31), 1), (0, 2), (-3, 2), (-10, 2), (-11, 2)),
    *((1, 2), (2**31 - 1, 2), (0, 3), (0, -1), (0, 2**31), (0, "x"), (0, None), (99, 3), (Five(),)),
]
for number, seek in enumerate(SEEKS):
    on_a_blob(f"seek_{number}_{seek}"[:30], lambda b: b.seek(5), lambda b, a=seek: b.seek(*a), lambda b: b.read(2))

WRITES: list[Any] = [
    *(b"", b"x", b"0123456789", b"0123456789x", bytearray(b"xy"), memoryview(b"xyz")[1:], memoryview(b"abcd")[::2]),
    *("x", 5, None, [1], array("i", [1, 2]), array("d"), memoryview(b"abcd").cast("B", (2, 2))),
]
for number, data in enumerate(WRITES):
    on_a_blob(f"write_{number}", lambda b, d=data: b.write(d), lambda b: b.write(b"Q"), lambda b: b.read())

NAMES: list[Any] = [
    *(("t", "a", 1), ("T", "A", 1), ("nowhere", "a", 1), ("t", "nowhere", 1), ("t", "a", 99), ("t", "b", 2)),
    *(("t", "c", 1), ("t", "c", 2), ("t", "b", 1), ("v", "a", 1), ("w", "a", 1), ("t", "rowid", 1), ("", "", 0)),
    *(("t", "a", "1"), ("t", "a", 1.0), ("t", "a", None), ("t", "a", True), ("t", "a", Five())),
    *(("t", "a", 2**63), ("t", "a", -(2**63)), ("t", "a", -(2**63) - 1), ("t", "a", 2**32 + 1)),
    *((5, "a", 1), ("t", None, 1), (b"t", "a", 1), ("t\0", "a", 1), ("t", "a\0", 1), ("t\ud800", "a", 1)),
    *(("ä", "ö", 1), ("fts", "x", 1), ("i", "a", 1), ("k", "p", 1), ("sqlite_master", "sql", 1)),
]
for number, names in enumerate(NAMES):

    @case
    def opening(s: Subject, names: Any = names) -> Any:
        opened(s).close()
        s.con.executescript(
            "create table ä(ö); insert into ä values('x'); create view v as select * from t;"
            "create table w(a primary key) without rowid; insert into w values(1);"
            "create table i(a); create index ia on i(a); insert into i values('indexed');"
            "create table p(p primary key); create table k(p references p); insert into k values('x')"
        )
        return s.con.blobopen(*names).read()

    CASES[f"open_{number}"] = CASES.pop("opening")

for number, name in enumerate(["main", "temp", "other", "nowhere", "", "MAIN", 5, None, "\0", "\ud800"]):

    @case
    def opening_in(s: Subject, name: Any = name) -> Any:
        opened(s).close()
        s.con.executescript("attach ':memory:' as other; create table other.o(a); insert into other.o values('there')")
        table = "o" if name == "other" else "t"
        return s.con.blobopen(table, "a", 1, name=name).read()

    CASES[f"open_in_{number}"] = CASES.pop("opening_in")


@case
def not_a_sequence(s: Subject) -> Any:
    blob = opened(s)
    actions = [lambda: iter(blob), lambda: 1 in blob, lambda: reversed(blob), lambda: blob + blob, lambda: blob * 2]
    return [s.attempt(action) for action in [*actions, lambda: len(blob), lambda: bool(blob), lambda: list(blob)]]


@case
def empty(s: Subject) -> Any:
    blob = opened(s, 2)
    actions = [lambda: blob[0], lambda: blob[:], blob.read, lambda: blob.write(b""), lambda: blob.write(b"x")]
    return [s.attempt(action) for action in [*actions, lambda: blob.seek(0, 2), lambda: bool(blob), lambda: len(blob)]]


@case
def text_is_bytes(s: Subject) -> Any:
    blob = opened(s, 3)
    blob.seek(2)
    blob.write("é".encode())
    return len(blob), blob[:], s.con.execute("select a from t where rowid = 3").fetchall()


@case
def class_of_blobs(s: Subject) -> Any:
    blob = opened(s)
    made = [lambda: s.m.Blob(), lambda: s.m.Blob(s.con), lambda: type("Sub", (s.m.Blob,), {})]
    return [
        *(s.attempt(action) for action in made),
        (type(blob) is s.m.Blob, hash(blob) == hash(blob), weakref.ref(blob)() is blob, blob == opened(s)),
    ]


@case
def readonly(s: Subject) -> Any:
    blob = opened(s, readonly=True)
    seen = [s.attempt(lambda: blob.write(b"x")), s.attempt(lambda: setting(0, 1)(blob)), s.attempt(blob.read)]
    return seen, s.attempt(blob.close), s.con.execute("delete from t").rowcount


@case
def everything_on_a_closed_one(s: Subject) -> Any:
    blob = opened(s)
    blob.close()
    return uses(s, blob)


@case
def everything_on_a_closed_connection(s: Subject) -> Any:
    blob = opened(s)
    s.con.close()
    return uses(s, blob)


def uses(s: Subject, blob: Any) -> Any:
    actions: list[Callable[[], Any]] = [
        *(blob.read, lambda: blob.write(b""), lambda: blob.write(5), lambda: blob.seek(0), lambda: blob.seek("x")),
        *(blob.tell, lambda: len(blob), lambda: bool(blob), lambda: blob[0], lambda: blob["x"], lambda: blob[:]),
        *(lambda: setting(0, 300)(blob), lambda: blob.__delitem__("x"), blob.__enter__),
        *(lambda: blob.__exit__(None, None, None), blob.close, blob.close),
    ]
    return [s.attempt(action) for action in actions]


@case
def with_block(s: Subject) -> Any:
    with opened(s) as blob:
        blob.write(b"ab")
    return s.attempt(blob.read), value(s)


@case
def with_block_that_raises(s: Subject) -> Any:
    with opened(s) as blob:
        blob.write(b"ab")
        raise ZeroDivisionError("inside")


@case
def with_block_that_closes(s: Subject) -> Any:
    with opened(s) as blob:
        blob.close()


def changed(sql: str) -> Callable[[Subject], Any]:
    def run(s: Subject) -> Any:
        blob = opened(s)
        blob.seek(2)
        s.con.execute(sql)
        first = [s.attempt(lambda: len(blob)), s.attempt(lambda: blob.read(1)), s.attempt(lambda: len(blob))]
        actions: list[Callable[[], Any]] = [
            *(lambda: blob.seek(0), blob.read, lambda: blob.read(0), lambda: blob[0], lambda: blob.write(b"x")),
            *(lambda: blob.write(b""), lambda: blob[0:3], lambda: blob[0:3:2], lambda: bool(blob), blob.tell),
            *(lambda: setting(slice(0, 2), b"xy")(blob), blob.close, blob.close),
        ]
        return first, [s.attempt(action) for action in actions], value(s)

    return run


for number, sql in enumerate(
    [
        *("update t set b = 1", "update t set a = 'x'", "delete from t", "update t set rowid = 50 where rowid = 1"),
        *(
            "insert into t values(1, 2, 3)",
            "update t set b = 1 where rowid = 2",
            "replace into t(rowid, a) values(1, 'y')",
        ),
    ]
):
    CASES[f"changed_{number}"] = changed(sql)


@case
def rolled_back(s: Subject) -> Any:
    blob = opened(s)
    s.con.execute("begin")
    blob.write(b"ab")
    s.con.rollback()
    return s.attempt(lambda: blob.seek(0)), s.attempt(blob.read), value(s)


@case
def no_transaction_is_begun(s: Subject) -> Any:
    blob = opened(s)
    blob.write(b"ab")
    inside = s.con.in_transaction
    return inside, s.attempt(s.con.commit), blob.close(), s.con.in_transaction, s.con.total_changes, value(s)


@case
def commit_with_an_open_blob(s: Subject) -> Any:
    blob = opened(s)
    s.con.execute("insert into t values(1, 2, 3)")
    seen = [
        s.attempt(s.con.commit),
        s.attempt(lambda: blob.write(b"ab")),
        s.attempt(blob.close),
        s.attempt(s.con.commit),
    ]
    return seen, value(s)


@case
def drop_the_table(s: Subject) -> Any:
    blob = opened(s)
    return (
        s.attempt(lambda: s.con.execute("drop table t")),
        blob.close(),
        s.attempt(lambda: s.con.execute("drop table t")),
    )


@case
def two_on_one_value(s: Subject) -> Any:
    one = opened(s)
    two = s.con.blobopen("t", "a", 1)
    one.write(b"ab")
    return two.read(), one.tell(), two.tell(), one.close(), two.close()


@case
def foreign_key_and_index(s: Subject) -> Any:
    s.con.executescript("create table p(a unique); insert into p values('abc'); create table k(a references p(a))")
    s.con.execute("insert into k values('abc')")
    seen = [s.attempt(lambda: s.con.blobopen("p", "a", 1)), s.attempt(lambda: s.con.blobopen("k", "a", 1).read())]
    s.con.commit()
    s.con.execute("pragma foreign_keys = on")
    return seen, s.attempt(lambda: s.con.blobopen("k", "a", 1)), s.con.blobopen("k", "a", 1, readonly=True).read()


@case
def another_thread(s: Subject) -> Any:
    blob = opened(s)
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(uses(s, blob)))
    thread.start()
    thread.join()
    return seen, s.attempt(blob.read)


@case
def dropped(s: Subject) -> Any:
    blob = opened(s)
    blob.write(b"ab")
    del blob
    return value(s), s.con.execute("drop table t").fetchall()


@case
def on_a_file_for_other_connections(s: Subject) -> Any:
    path = s.folder / "x.db"
    con = s.connect(path)
    con.execute("create table t(a)")
    con.execute("insert into t values(zeroblob(100000))")
    con.commit()
    other = s.connect(path, timeout=0, isolation_level=None)
    blob = con.blobopen("t", "a", 1)
    blob.seek(99990)
    blob.write(b"end")
    refused = s.attempt(lambda: other.execute("delete from t"))
    before = other.execute("select substr(a, 99991, 3) from t").fetchall()
    blob.close()
    return refused, before, other.execute("select substr(a, 99991, 3), length(a) from t").fetchall()


@case
def locked(s: Subject) -> Any:
    path = s.folder / "x.db"
    con = s.connect(path, timeout=0)
    con.execute("create table t(a)")
    con.execute("insert into t values(zeroblob(10))")
    con.commit()
    other = s.connect(path, timeout=0, isolation_level=None)
    other.execute("begin immediate")
    seen = [s.attempt(lambda: con.blobopen("t", "a", 1)), con.blobopen("t", "a", 1, readonly=True).read()]
    other.execute("rollback")
    return seen, con.blobopen("t", "a", 1).write(b"x")
