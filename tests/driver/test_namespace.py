"""What is in the module: the names of the running Python's ``sqlite3``, at the same places, with the same warnings."""

from __future__ import annotations

import inspect
import os
import sqlite3
import sqlite3.dbapi2
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from oracle import Case, Subject, both

import wasqlite
import wasqlite.dbapi2
import wasqlite.dump

SUBMODULES = {"dbapi2", "dump"}  # there when somebody has imported them
# There is no dynamic linking inside the sandbox.
OTHER_METHODS = {"enable_load_extension", "load_extension"}
MODULES = [(sqlite3, wasqlite), (sqlite3.dbapi2, wasqlite.dbapi2)]


def star(name: str) -> set[str]:
    namespace: dict[str, Any] = {}
    exec(f"from {name} import *", namespace)
    return {key for key in namespace if not key.startswith("__")}


@pytest.mark.parametrize(("theirs", "ours"), MODULES)
def test_every_name_is_there(theirs: Any, ours: Any) -> None:
    expected = {name for name in dir(theirs) if not name.startswith("_")} - SUBMODULES
    assert not [name for name in expected if not hasattr(ours, name)]
    assert type(wasqlite.dbapi2) is type(sqlite3.dbapi2)


@pytest.mark.parametrize(("theirs", "ours"), MODULES)
def test_star_import_brings_the_same_names(theirs: Any, ours: Any) -> None:
    assert star(theirs.__name__) - SUBMODULES <= star(ours.__name__)


def test_constants_have_the_same_values() -> None:
    # Newer results have been added to SQLite since; none has changed.
    for name in dir(sqlite3):
        if name.isupper():
            assert getattr(wasqlite, name) == getattr(sqlite3, name), name


@pytest.mark.parametrize("name", ["apilevel", "paramstyle", "Binary", "Date", "Time", "Timestamp", "datetime", "time"])
def test_plain_values_are_the_same(name: str) -> None:
    assert getattr(wasqlite, name) == getattr(sqlite3, name) == getattr(wasqlite.dbapi2, name)


@pytest.mark.parametrize("name", ["Connection", "Cursor", "Row", "PrepareProtocol"])
def test_classes_have_the_same_members(name: str) -> None:
    ours, theirs = getattr(wasqlite, name), getattr(sqlite3, name)
    missing = set(dir(theirs)) - set(dir(ours)) - {"__text_signature__"}
    assert missing <= OTHER_METHODS


def test_dbapi2_has_the_objects_themselves() -> None:
    for name in ("connect", "Connection", "Cursor", "Row", "Error", "adapters", "converters", "register_adapter"):
        assert getattr(wasqlite.dbapi2, name) is getattr(wasqlite, name)


def test_submodules_are_found_as_attributes() -> None:
    program = "import wasqlite; wasqlite.dbapi2.connect(':memory:').close(); print(wasqlite.dbapi2.__name__)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ})
    assert (result.stdout, result.stderr) == ("wasqlite.dbapi2\n", "")


def getting(module: Any, name: str) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = getattr(module, name)
        except AttributeError:
            value = AttributeError
    return value, [(w.category, Path(w.filename).name) for w in caught]


@pytest.mark.parametrize("name", ["version", "version_info", "OptimizedUnicode", "no_such_name"])
@pytest.mark.parametrize(("theirs", "ours"), MODULES)
def test_old_names_come_with_the_same_warnings(theirs: Any, ours: Any, name: str) -> None:
    if name == "OptimizedUnicode" and theirs is sqlite3.dbapi2:
        pytest.skip("never was there")
    assert getting(ours, name) == getting(theirs, name)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="gone in Python 3.12")
def test_enable_shared_cache_warns() -> None:
    with pytest.warns(DeprecationWarning, match="enable_shared_cache is deprecated") as caught:
        wasqlite.enable_shared_cache(1)  # type: ignore[attr-defined]
    assert caught[0].filename == __file__


CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


# Not "select 1; -- x", which is complete for SQLite 3.40 and not for 3.54.
TEXTS: list[Any] = [
    *(
        "",
        ";",
        "select 1",
        "select 1;",
        "select ';",
        "select ';';",
        "create trigger t begin select 1;",
        "/* ; ",
        "-- ;",
    ),
    *("create trigger t after insert on x begin select 1; end;", "select 1 /* x */;", "ä;", "x;y"),
    *("a\0;", "\ud800;", 1, None, b"select 1;"),
]
for number, text in enumerate(TEXTS):
    CASES[f"complete_{number}"] = lambda s, t=text: (s.m.complete_statement(t), s.m.complete_statement(statement=t))

CALLS: list[Any] = [
    *("select 1", "", "-- x", "select 1; select 2", "sel", "select * from nowhere", "select 1\0", "\ud800", 1, None),
    *(b"select 1", "select ?, :a", "create table t(a)", "x" * 2_000_000),
]
for number, sql in enumerate(CALLS):
    CASES[f"call_{number}"] = lambda s, q=sql: (type(s.con(q)).__name__, s.con.total_changes)


@case
def call_does_not_execute(s: Subject) -> Any:
    s.con("create table t(a)")
    return s.con.execute("select count(*) from sqlite_master").fetchall()


@case
def call_of_a_closed_connection(s: Subject) -> Any:
    s.con.close()
    return s.attempt(lambda: s.con("select 1")), s.attempt(lambda: s.con())


@case
def call_with_a_limit(s: Subject) -> Any:
    s.con.execute("select * from sqlite_master")  # or SQLite 3.54.1 finds its own schema too long, later
    s.con.setlimit(s.m.SQLITE_LIMIT_SQL_LENGTH, 10)
    return s.attempt(lambda: s.con("select 123456")), type(s.con("select 1")).__name__


@case
def call_without_init(s: Subject) -> Any:
    return s.attempt(lambda: s.m.Connection.__new__(s.m.Connection)("select 1"))


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    expected, seen = both(CASES[name], tmp_path)
    assert seen == expected


def test_statements_cannot_be_made(con: wasqlite.Connection) -> None:
    kind = type(con("select 1"))
    assert (kind.__module__, kind.__name__) == ("wasqlite", "Statement")
    with pytest.raises(TypeError, match=r"cannot create 'wasqlite\.Statement' instances"):
        kind()


def test_a_connection_has_the_signature_of_the_stdlibs(con: wasqlite.Connection) -> None:
    assert str(inspect.signature(con)) == "(sql, /)"


def test_complete_statement_in_many_threads_and_after_a_fork() -> None:
    def ask(found: list[bool]) -> None:
        found.extend(wasqlite.complete_statement(f"select {i}" + ";" * (i % 2)) for i in range(200))

    seen: list[list[bool]] = [[] for _ in range(4)]
    threads = [threading.Thread(target=ask, args=(found,)) for found in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [[False, True] * 100] * 4
    if hasattr(os, "fork"):
        program = (
            "import os, wasqlite\n"
            "assert wasqlite.complete_statement(';')\n"
            "pid = os.fork()\n"
            "assert wasqlite.complete_statement(';') and not wasqlite.complete_statement('x')\n"
            "if not pid: os._exit(7)\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        )
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (result.stdout, result.stderr) == ("7\n", "")


def test_complete_statement_is_one_guest_call(crossings: Any) -> None:
    check: Callable[[str], bool] = wasqlite.complete_statement
    check(";")
    # Calls made by an instance from before are not counted: at most these three.
    assert crossings.of(lambda: [check(";"), check(";"), check(";")]) <= 3
