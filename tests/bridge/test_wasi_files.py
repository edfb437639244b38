"""WASI file functions on real files, called as a guest would, over a plain buffer as guest memory."""

from __future__ import annotations

import errno as host_errno
import os
import shutil
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi import Preopen, WasiFiles, errno, resolve
from wasqlite.bridge.wasi.descriptors import MAX_DESCRIPTORS

READ, WRITE, ALLOCATE, SET_SIZE, ALL = 1 << 1, 1 << 6, 1 << 8, 1 << 22, (1 << 30) - 1
CREAT, DIRECTORY, EXCL, TRUNC = 1, 2, 4, 8
SIZE = 1 << 16
PATH, IOVS, OUT, DATA = 0, 8192, 16384, 20000


class Guest:
    """Calls the functions by name, with strings put into memory first."""

    def __init__(self, preopens: dict[int, bytes | Preopen], **options: object) -> None:
        self.memory = Memory.over(bytearray(SIZE))
        self.files = WasiFiles(self.memory, preopens, **options)  # type: ignore[arg-type]
        self.functions = {function.name: function for function in self.files.functions()}

    def call(self, function: str, *arguments: int) -> int:
        assert len(arguments) == len(self.functions[function].params)
        result = self.functions[function].call(*arguments)
        assert isinstance(result, int)
        return result

    def path(self, path: bytes, at: int = PATH) -> tuple[int, int]:
        self.memory.write(at, path)
        return at, len(path)

    def open(self, path: bytes, oflags: int = 0, rights: int = ALL, *, fd: int = 3, **more: int) -> int:
        """The descriptor, or minus the errno."""
        lookup, fdflags = more.get("lookup", 1), more.get("fdflags", 0)
        code = self.call("path_open", fd, lookup, *self.path(path), oflags, rights, ALL, fdflags, OUT)
        return -code if code else self.memory.read_u32(OUT)

    def iov(self, *pieces: tuple[int, int]) -> tuple[int, int]:
        self.memory.write(IOVS, b"".join(struct.pack("<II", *piece) for piece in pieces))
        return IOVS, len(pieces)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        self.memory.write(DATA, data)
        return self.call("fd_pwrite", fd, *self.iov((DATA, len(data))), offset, OUT)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        assert self.call("fd_pread", fd, *self.iov((DATA, size)), offset, OUT) == 0
        return self.memory.read(DATA, self.memory.read_u32(OUT))

    def stat(self, fd: int, path: bytes, lookup: int = 1) -> int:
        return self.call("path_filestat_get", fd, lookup, *self.path(path), OUT)


@pytest.fixture(params=["root", "confined"])
def guest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guest]:
    """A guest whose descriptor 3 is a directory below "/", where the kernel resolves, or a preopened one."""
    base = tmp_path / "base"
    base.mkdir()
    if request.param == "confined":
        made = Guest({3: bytes(base)})
    else:
        made = Guest({3: b"/"})
        fd = made.open(bytes(base)[1:], DIRECTORY, READ)
        table = made.files._table
        table.entries[3], table.hosts[3] = table.entries.pop(fd), table.hosts.pop(fd)
    yield made
    made.files.close()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "base"


def test_written_bytes_are_read_back_and_are_in_the_file(guest: Guest, base: Path) -> None:
    fd = guest.open(b"f", CREAT)
    assert guest.pwrite(fd, b"hello", 3) == 0
    assert guest.memory.read_u32(OUT) == 5
    assert guest.pread(fd, 100, 3) == b"hello"
    assert (base / "f").read_bytes() == b"\0\0\0hello"


def test_a_read_beyond_the_end_is_short(guest: Guest, base: Path) -> None:
    (base / "f").write_bytes(b"abc")
    fd = guest.open(b"f")
    assert guest.pread(fd, 10, 1) == b"bc"
    assert guest.pread(fd, 10, 99) == b""


