"""WAL: wasqlite and native SQLite on the same database, from processes of their own, in every combination."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import wasqlite

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shared memory is Linux's, so far")

Connect = Callable[..., wasqlite.Connection]
MODULES = [sqlite3, wasqlite]
PAIRS = [(wasqlite, sqlite3), (sqlite3, wasqlite), (wasqlite, wasqlite)]

# Statements as lines of JSON, answers likewise.
PEER = """
import importlib, json, sys
module = importlib.import_module(sys.argv[1])
con = module.connect(sys.argv[2], isolation_level=None, timeout=float(sys.argv[3]), uri=True)
print("ready", flush=True)
for line in sys.stdin:
    sql, parameters, many = json.loads(line)
    try:
        if sql == "close":
            con.close()
            answer = None
        elif many:
            answer = con.executemany(sql, parameters).rowcount
        else:
            answer = con.execute(sql, parameters).fetchall()
    except module.Error as error:
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), flush=True)
"""


class Peer:
    """A connection in another process."""

    def __init__(self, module: ModuleType, path: object, timeout: float = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PEER, module.__name__, str(path), str(timeout)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert self.process.stdout and self.process.stdout.readline() == "ready\n"

    def send(self, sql: str, parameters: Any = (), many: bool = False) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps([sql, parameters, many]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def run(self, sql: str, parameters: Any = (), many: bool = False) -> Any:
        self.send(sql, parameters, many)
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def peers() -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def make(*arguments: Any, **keywords: Any) -> Peer:
        made.append(Peer(*arguments, **keywords))
        return made[-1]

    yield make
    for peer in made:
        peer.kill()


@pytest.fixture
def wal(tmp_path: Path) -> Path:
    """A database in WAL mode that nobody has open."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as con:
        con.execute("PRAGMA journal_mode = wal")
        con.executescript("CREATE TABLE t (a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (0, 'first')")
    return path


