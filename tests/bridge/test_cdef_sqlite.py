"""SQLite through its own header: a large C library as anybody's, with the stdlib's module as the oracle."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from wasqlite.bridge import InstancePoisoned, Library
from wasqlite.bridge.builder import BuildError, Configuration, build

pytestmark = pytest.mark.slow

# Nothing of an operating system: the one file system that it has is made of callbacks.
OS = '#include "sqlite3.h"\nint sqlite3_os_init(void) { return 0; }\nint sqlite3_os_end(void) { return 0; }\n'
DEFINES = ("SQLITE_OS_OTHER", "SQLITE_THREADSAFE=0", "SQLITE_OMIT_LOAD_EXTENSION", "SQLITE_OMIT_DESERIALIZE")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    sys.path.append(str(Path(__file__).resolve().parents[2] / "build"))
    try:
        import fetch_sqlite
    finally:
        sys.path.pop()
    folder = tmp_path_factory.mktemp("sqlite")
    try:
        for name in ("sqlite3.c", "sqlite3.h"):
            shutil.copy(fetch_sqlite.fetch() / name, folder)
        (folder / "os.c").write_text(OS)
        built = build(
            Configuration(
                root=folder,
                name="sqlite",
                sources=("*.c",),
                headers=("sqlite3.h",),
                constants=("SQLITE_*",),
                defines=DEFINES,
            )
        )
    except BuildError as error:
        pytest.skip(str(error))
    return Library.load(built.wasm)


class Database:
    """A database in memory, by the C interface."""

    def __init__(self, guest):
        self.guest = guest
        self.lib = lib = guest.lib
        self.constants = guest.library.constants
        self.kept = [guest.new("char[]", b"python")]
        self.kept.append(guest.callback("int (sqlite3_vfs *, int, char *)", self.randomness, error=0))
        self.kept.append(
            guest.new("sqlite3_vfs *", {"iVersion": 1, "szOsFile": 8, "mxPathname": 64, "zName": self.kept[0]})
        )
        self.kept[2].xRandomness = self.kept[1]
        assert lib.sqlite3_vfs_register(self.kept[2], 1) == self.constants.SQLITE_OK
        with guest.new("sqlite3 **") as handle:
            assert lib.sqlite3_open(":memory:", handle) == self.constants.SQLITE_OK
            self.db = handle[0]

    @staticmethod
    def randomness(vfs, size, to):
        to.write(bytes(range(size)))
        return size

    def rows(self, sql, *values):
        """What one statement returns."""
        guest, lib, known = self.guest, self.lib, self.constants
        found = []
        with guest.new("sqlite3_stmt **") as prepared:
            if lib.sqlite3_prepare_v2(self.db, sql, -1, prepared, None) != known.SQLITE_OK:
                raise sqlite3.OperationalError(lib.sqlite3_errmsg(self.db).string().decode())
            statement = prepared[0]
        transient = guest.cast("sqlite3_destructor_type", -1)
        try:
            for position, value in enumerate(values, 1):
                if isinstance(value, float):
                    lib.sqlite3_bind_double(statement, position, value)
                elif isinstance(value, int):
                    lib.sqlite3_bind_int64(statement, position, value)
                elif isinstance(value, str):
                    lib.sqlite3_bind_text(statement, position, value, -1, transient)
                elif value is not None:
                    lib.sqlite3_bind_blob64(statement, position, value, len(value), transient)
            while lib.sqlite3_step(statement) == known.SQLITE_ROW:
                found.append(tuple(self.column(statement, i) for i in range(lib.sqlite3_column_count(statement))))
        finally:
            lib.sqlite3_finalize(statement)
        return found

    def column(self, statement, i):
        lib, known = self.lib, self.constants
        kind = lib.sqlite3_column_type(statement, i)
        if kind == known.SQLITE_INTEGER:
            return lib.sqlite3_column_int64(statement, i)
        if kind == known.SQLITE_FLOAT:
            return lib.sqlite3_column_double(statement, i)
        size = lib.sqlite3_column_bytes(statement, i)
        if kind == known.SQLITE_TEXT:
            return lib.sqlite3_column_text(statement, i).bytes(size).decode()
        return lib.sqlite3_column_blob(statement, i).bytes(size) if kind == known.SQLITE_BLOB else None


@pytest.fixture
def guest(library):
    with library.open() as instance:
        yield instance


@pytest.fixture
def database(guest):
    return Database(guest)


@pytest.fixture
def native():
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def test_every_declared_function_fits_the_module(guest, library):
    for name in library.layout.functions:
        assert callable(getattr(guest.lib, name))
    assert len(library.layout.functions) > 250


def test_statements_are_those_of_the_stdlib(database, native):
    native.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b, c TEXT)")
    database.rows("CREATE TABLE t(a INTEGER PRIMARY KEY, b, c TEXT)")
    for values in ((2**63 - 1, 0.5, "text"), (-5, b"\0\1", "hé€"), (None, None, ""), (7, -1e300, None)):
        native.execute("INSERT INTO t VALUES (?, ?, ?)", values)
        database.rows("INSERT INTO t VALUES (?, ?, ?)", *values)
    for sql in (
        "SELECT b, c FROM t WHERE a < 100 ORDER BY c",
        "SELECT typeof(a), typeof(b), typeof(c) FROM t ORDER BY b, c",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT sum(i), avg(i) FROM n",
    ):
        assert database.rows(sql) == native.execute(sql).fetchall()


def test_errors_have_the_same_text(database, native):
    for sql in ("SELECT * FROM missing", "SELEC 1", "SELECT nothing(1)"):
        with pytest.raises(sqlite3.OperationalError) as theirs:
            native.execute(sql)
        with pytest.raises(sqlite3.OperationalError) as ours:
            database.rows(sql)
        assert str(ours.value) == str(theirs.value)


def test_python_functions_in_sql(database, native):
    guest, lib = database.guest, database.lib

    def total(context, count, values):
        lib.sqlite3_result_int64(context, sum(lib.sqlite3_value_int64(values[i]) for i in range(count)))

    native.create_function("total_of", -1, lambda *values: sum(values))
    call = guest.callback("void (sqlite3_context *, int, sqlite3_value **)", total)
    utf8 = database.constants.SQLITE_UTF8
    assert lib.sqlite3_create_function(database.db, "total_of", -1, utf8, None, call, None, None) == 0
    for sql in ("SELECT total_of(1, 2, 3)", "SELECT total_of()", "SELECT total_of(-9223372036854775808, total_of(5))"):
        assert database.rows(sql) == native.execute(sql).fetchall()


def test_exec_calls_back_with_arrays_of_text(database):
    guest, lib = database.guest, database.lib
    rows = []

    def row(data, count, values, names):
        assert guest.from_handle(data) is rows
        rows.append({names[i].string(): values[i].string() if values[i] else None for i in range(count)})
        return 0

    with guest.callback("int (void *, int, char **, char **)", row, error=1) as call, guest.handle(rows) as data:
        assert lib.sqlite3_exec(database.db, "SELECT 1 AS a, NULL AS b; SELECT 'x' AS c", call, data, None) == 0
    assert rows == [{b"a": b"1", b"b": None}, {b"c": b"x"}]


def test_an_exception_in_a_row_ends_the_statement(database):
    def fail(data, count, values, names):
        raise KeyError(count)

    call = database.guest.callback("int (void *, int, char **, char **)", fail, error=1)
    with pytest.raises(KeyError):
        database.lib.sqlite3_exec(database.db, "SELECT 1, 2", call, None, None)
    assert database.rows("SELECT 1") == [(1,)]


def test_variadic_formatting(database):
    guest, lib = database.guest, database.lib
    made = lib.sqlite3_mprintf("%d|%s|%Q|%.3f|%lld", 5, "text", "it's", 2.5, guest.cast("sqlite3_int64", 2**40))
    assert made.string() == b"5|text|'it''s'|2.500|1099511627776"
    lib.sqlite3_free(made)


def test_a_progress_handler_interrupts(database):
    calls = []
    stop = database.guest.callback("int (void *)", lambda data: int(calls.append(1) or len(calls) >= 3), error=1)
    database.lib.sqlite3_progress_handler(database.db, 1000, stop, None)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    assert database.rows(endless) == []
    assert len(calls) == 3


def test_a_misuse_poisons_one_database_only(library):
    with library.open() as first, library.open() as second:
        broken, whole = Database(first), Database(second)
        with pytest.raises(Exception, match=r"sqlite3_|memory|unreachable"):
            for address in (1, 0x7FFF_FFF0, 0xFFFF_FFF0):
                first.lib.sqlite3_column_count(first.cast("sqlite3_stmt *", address))
                first.lib.sqlite3_step(first.cast("sqlite3_stmt *", address))
        assert isinstance(first.dead, InstancePoisoned)
        with pytest.raises(InstancePoisoned):
            broken.rows("SELECT 1")
        assert whole.rows("SELECT 1") == [(1,)]