def test_several_vectors_are_filled_in_order(guest: Guest, base: Path) -> None:
    (base / "f").write_bytes(b"abcdef")
    fd = guest.open(b"f")
    pieces = guest.iov((DATA, 2), (DATA + 100, 0), (DATA + 200, 3))
    assert guest.call("fd_pread", fd, *pieces, 0, OUT) == 0
    assert guest.memory.read_u32(OUT) == 5
    assert guest.memory.read(DATA, 2) + guest.memory.read(DATA + 200, 3) == b"abcde"
    assert guest.call("fd_pwrite", fd, *pieces, 6, OUT) == 0
    assert (base / "f").read_bytes() == b"abcdefabcde"


@pytest.mark.parametrize("function", ["fd_pread", "fd_pwrite"])
@pytest.mark.parametrize(
    ("iov", "count", "out"),
    [
        ((SIZE - 1, 2), 1, OUT),
        ((0xFFFF_FFFF, 1), 1, OUT),
        ((0, 0xFFFF_FFFF), 1, OUT),
        ((DATA, 4), 1, SIZE - 3),
        ((DATA, 4), 1, 0xFFFF_FFFC),
        ((SIZE - 1, 2), 2, OUT),
    ],
)
def test_addresses_outside_memory_are_faults(
    guest: Guest, function: str, iov: tuple[int, int], count: int, out: int
) -> None:
    fd = guest.open(b"f", CREAT)
    guest.iov(iov, iov)
    assert guest.call(function, fd, IOVS, count, 0, out) == errno.EFAULT


def test_iovec_arrays_outside_memory_are_faults_and_long_ones_are_refused(guest: Guest) -> None:
    fd = guest.open(b"f", CREAT)
    assert guest.call("fd_pread", fd, SIZE - 4, 1, 0, OUT) == errno.EFAULT
    assert guest.call("fd_pread", fd, 0xFFFF_FFF8, 1, 0, OUT) == errno.EFAULT
    assert guest.call("fd_pread", fd, IOVS, 1024 * 8, 0, OUT) == errno.EINVAL
    assert guest.call("fd_pread", fd, IOVS, 0xFFFF_FFFF, 0, OUT) == errno.EINVAL
    assert guest.call("fd_pread", fd, IOVS, 0, 0, OUT) == 0


def test_a_negative_offset_is_invalid(guest: Guest) -> None:
    fd = guest.open(b"f", CREAT)
    for offset in (-1, -(1 << 63)):
        assert guest.call("fd_pread", fd, *guest.iov((DATA, 4)), offset, OUT) == errno.EINVAL
        assert guest.call("fd_pwrite", fd, *guest.iov((DATA, 4), (DATA, 4)), offset, OUT) == errno.EINVAL


def test_reading_and_writing_move_the_position(guest: Guest, base: Path) -> None:
    fd = guest.open(b"f", CREAT)
    guest.memory.write(DATA, b"abcdef")
    assert guest.call("fd_write", fd, *guest.iov((DATA, 6)), OUT) == 0
    assert guest.call("fd_seek", fd, -4, 2, OUT) == 0
    assert guest.call("fd_read", fd, *guest.iov((DATA, 2)), OUT) == 0
    assert guest.memory.read(DATA, 2) == b"cd"
    assert guest.call("fd_tell", fd, OUT) == 0
    assert guest.memory.read_u32(OUT) == 4
    assert guest.call("fd_seek", fd, 0, 3, OUT) == errno.EINVAL
    assert guest.call("fd_write", fd, *guest.iov((DATA, 6)), SIZE) == errno.EFAULT
    assert (base / "f").read_bytes() == b"abcdef"  # nothing was written by the call that failed


def test_filestat_has_the_documented_layout(guest: Guest, base: Path) -> None:
    (base / "f").write_bytes(b"abc")
    os.utime(base / "f", ns=(-5, 7))
    found = (base / "f").stat()
    fd = guest.open(b"f")
    for call in (lambda: guest.call("fd_filestat_get", fd, OUT), lambda: guest.stat(3, b"f")):
        guest.memory.write(OUT, b"\xff" * 64)
        assert call() == 0
        raw = guest.memory.read(OUT, 64)
        assert struct.unpack_from("<QQ", raw) == (found.st_dev, found.st_ino)
        assert raw[16] == 4
        assert struct.unpack_from("<QQ", raw, 24) == (1, 3)
        assert struct.unpack_from("<qqq", raw, 40) == (-5, 7, found.st_ctime_ns)
    assert guest.call("fd_filestat_get", fd, SIZE - 63) == errno.EFAULT