def files(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


def rows(peer: Peer) -> int:
    return peer.run("SELECT count(*) FROM t")[0][0]


def check(path: Path, count: int) -> None:
    """Both sides find the same in a database that nobody has open."""
    for module in MODULES:
        with closing(module.connect(path)) as con:
            assert con.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert con.execute("SELECT count(*) FROM t").fetchone() == (count,)
    assert files(path) == ["x.db"]


@pytest.mark.parametrize(("reader", "writer"), PAIRS)
def test_a_reader_keeps_its_snapshot_while_the_other_writes_and_checkpoints(
    wal: Path, peers: Callable[..., Peer], reader: ModuleType, writer: ModuleType
) -> None:
    read, write = peers(reader, wal), peers(writer, wal)
    write.run("PRAGMA synchronous = off")
    read.run("BEGIN")
    assert rows(read) == 1
    for number in range(1, 11):
        assert write.run("INSERT INTO t (b) VALUES (?)", [["x" * 3000]] * 50, many=True) == 50
        assert rows(write) == 1 + 50 * number
        busy, frames, done = write.run("PRAGMA wal_checkpoint(PASSIVE)")[0]
        assert busy == 0 and done < frames  # the reader's snapshot is in the way
        assert write.run("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 1
        assert rows(read) == 1
        assert read.run("SELECT b FROM t") == [["first"]]
        assert read.run("PRAGMA integrity_check") == [["ok"]]
    assert read.run("INSERT INTO t (b) VALUES (1)") == "OperationalError: database is locked"  # a snapshot of the past
    read.run("COMMIT")
    assert rows(read) == 501
    assert write.run("PRAGMA wal_checkpoint(TRUNCATE)") == [[0, 0, 0]]
    assert rows(read) == 501
    assert read.run("INSERT INTO t (b) VALUES ('last')") == []
    assert rows(write) == 502
    assert files(wal) == ["x.db", "x.db-shm", "x.db-wal"]
    read.run("close")
    assert files(wal) == ["x.db", "x.db-shm", "x.db-wal"]
    write.run("close")
    check(wal, 502)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_one_writer_at_a_time(wal: Path, peers: Callable[..., Peer], first: ModuleType, second: ModuleType) -> None:
    one, two = peers(first, wal), peers(second, wal)
    one.run("BEGIN IMMEDIATE")
    one.run("INSERT INTO t (b) VALUES ('one')")
    assert two.run("INSERT INTO t (b) VALUES ('two')") == "OperationalError: database is locked"
    assert rows(two) == 1
    one.run("COMMIT")
    assert two.run("INSERT INTO t (b) VALUES ('two')") == []
    assert rows(one) == 3
    two.kill()  # at rest: the survivor goes on
    assert one.run("INSERT INTO t (b) VALUES ('three')") == []
    one.run("close")
    check(wal, 4)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_waiting_writer_goes_on(wal: Path, peers: Callable[..., Peer], first: ModuleType, second: ModuleType) -> None:
    one, two = peers(first, wal), peers(second, wal, timeout=60)
    one.run("BEGIN IMMEDIATE")
    two.send("INSERT INTO t (b) VALUES ('two')")
    one.run("INSERT INTO t (b) VALUES ('one')")
    one.run("COMMIT")
    assert two.answer() == []
    assert rows(one) == 3


@pytest.mark.parametrize(("module", "other"), PAIRS)
def test_both_write_in_turn_through_a_growing_and_wrapping_log(
    wal: Path, peers: Callable[..., Peer], module: ModuleType, other: ModuleType
) -> None:
    # More frames than one region of the index has room for (4096), with automatic checkpoints off and on.
    one, two = peers(module, wal), peers(other, wal)
    for peer in (one, two):
        peer.run("PRAGMA synchronous = off")
        peer.run("PRAGMA wal_autocheckpoint = 0")
    total = 1
    for number in range(12):
        peer, witness = (one, two) if number % 2 else (two, one)
        assert peer.run("INSERT INTO t (b) VALUES (?)", [["y" * 100_000]] * 40, many=True) == 40
        total += 40
        assert rows(witness) == total
        assert witness.run("SELECT count(*) FROM t WHERE length(b) = 100000") == [[total - 1]]
    assert wal.with_name("x.db-wal").stat().st_size > 2 * 4096 * 4096
    assert wal.with_name("x.db-shm").stat().st_size > 2 * 32768
    late = peers(module, wal)  # it has to map several regions at once
    assert rows(late) == total
    for peer in (one, two):
        peer.run("PRAGMA wal_autocheckpoint = 100")
    for number in range(40):
        peer, witness = (one, two) if number % 2 else (two, one)
        peer.run("UPDATE t SET b = ? WHERE a = ?", ["z" * 20_000, number])
        assert witness.run("SELECT length(b) FROM t WHERE a = ?", [number]) == [[20_000]]
    assert two.run("PRAGMA integrity_check") == [["ok"]]
    for peer in (one, two, late):
        peer.run("close")
    check(wal, total)


SLOW = pytest.mark.slow
CHECKPOINTS = ["PASSIVE", pytest.param("FULL", marks=SLOW), pytest.param("RESTART", marks=SLOW), "TRUNCATE"]


@pytest.mark.parametrize("mode", CHECKPOINTS)
def test_checkpoints_answer_as_natives_do(tmp_path: Path, peers: Callable[..., Peer], mode: str) -> None:
    seen = []
    for module, witness in ((sqlite3, sqlite3), (wasqlite, sqlite3), (sqlite3, wasqlite), (wasqlite, wasqlite)):
        path = tmp_path / f"{module.__name__}-{witness.__name__}.db"
        one, two = peers(module, path), peers(witness, path)
        log = [one.run(sql) for sql in ("PRAGMA journal_mode = wal", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")]

        def checkpoint(one: Peer = one, log: list[Any] = log, path: Path = path) -> None:
            log.append(one.run(f"PRAGMA wal_checkpoint({mode})"))
            log.append(path.with_name(path.name + "-wal").stat().st_size)

        checkpoint()
        checkpoint()
        log.append(one.run("INSERT INTO t VALUES (?)", [["x" * 500]] * 100, many=True))
        two.run("BEGIN")
        log.append(rows(two))
        checkpoint()  # a reader of the end of the log
        one.run("INSERT INTO t VALUES (2)")
        checkpoint()  # a reader of the middle
        two.run("COMMIT")
        checkpoint()
        two.run("BEGIN IMMEDIATE")
        checkpoint()  # a writer
        two.run("ROLLBACK")
        log.append(one.run("INSERT INTO t VALUES (3)"))
        checkpoint()
        log.append(one.run("PRAGMA wal_autocheckpoint"))
        log.append(one.run("PRAGMA wal_autocheckpoint = 3"))
        log.append(one.run("INSERT INTO t VALUES (?)", [["x" * 500]] * 100, many=True))
        checkpoint()
        seen.append(log)
    assert seen[1:] == [seen[0]] * 3


@pytest.mark.parametrize(("writer", "recoverer"), PAIRS)
@pytest.mark.parametrize("shm", ["kept", "missing", "garbage"])
def test_a_left_over_log_is_recovered(
    wal: Path, tmp_path: Path, peers: Callable[..., Peer], writer: ModuleType, recoverer: ModuleType, shm: str
) -> None:
    peer = peers(writer, wal)
    peer.run("PRAGMA cache_size = 2")
    peer.run("BEGIN")
    peer.run("INSERT INTO t (b) VALUES (?)", [["x" * 1000]] * 500, many=True)
    peer.run("COMMIT")
    peer.run("BEGIN")
    peer.run("UPDATE t SET b = 'uncommitted'")  # frames of it are in the log
    peer.kill()
    index = tmp_path / "x.db-shm"
    if shm == "missing":
        index.unlink()
    elif shm == "garbage":
        index.write_bytes(b"\xa5" * index.stat().st_size)
    with closing(recoverer.connect(wal)) as con:
        assert con.execute("SELECT count(*), count(DISTINCT b) FROM t").fetchone() == (501, 2)
        assert con.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        con.execute("INSERT INTO t (b) VALUES ('after')")
        con.commit()
    check(wal, 502)


@pytest.mark.parametrize("recoverer", MODULES)
def test_a_torn_log_gives_what_was_committed_before(
    wal: Path, peers: Callable[..., Peer], recoverer: ModuleType
) -> None:
    peer = peers(wasqlite, wal)
    log = wal.with_name("x.db-wal")
    for number in range(10):
        peer.run("INSERT INTO t (b) VALUES (?)", [number])
    size = log.stat().st_size
    peer.run("INSERT INTO t (b) VALUES ('torn')")
    peer.kill()
    os.truncate(log, size + 2000)
    with closing(recoverer.connect(wal)) as con:
        assert con.execute("SELECT count(*) FROM t").fetchone() == (11,)
    check(wal, 11)


@pytest.mark.parametrize(("module", "other"), PAIRS)
def test_modes_are_switched_back_and_forth(
    wal: Path, peers: Callable[..., Peer], module: ModuleType, other: ModuleType
) -> None:
    one, two = peers(module, wal), peers(other, wal)
    total = 1
    for mode in ("delete", "wal", "truncate", "wal", "persist", "wal", "memory", "wal", "delete"):
        assert rows(two) == total
        if mode != "wal":
            # Two connections: neither can leave WAL.
            assert one.run(f"PRAGMA journal_mode = {mode}") == "OperationalError: database is locked"
            assert two.run("close") is None
        assert one.run(f"PRAGMA journal_mode = {mode}") == [[mode]]
        assert one.run("INSERT INTO t (b) VALUES (1)") == []
        total += 1
        if mode != "wal":
            assert not wal.with_name("x.db-wal").exists() and not wal.with_name("x.db-shm").exists()
            two = peers(other, wal)
        assert rows(two) == total
    assert one.run("VACUUM") == []
    assert one.run("PRAGMA journal_mode = wal") == [["wal"]]
    assert one.run("VACUUM") == []
    assert rows(two) == total
    assert two.run("VACUUM") == []
    assert rows(one) == total


@pytest.mark.parametrize(("holder", "other"), PAIRS)
def test_exclusive_mode_needs_no_shm_file(
    wal: Path, peers: Callable[..., Peer], holder: ModuleType, other: ModuleType
) -> None:
    one = peers(holder, wal)
    assert one.run("PRAGMA locking_mode = exclusive") == [["exclusive"]]
    assert one.run("INSERT INTO t (b) VALUES (1)") == []
    assert rows(one) == 2
    assert files(wal) == ["x.db", "x.db-wal"]
    two = peers(other, wal)
    assert two.run("SELECT count(*) FROM t") == "OperationalError: database is locked"
    assert one.run("PRAGMA wal_checkpoint(TRUNCATE)") == [[0, 0, 0]]
    one.kill()
    assert rows(two) == 2
    two.run("close")
    check(wal, 2)


@pytest.mark.parametrize(("holder", "other"), PAIRS)
def test_exclusive_mode_is_entered_and_left_with_a_shm_file(
    wal: Path, peers: Callable[..., Peer], holder: ModuleType, other: ModuleType
) -> None:
    one, two = peers(holder, wal), peers(other, wal)
    assert (rows(one), rows(two)) == (1, 1)
    one.run("PRAGMA locking_mode = exclusive")
    assert one.run("INSERT INTO t (b) VALUES (1)") == "OperationalError: database is locked"  # somebody is connected
    two.run("close")
    assert one.run("INSERT INTO t (b) VALUES (1)") == []
    two = peers(other, wal)
    assert two.run("INSERT INTO t (b) VALUES (2)") == "OperationalError: database is locked"
    one.run("PRAGMA locking_mode = normal")
    assert rows(one) == 2
    assert two.run("INSERT INTO t (b) VALUES (2)") == []
    assert rows(one) == 3


def uri(path: Path, query: str) -> str:
    return f"file:{path}?{query}"


@pytest.mark.parametrize("query", ["mode=ro", "immutable=1", "nolock=1", "readonly_shm=1", "mode=ro&readonly_shm=1"])
@pytest.mark.parametrize("state", ["closed", "open", "left"])
def test_special_ways_of_opening_are_natives(
    tmp_path: Path, peers: Callable[..., Peer], query: str, state: str
) -> None:
    seen = []
    for module in MODULES:
        folder = tmp_path / module.__name__
        folder.mkdir()
        path = folder / "x.db"
        writer = peers(sqlite3, path)
        for sql in ("PRAGMA journal_mode = wal", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"):
            writer.run(sql)
        if state == "closed":
            writer.run("close")
        elif state == "left":
            writer.kill()
        reader = peers(module, uri(path, query))
        log = [reader.run("SELECT * FROM t"), reader.run("INSERT INTO t VALUES (2)"), files(path)]
        log.append(reader.run("PRAGMA wal_checkpoint(TRUNCATE)"))
        if state == "open":
            log.append(writer.run("INSERT INTO t VALUES (3)"))
            log.append(reader.run("SELECT * FROM t"))
        log.append(reader.run("close"))
        log.append(files(path))
        seen.append(log)
    assert seen[0] == seen[1]


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder that is readable for everybody, while this process is nobody."""
    folder = Path(tempfile.mkdtemp())
    user = os.geteuid()
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        os.seteuid(user)
        shutil.rmtree(folder)


@pytest.mark.parametrize("state", ["closed", "open", "left"])
@pytest.mark.parametrize("folder_mode", [0o755, 0o777])
def test_files_without_write_permission(
    unprivileged: Path, peers: Callable[..., Peer], state: str, folder_mode: int
) -> None:
    seen = []
    for module in MODULES:
        folder = unprivileged / module.__name__
        folder.mkdir()
        path = folder / "x.db"
        writer = peers(sqlite3, path)
        for sql in ("PRAGMA journal_mode = wal", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"):
            writer.run(sql)
        if state == "closed":
            writer.run("close")
        elif state == "left":
            writer.kill()
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(folder_mode)
        log: list[Any] = []
        if os.geteuid() == 0:
            os.seteuid(65534)
        with closing(module.connect(path, isolation_level=None, timeout=0)) as con:
            for sql in ("SELECT * FROM t", "INSERT INTO t VALUES (2)", "SELECT * FROM t"):
                try:
                    log.append(con.execute(sql).fetchall())
                except module.Error as error:
                    log.append((type(error).__name__, str(error), error.sqlite_errorname))
                if state == "open":
                    log.append(writer.run("INSERT INTO t VALUES (3)"))
            log.append(files(path))
        log.append(files(path))
        if os.getuid() == 0:
            os.seteuid(0)
        writer.kill()
        seen.append(log)
    assert seen[0] == seen[1]


def test_the_files_get_the_permissions_of_the_database(wal: Path, connect: Connect) -> None:
    wal.chmod(0o660)
    con = connect(wal)
    con.execute("SELECT * FROM t").fetchall()
    con.execute("INSERT INTO t (b) VALUES (1)")
    con.commit()
    for suffix in ("-wal", "-shm"):
        assert wal.with_name("x.db" + suffix).stat().st_mode & 0o777 == 0o660


def test_a_link_in_place_of_the_shm_file_is_not_followed(wal: Path, connect: Connect) -> None:
    target = wal.with_name("target")
    target.write_bytes(b"precious")
    wal.with_name("x.db-shm").symlink_to(target)
    outcome = []
    for module in MODULES:
        with closing(module.connect(wal)) as con, pytest.raises(module.OperationalError) as caught:
            con.execute("SELECT * FROM t")
        outcome.append((str(caught.value), caught.value.sqlite_errorname))
    assert outcome[0] == outcome[1]
    assert target.read_bytes() == b"precious"


def test_a_database_behind_a_link_has_its_files_beside_itself(wal: Path, tmp_path: Path, connect: Connect) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "link.db").symlink_to(wal)
    con = connect(folder / "link.db")
    con.execute("INSERT INTO t (b) VALUES (1)")
    con.commit()
    assert files(folder / "link.db") == ["link.db"]
    with closing(sqlite3.connect(wal)) as native:
        assert native.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_several_connections_of_one_process(wal: Path, connect: Connect) -> None:
    cons = [connect(wal, isolation_level=None) for _ in range(5)]
    with closing(sqlite3.connect(wal, isolation_level=None)) as native:
        for number, con in enumerate([*cons, native]):
            con.execute("INSERT INTO t (b) VALUES (?)", (number,))
            for other in [*cons, native]:
                assert other.execute("SELECT count(*) FROM t").fetchone() == (number + 2,)
        cons[0].execute("BEGIN IMMEDIATE")
        native.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            native.execute("INSERT INTO t (b) VALUES (1)")
    cons[0].execute("COMMIT")
    for con in cons:
        con.execute("INSERT INTO t (b) VALUES (1)")
        con.close()
    check(wal, 12)


FULL_DISK = """
import importlib, resource, sys
module = importlib.import_module(sys.argv[1])
con = module.connect(sys.argv[2], isolation_level=None)
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, limit[1]))
try:
    con.execute("SELECT count(*) FROM t")
except module.OperationalError as error:
    print(error, error.sqlite_errorname)
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
con.execute("INSERT INTO t (b) VALUES (1)")
print(con.execute("SELECT count(*) FROM t").fetchone())
con.close()
"""


def test_a_shm_file_that_cannot_be_extended_is_an_error_not_a_crash(wal: Path) -> None:
    seen = []
    for module in MODULES:
        command = [sys.executable, "-c", FULL_DISK, module.__name__, str(wal)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        seen.append(subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout)
    assert seen[0] == "disk I/O error SQLITE_IOERR_SHMSIZE\n(2,)\n"
    assert seen[1] == seen[0].replace("2", "3")
    check(wal, 3)


def shared_mappings(path: Path) -> int:
    return Path("/proc/self/maps").read_text().count(f"{path}-shm")


def test_a_closed_connection_leaves_nothing_mapped_and_open(wal: Path) -> None:
    def descriptors() -> int:
        return sum(str(wal) in os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir())

    for _ in range(20):
        with closing(wasqlite.connect(wal)) as con:
            con.execute("SELECT count(*) FROM t").fetchone()
            assert (shared_mappings(wal), descriptors()) == (1, 3)
            # Out of WAL and into it again: the memory goes back to the heap and is taken from it.
            for mode in ("delete", "wal"):
                assert con.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)
            con.execute("SELECT count(*) FROM t").fetchone()
        assert (shared_mappings(wal), descriptors()) == (0, 0)
    check(wal, 1)


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_a_dropped_connection_lets_go_of_everything(wal: Path, peers: Callable[..., Peer]) -> None:
    con = wasqlite.connect(wal, isolation_level=None)
    con.execute("BEGIN IMMEDIATE")
    con.execute("INSERT INTO t (b) VALUES ('lost')")
    other = peers(sqlite3, wal)
    assert other.run("INSERT INTO t (b) VALUES (1)") == "OperationalError: database is locked"
    del con
    assert shared_mappings(wal) == 0
    assert other.run("INSERT INTO t (b) VALUES (1)") == []
    assert rows(other) == 2
    other.run("close")
    check(wal, 2)


def test_a_poisoned_connection_lets_go_of_everything(wal: Path, peers: Callable[..., Peer]) -> None:
    con = wasqlite.connect(wal, isolation_level=None)
    con.execute("BEGIN IMMEDIATE")
    con.execute("INSERT INTO t (b) VALUES ('lost')")
    database = con._database
    with pytest.raises(wasqlite.bridge.BridgeError):
        database.instance.function("wsq_finalize")(0xFFFF_FF00)
    assert database.instance.dead is not None
    with pytest.raises(wasqlite.InternalError):
        con.execute("SELECT 1")
    other = peers(sqlite3, wal)
    assert other.run("INSERT INTO t (b) VALUES (1)") == "OperationalError: database is locked"
    con.close()
    assert shared_mappings(wal) == 0
    assert other.run("INSERT INTO t (b) VALUES (1)") == []
    assert rows(other) == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_harms_nothing(wal: Path, peers: Callable[..., Peer], connect: Connect) -> None:
    con = connect(wal, isolation_level=None)
    con.execute("BEGIN IMMEDIATE")
    con.execute("INSERT INTO t (b) VALUES (1)")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if shared_mappings(wal) == 0 else 2
            con.execute("SELECT 1")
            status = 3
        except wasqlite.ProgrammingError:
            con.close()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    other = peers(sqlite3, wal)
    assert other.run("INSERT INTO t (b) VALUES (2)") == "OperationalError: database is locked"
    con.execute("COMMIT")
    assert rows(other) == 2


def test_closing_leaves_the_locks_of_native_in_this_process_alone(wal: Path, peers: Callable[..., Peer]) -> None:
    with closing(sqlite3.connect(wal, isolation_level=None)) as native:
        native.execute("BEGIN IMMEDIATE")
        native.execute("INSERT INTO t (b) VALUES (1)")
        with closing(wasqlite.connect(wal)) as con:
            assert con.execute("SELECT count(*) FROM t").fetchone() == (1,)
        other = peers(wasqlite, wal)
        assert other.run("INSERT INTO t (b) VALUES (2)") == "OperationalError: database is locked"
        # Neither the WAL nor the lock on the database is the other's alone.
        assert other.run("close") is None
        assert files(wal) == ["x.db", "x.db-shm", "x.db-wal"]
        native.execute("COMMIT")
    check(wal, 2)


def test_attached_databases_each_have_their_own_log(wal: Path, tmp_path: Path, connect: Connect) -> None:
    con = connect(wal, isolation_level=None)
    con.execute("ATTACH ? AS other", (str(tmp_path / "y.db"),))
    assert con.execute("PRAGMA other.journal_mode = wal").fetchone() == ("wal",)
    con.execute("CREATE TABLE other.u (a)")
    with con:
        con.execute("BEGIN")
        con.execute("INSERT INTO t (b) VALUES (1)")
        con.execute("INSERT INTO u VALUES (1)")
    assert shared_mappings(wal) == shared_mappings(tmp_path / "y.db") == 1
    con.execute("DETACH other")
    assert shared_mappings(tmp_path / "y.db") == 0
    assert not (tmp_path / "y.db-wal").exists()


@pytest.mark.parametrize("page", [65536, 131072])
def test_larger_pages_of_the_host(wal: Path, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    # As on hosts with such pages; beyond 64 KiB there is no shared memory.
    monkeypatch.setattr("wasqlite.bridge.mapping.page_size", lambda: page)
    with closing(wasqlite.connect(wal, isolation_level=None)) as con:
        if page > 65536:
            with pytest.raises(wasqlite.OperationalError, match="WAL mode"):
                con.execute("SELECT * FROM t")
            return
        con.execute("PRAGMA wal_autocheckpoint = 0")
        con.execute("BEGIN")
        con.executemany("INSERT INTO t (b) VALUES (?)", [("x" * 4000,)] * 5000)
        con.execute("COMMIT")
        assert wal.with_name("x.db-shm").stat().st_size % page == 0
        with closing(sqlite3.connect(wal)) as native:
            assert native.execute("SELECT count(*) FROM t").fetchone() == (5001,)
    check(wal, 5001)
