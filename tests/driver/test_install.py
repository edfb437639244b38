"""``wasqlite.install``: each case in a process of its own, as it changes what the whole process imports."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


def run(program: str, folder: Path | None = None) -> None:
    """The program must end without an error, and print nothing."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ},
        timeout=120,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_import_sqlite3_finds_wasqlite() -> None:
    run("""
        import wasqlite
        wasqlite.install()
        import sqlite3
        import sqlite3.dbapi2
        import sqlite3.dump
        from sqlite3 import dbapi2, connect
        import _sqlite3
        assert sqlite3 is wasqlite and _sqlite3 is wasqlite
        assert sqlite3.dbapi2 is dbapi2 is wasqlite.dbapi2
        assert connect is wasqlite.connect
        con = connect(":memory:")
        assert type(con).__module__ == "wasqlite"
        con.close()
        import sqlite3.__main__
        assert sqlite3.__main__.main.__module__ == "wasqlite.cli"
    """)


def test_native_sqlite3_is_never_loaded() -> None:
    run("""
        import sys
        import wasqlite
        wasqlite.install()
        import sqlite3
        con = sqlite3.connect(":memory:")
        con.row_factory = sqlite3.Row
        assert con.execute("select 1 as a").fetchone()["a"] == 1
        con.close()
        assert not [m for m in list(sys.modules.values()) if "_sqlite3" in (getattr(m, "__file__", None) or "")]
    """)


def test_libraries_use_it(tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text(
        "import sqlite3\nfrom sqlite3 import OperationalError\n"
        "def ask(): con = sqlite3.connect(':memory:'); return con.execute('select sqlite_version()').fetchone()[0]\n"
    )
    run(
        """
        import wasqlite
        wasqlite.install()
        import library
        assert library.ask() == wasqlite.sqlite_version
        assert library.OperationalError is wasqlite.OperationalError
        """
        if sys.version_info < (3, 13)
        else """
        import gc, warnings
        import wasqlite
        wasqlite.install()
        import library
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            assert library.ask() == wasqlite.sqlite_version
            gc.collect()
        assert library.OperationalError is wasqlite.OperationalError
        """,
        tmp_path,
    )


@pytest.mark.skipif(sys.version_info < (3, 13), reason="dbm.sqlite3 is not there")
def test_dbm_sqlite3_works_on_it(tmp_path: Path) -> None:
    run(
        """
        import wasqlite
        wasqlite.install()
        import dbm.sqlite3
        assert dbm.sqlite3.sqlite3 is wasqlite
        with dbm.sqlite3.open("x.db", "c") as db:
            db["key"] = "value"
            db[b"other"] = b"bytes"
            assert sorted(db.keys()) == [b"key", b"other"] and db["key"] == b"value" and len(db) == 2
            del db["other"]
        with dbm.sqlite3.open("x.db", "r") as db:
            assert dict(db) == {b"key": b"value"}
        """,
        tmp_path,
    )


def test_uninstall_brings_the_former_modules_back() -> None:
    run("""
        import sys, sqlite3, sqlite3.dump
        native, native_c, native_dump = sqlite3, sys.modules["_sqlite3"], sqlite3.dump
        import wasqlite
        wasqlite.install()
        import sqlite3
        assert sqlite3 is wasqlite
        wasqlite.uninstall()
        import sqlite3, sqlite3.dbapi2, _sqlite3
        assert sqlite3 is native and sqlite3.dbapi2 is native.dbapi2 and _sqlite3 is native_c
        assert sys.modules["sqlite3.dump"] is native_dump
        con = sqlite3.connect(":memory:")
        assert list(con.iterdump())
        con.close()
    """)


def test_uninstall_without_former_modules() -> None:
    run("""
        import sys
        import wasqlite
        wasqlite.install()
        wasqlite.uninstall()
        assert not [name for name in sys.modules if "sqlite3" in name and "wasqlite" not in name]
        import sqlite3
        assert sqlite3 is not wasqlite
        wasqlite.uninstall()  # once more: nothing happens
        import sqlite3 as again
        assert again is sqlite3
    """)


def test_context_manager_and_nesting() -> None:
    run("""
        import wasqlite
        with wasqlite.install():
            import sqlite3
            assert sqlite3 is wasqlite
            with wasqlite.install():
                import sqlite3
                assert sqlite3 is wasqlite
            import sqlite3
            assert sqlite3 is wasqlite
        import sqlite3
        assert sqlite3 is not wasqlite
        try:
            with wasqlite.install():
                raise KeyError
        except KeyError:
            pass
        import sqlite3
        assert sqlite3 is not wasqlite
    """)


def test_open_native_connections_are_in_the_way() -> None:
    run("""
        import sqlite3
        import wasqlite
        class Sub(sqlite3.Connection):
            pass
        first, second = sqlite3.connect(":memory:"), sqlite3.connect(":memory:", factory=Sub)
        try:
            wasqlite.install()
        except RuntimeError as error:
            assert "2 connection(s) of the standard library's module are open" in str(error), error
        else:
            raise AssertionError
        import sqlite3 as still
        assert still is sqlite3
        first.close()
        second.close()
        wasqlite.install()
        import sqlite3 as then
        assert then is wasqlite
    """)


def test_native_connection_of_another_thread_and_garbage() -> None:
    run("""
        import sqlite3, threading
        import wasqlite
        found = []
        thread = threading.Thread(target=lambda: found.append(sqlite3.connect(":memory:", check_same_thread=False)))
        thread.start()
        thread.join()
        try:
            wasqlite.install()
        except RuntimeError:
            pass
        else:
            raise AssertionError
        found.pop().close()
        class Holder:
            pass
        holder = Holder()
        holder.itself = holder
        holder.connection = sqlite3.Connection.__new__(sqlite3.Connection)  # never opened
        del holder
        wasqlite.install()
    """)


def test_connection_that_only_a_cycle_keeps() -> None:
    run("""
        import gc, sqlite3, warnings
        import wasqlite
        warnings.simplefilter("ignore", ResourceWarning)
        gc.disable()
        class Holder:
            pass
        holder = Holder()
        holder.itself = holder
        holder.connection = sqlite3.connect(":memory:")
        del holder
        wasqlite.install()
    """)


def test_what_others_put_there_stays() -> None:
    run("""
        import sys, types
        import wasqlite
        wasqlite.install()
        other = sys.modules["sqlite3"] = types.ModuleType("sqlite3")
        wasqlite.uninstall()
        assert sys.modules["sqlite3"] is other and "_sqlite3" not in sys.modules
    """)