def test_size_can_be_set_and_syncs_succeed(guest: Guest, base: Path) -> None:
    fd = guest.open(b"f", CREAT)
    assert guest.call("fd_filestat_set_size", fd, 10) == 0
    assert (base / "f").stat().st_size == 10
    assert guest.call("fd_allocate", fd, 0, 20) == 0
    assert (base / "f").stat().st_size == 20
    assert guest.call("fd_filestat_set_size", fd, -1) == errno.EINVAL
    assert guest.call("fd_sync", fd) == 0
    assert guest.call("fd_datasync", fd) == 0
    assert guest.call("fd_advise", fd, 0, 0, 1) == 0
    assert guest.call("fd_advise", fd, 0, 0, 6) == errno.EINVAL


def test_open_flags_are_honoured(guest: Guest, base: Path) -> None:
    assert guest.open(b"f") == -errno.ENOENT
    fd = guest.open(b"f", CREAT)
    assert guest.pwrite(fd, b"abc", 0) == 0
    assert guest.open(b"f", CREAT | EXCL) == -errno.EEXIST
    assert guest.open(b"f", DIRECTORY, READ) == -errno.ENOTDIR
    assert guest.open(b"f", TRUNC) > 0
    assert (base / "f").read_bytes() == b""
    assert guest.open(b"f", 16) == -errno.EINVAL
    assert guest.open(b"f", fdflags=32) == -errno.EINVAL


def test_rights_decide_reading_and_writing(guest: Guest, base: Path) -> None:
    (base / "f").write_bytes(b"abc")
    reader = guest.open(b"f", 0, READ)
    assert guest.pread(reader, 3, 0) == b"abc"
    assert guest.pwrite(reader, b"x", 0) == errno.EBADF
    writer = guest.open(b"f", 0, WRITE)
    assert guest.pwrite(writer, b"x", 0) == 0
    assert guest.call("fd_pread", writer, *guest.iov((DATA, 1)), 0, OUT) == errno.EBADF
    assert guest.open(b"f", TRUNC, READ) == -errno.ENOTCAPABLE


def test_who_does_not_ask_to_write_opens_for_reading(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    guest = Guest({3: Preopen(bytes(tmp_path), b"/", writable=False)})
    fd = guest.open(b"f", 0, READ | ALLOCATE | SET_SIZE)  # as Go does
    assert fd > 0
    assert guest.call("fd_fdstat_get", fd, OUT) == 0
    assert struct.unpack("<BxH4xQQ", guest.memory.read(OUT, 24))[2] == READ
    assert guest.call("fd_filestat_set_size", fd, 1) == errno.EINVAL
    assert guest.open(b"f", 0, READ | WRITE) == -errno.EROFS
    guest.files.close()


def test_a_directory_opened_for_reading_gives_no_more_than_it_inherited(guest: Guest, base: Path) -> None:
    (base / "d").mkdir()
    (base / "d" / "f").write_bytes(b"abc")
    code = guest.call("path_open", 3, 1, *guest.path(b"d"), DIRECTORY, READ, READ, 0, OUT)
    assert code == 0
    fd = guest.memory.read_u32(OUT)
    assert guest.open(b"f", 0, READ, fd=fd) > 0
    assert guest.open(b"f", 0, READ | WRITE, fd=fd) == -errno.ENOTCAPABLE


def test_append_and_sync_flags_reach_the_host(guest: Guest, base: Path) -> None:
    import fcntl

    fd = guest.open(b"f", CREAT, fdflags=1 | 16)
    status = fcntl.fcntl(guest.files.descriptor(fd), fcntl.F_GETFL)
    assert status & os.O_APPEND and status & os.O_SYNC == os.O_SYNC
    assert guest.call("fd_fdstat_set_flags", fd, 16) == 0
    assert not fcntl.fcntl(guest.files.descriptor(fd), fcntl.F_GETFL) & os.O_APPEND
    assert guest.call("fd_fdstat_set_flags", fd, 0) == errno.ENOTSUP
    assert guest.call("fd_fdstat_get", fd, OUT) == 0
    assert struct.unpack("<BxH4xQQ", guest.memory.read(OUT, 24)) == (4, 16, ALL, ALL)


def test_host_descriptors_are_not_inherited_by_child_processes(guest: Guest) -> None:
    fd = guest.open(b"f", CREAT)
    assert not os.get_inheritable(guest.files.descriptor(fd))
    assert not os.get_inheritable(guest.files.descriptor(3))


def test_directories_can_be_opened_and_synced(guest: Guest) -> None:
    fd = guest.open(b".", DIRECTORY, READ)
    assert guest.call("fd_sync", fd) == 0
    assert guest.open(b"x", CREAT, fd=fd) > 0
    assert guest.open(b"y", CREAT, fd=guest.open(b"x")) == -errno.ENOTDIR


def test_directories_and_names_are_made_moved_and_removed(guest: Guest, base: Path) -> None:
    assert guest.call("path_create_directory", 3, *guest.path(b"d/")) == 0
    assert guest.open(b"d/f", CREAT) > 0
    assert guest.call("path_remove_directory", 3, *guest.path(b"d")) == errno.ENOTEMPTY
    assert guest.call("path_rename", 3, *guest.path(b"d/f"), 3, *guest.path(b"g", 4096)) == 0
    assert (base / "g").exists()
    assert guest.call("path_unlink_file", 3, *guest.path(b"g")) == 0
    assert guest.call("path_unlink_file", 3, *guest.path(b"g")) == errno.ENOENT
    assert guest.call("path_remove_directory", 3, *guest.path(b"d/")) == 0
    assert list(base.iterdir()) == []


def test_only_directories_are_renamed_by_names_that_end_in_a_slash(guest: Guest, base: Path) -> None:
    def rename(old: bytes, new: bytes) -> int:
        return guest.call("path_rename", 3, *guest.path(old), 3, *guest.path(new, 4096))

    (base / "d").mkdir()
    (base / "f").touch()
    (base / "l").symlink_to("d")
    assert rename(b"d/", b"e") == 0
    assert rename(b"e", b"d//") == 0
    assert rename(b"d/", b"e/") == 0
    assert rename(b"f/", b"g") == rename(b"f", b"g/") == rename(b"l/", b"m") == errno.ENOTDIR
    assert rename(b"n/", b"m") == errno.ENOENT
    assert sorted(entry.name for entry in base.iterdir()) == ["e", "f", "l"]


def test_times_that_no_signed_number_holds(guest: Guest, base: Path) -> None:
    (base / "f").touch()
    late = 10_413_792_000 * 10**9  # 2300
    os.utime(base / "f", ns=(late, late + 5))
    if (base / "f").stat().st_mtime_ns != late + 5:
        pytest.skip("the file system does not know the year 2300")
    fd = guest.open(b"f")
    for call in (lambda: guest.call("fd_filestat_get", fd, OUT), lambda: guest.stat(3, b"f")):
        assert call() == 0
        assert struct.unpack_from("<QQ", guest.memory.read(OUT + 40, 16)) == (late, late + 5)


def test_a_path_as_long_as_memory_is_not_copied(guest: Guest) -> None:
    size = 32 << 20
    guest.memory.view = memoryview(bytearray(size))
    guest.memory.size = size
    tracemalloc.start()
    try:
        for function in guest.functions.values():
            # Wherever a function takes an address and a size.
            for start in range(len(function.params)):
                arguments = [3 if start else 0] + [0] * (len(function.params) - 1)
                arguments[start : start + 2] = [0, size][: len(arguments) - start]
                tracemalloc.reset_peak()
                guest.call(function.name, *arguments)
                assert tracemalloc.get_traced_memory()[1] < size // 4, function.name
    finally:
        tracemalloc.stop()


def test_an_interrupted_unlink_that_was_done_succeeds_when_repeated(
    guest: Guest, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (base / "f").touch()
    unlink = os.unlink

    def struck(*arguments: object, **more: object) -> None:
        unlink(*arguments, **more)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "unlink", struck)
    with pytest.raises(KeyboardInterrupt):
        guest.call("path_unlink_file", 3, *guest.path(b"f"))
    monkeypatch.undo()
    assert guest.call("path_unlink_file", 3, *guest.path(b"f")) == 0
    assert guest.call("path_unlink_file", 3, *guest.path(b"f")) == errno.ENOENT


def test_a_link_is_read_and_cut_off_at_the_capacity(guest: Guest, base: Path) -> None:
    (base / "l").symlink_to("target")
    assert guest.call("path_readlink", 3, *guest.path(b"l"), DATA, 3, OUT) == 0
    assert guest.memory.read(DATA, guest.memory.read_u32(OUT)) == b"tar"


def test_links_inside_are_followed_only_when_asked(guest: Guest, base: Path) -> None:
    (base / "d").mkdir()
    (base / "d" / "f").write_bytes(b"abc")
    (base / "l").symlink_to("d/../d/f")
    (base / "m").symlink_to("d")
    assert guest.pread(guest.open(b"l"), 3, 0) == b"abc"
    assert guest.pread(guest.open(b"m/f"), 3, 0) == b"abc"
    assert guest.open(b"l", lookup=0) == -errno.ELOOP
    assert guest.stat(3, b"l", 0) == 0
    assert guest.memory.read(OUT + 16, 1) == b"\x07"
    assert guest.stat(3, b"l", 1) == 0
    assert guest.memory.read(OUT + 16, 1) == b"\x04"
    (base / "loop").symlink_to("loop")
    assert guest.open(b"loop") == -errno.ELOOP


def test_a_dangling_link_is_created_through_but_not_exclusively(guest: Guest, base: Path) -> None:
    (base / "l").symlink_to("new")
    assert guest.open(b"l", CREAT | EXCL) == -errno.EEXIST
    assert guest.open(b"l", CREAT) > 0
    assert (base / "new").exists()


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a b\n", "ü".encode(), b"..x"])
def test_names_are_any_bytes(guest: Guest, base: Path, name: bytes) -> None:
    assert guest.open(name, CREAT) > 0
    assert [os.fsencode(entry.name) for entry in base.iterdir()] == [name]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"", errno.ENOENT),
        (b"a\0b", errno.EINVAL),
        (b"/etc/passwd", errno.ENOTCAPABLE),
        (b"x" * 256, errno.ENAMETOOLONG),
        (b"x/" * 2500, errno.ENAMETOOLONG),
        (b"missing/f", errno.ENOENT),
    ],
)
def test_bad_paths_are_refused(guest: Guest, path: bytes, expected: int) -> None:
    assert guest.open(path, CREAT) == -expected
    assert guest.stat(3, path) == expected
    assert guest.call("path_unlink_file", 3, *guest.path(path)) == expected


def test_a_path_takes_few_descriptors(tmp_path: Path) -> None:
    guest = Guest({3: bytes(tmp_path)})
    here = 3
    for _ in range(300):
        assert guest.call("path_create_directory", here, *guest.path(b"d")) == 0
        below = guest.open(b"d", DIRECTORY, READ, fd=here)
        if here != 3:
            guest.call("fd_close", here)
        here = below
    assert guest.open(b"f", CREAT, fd=here) > 0
    assert guest.open(b"d/" * 100, DIRECTORY, READ) > 0
    assert guest.open(b"d/../" * 300 + b"d", DIRECTORY, READ) > 0
    assert guest.open(b"d/" * 300 + b"f") == -errno.ENAMETOOLONG
    guest.files.close()
    shutil.rmtree(tmp_path / "d")


def test_path_addresses_are_checked(guest: Guest) -> None:
    assert guest.call("path_filestat_get", 3, 1, SIZE - 1, 2, OUT) == errno.EFAULT
    assert guest.call("path_filestat_get", 3, 1, 0, 0xFFFF_FFFF, OUT) == errno.ENAMETOOLONG
    assert guest.call("path_open", 3, 1, *guest.path(b"f"), CREAT, ALL, ALL, 0, SIZE - 1) == errno.EFAULT
    assert guest.open(b"f") == -errno.ENOENT  # refused before anything was created


CONFINED_ESCAPES = [b"..", b"../x", b"d/../../x", b"out", b"out/f", b"abs", b"abs/f", b"d/up/x", b"rel"]


@pytest.mark.parametrize("path", CONFINED_ESCAPES)
def test_a_confined_guest_does_not_get_out(tmp_path: Path, path: bytes) -> None:
    outside, base = tmp_path / "outside", tmp_path / "base"
    (base / "d").mkdir(parents=True)
    outside.mkdir()
    (outside / "f").write_bytes(b"secret")
    (tmp_path / "x").write_bytes(b"secret")
    (base / "out").symlink_to("../outside")
    (base / "abs").symlink_to(outside)
    (base / "d" / "up").symlink_to("../..")
    (base / "rel").symlink_to("d/../../x")
    guest = Guest({3: bytes(base)})
    assert guest.open(path) == -errno.ENOTCAPABLE
    assert guest.open(path, CREAT) == -errno.ENOTCAPABLE
    assert guest.stat(3, path) == errno.ENOTCAPABLE
    if path not in (b"out", b"abs", b"rel"):  # the links themselves lie inside
        assert guest.call("path_unlink_file", 3, *guest.path(path)) == errno.ENOTCAPABLE
        assert guest.call("path_create_directory", 3, *guest.path(path + b"n")) == (
            errno.ENOTCAPABLE if path != b".." else 0
        )
    inner = guest.open(b"d", DIRECTORY, READ)
    assert guest.open(b"../base", DIRECTORY, READ, fd=inner) == -errno.ENOTCAPABLE
    guest.files.close()


def test_a_link_that_appears_after_the_look_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (base / "f").symlink_to("../secret")
    (base / "d").symlink_to("..")
    guest = Guest({3: bytes(base)})
    monkeypatch.setattr(resolve, "_link", lambda *_, **__: None)  # as it looked a moment ago
    assert guest.open(b"f") == -errno.ELOOP
    assert guest.open(b"d/secret") == -errno.ENOTDIR
    assert guest.stat(3, b"f") == 0
    assert guest.memory.read(OUT + 16, 1) == b"\x07"
    guest.files.close()


def test_without_preopens_everything_is_refused() -> None:
    guest = Guest({})
    memory = guest.memory
    for name, function in guest.functions.items():
        memory.write(0, bytes(100))
        arguments = [3 if letter == "i" else 0 for letter in function.params]
        assert guest.call(name, *arguments) in (errno.EBADF, errno.ENOTSUP), name


def test_standard_streams_are_not_served(guest: Guest) -> None:
    for fd in (0, 1, 2, 0xFFFF_FFFF):
        assert guest.call("fd_write", fd, *guest.iov((DATA, 1)), OUT) == errno.EBADF
        assert guest.call("fd_close", fd) == errno.EBADF
        assert guest.call("fd_filestat_get", fd, OUT) == errno.EBADF
        assert guest.call("fd_sync", fd) == errno.EBADF


def test_preopened_directories_tell_their_names(tmp_path: Path) -> None:
    guest = Guest({3: b"/", 4: Preopen(bytes(tmp_path), b"/data")})
    assert guest.call("fd_prestat_get", 4, OUT) == 0
    assert guest.memory.read(OUT, 8) == b"\0\0\0\0\5\0\0\0"
    assert guest.call("fd_prestat_dir_name", 4, DATA, 5) == 0
    assert guest.memory.read(DATA, 5) == b"/data"
    assert guest.call("fd_prestat_dir_name", 4, DATA, 4) == errno.ENAMETOOLONG
    assert guest.call("fd_prestat_get", 5, OUT) == errno.EBADF
    assert guest.call("fd_prestat_get", guest.open(b"f", CREAT, fd=4), OUT) == errno.EBADF
    guest.files.close()
    with pytest.raises(ValueError):
        Guest({2: b"/"})
    with pytest.raises(FileNotFoundError):
        Guest({3: b"/", 4: bytes(tmp_path / "missing")})


def test_closed_descriptors_are_reused_and_closing_twice_is_an_error(guest: Guest) -> None:
    first, second = guest.open(b"f", CREAT), guest.open(b"g", CREAT)
    host = guest.files.descriptor(first)
    assert guest.call("fd_close", first) == 0
    assert guest.call("fd_close", first) == errno.EBADF
    assert guest.files.descriptor(first) == -1
    with pytest.raises(OSError):
        os.fstat(host)
    assert guest.open(b"f") == first != second


def test_a_guest_cannot_use_up_all_descriptors(tmp_path: Path) -> None:
    guest = Guest({3: bytes(tmp_path)})
    table = guest.files._table
    copies = dict.fromkeys(range(4, 3 + MAX_DESCRIPTORS), table.entries[3])
    table.entries.update(copies)
    assert guest.open(b"f", CREAT) == -errno.EMFILE
    for fd in copies:
        del table.entries[fd]
    guest.files.close()


def test_close_closes_every_host_descriptor(guest: Guest) -> None:
    fds = [guest.open(b"f", CREAT), guest.open(b".", DIRECTORY, READ), 3]
    hosts = [guest.files.descriptor(fd) for fd in fds]
    guest.files.close()
    for host in hosts:
        with pytest.raises(OSError):
            os.fstat(host)
    assert guest.open(b"f") == -errno.EBADF
    guest.files.close()


def in_child(check: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0 if check() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_no_descriptors_and_the_parent_keeps_its(guest: Guest) -> None:
    fd = guest.open(b"f", CREAT)
    host = guest.files.descriptor(fd)

    def check() -> bool:
        try:
            os.fstat(host)
        except OSError:
            return guest.call("fd_filestat_get", fd, OUT) == errno.EBADF
        return False

    assert in_child(check)
    assert guest.pwrite(fd, b"x", 0) == 0


def test_new_files_get_the_chosen_permissions_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        guest = Guest({3: bytes(tmp_path)}, create_mode=lambda *_: (0o664, -1, -1))
        guest.open(b"chosen", CREAT)
        plain = Guest({3: bytes(tmp_path)})
        plain.open(b"plain", CREAT)
    finally:
        os.umask(old)
    assert (tmp_path / "chosen").stat().st_mode & 0o777 == 0o664
    assert (tmp_path / "plain").stat().st_mode & 0o777 == 0o600
    guest.files.close()
    plain.files.close()


def test_a_file_never_gets_the_number_of_a_standard_stream(tmp_path: Path) -> None:
    def check() -> bool:
        guest = Guest({3: bytes(tmp_path)})
        os.close(0)
        fd = guest.open(b"f", CREAT)
        return guest.files.descriptor(fd) > 2 and os.read(0, 1) == b"" and guest.pwrite(fd, b"x", 0) == 0

    assert in_child(check)
    assert (tmp_path / "f").read_bytes() == b"x"


def test_an_error_that_a_signal_handler_raised_is_not_an_answer(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    def struck(*_: object, **__: object) -> None:
        raise TimeoutError("alarm")

    guest.open(b"f", CREAT)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", struck)
        with pytest.raises(TimeoutError):
            guest.call("path_unlink_file", 3, *guest.path(b"f"))


def test_every_host_error_has_a_number() -> None:
    named = {name: getattr(errno, name) for name in dir(errno) if name.startswith("E") and name != "EXPECTED"}
    assert sorted(named.values()) == list(range(1, 77))
    for number, name in host_errno.errorcode.items():
        expected = named.get(name)
        assert errno.from_host(OSError(number, "")) == expected or expected is None
    assert errno.from_host(OSError(host_errno.EOPNOTSUPP, "")) == errno.ENOTSUP
    assert errno.from_host(OSError(9999, "")) == errno.EIO


def test_memory_that_has_grown_is_found() -> None:
    class Growing(Memory):
        __slots__ = ("later",)

        def refresh(self) -> None:
            self.view = memoryview(self.later)
            self.size = len(self.later)

    memory = Growing()
    memory.later = bytearray(SIZE)
    files = WasiFiles(memory, {3: b"/"})
    functions = {function.name: function.call for function in files.functions()}
    memory.later[:8] = struct.pack("<II", 1000, 4)
    memory.later[8:16] = b"dev/zero"
    assert functions["path_open"](3, 1, 8, 8, 0, READ, READ, 0, 100) == 0
    fd = memory.read_u32(100)
    memory.view, memory.size = memoryview(b""), 0
    memory.later[1000:1004] = b"xxxx"
    assert functions["fd_pread"](fd, 0, 1, 0, 100) == 0
    assert memory.later[1000:1004] == b"\0\0\0\0"
    files.close()
