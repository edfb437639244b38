"""C programs on wasi-libc, as a policy lets them: what they do must arrive, and what was not granted must fail."""

from __future__ import annotations

import io
import os
import select
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
from guests import compiled

from wasqlite.bridge import (
    DeadlineExceeded,
    Directory,
    Exited,
    InstancePoisoned,
    Interrupted,
    Library,
    LinkError,
    Policy,
    SteppingClock,
    Trap,
)

SOURCE = r"""
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <assert.h>

extern char **environ;
static char answer[1 << 16];
EXPORT char *text(void) { return answer; }
EXPORT void *scratch(int n) { return malloc(n); }

EXPORT int greet(int n) { return printf("hello %d\n", n); }
EXPORT int flush(void) { return fflush(stdout) ? errno : 0; }
EXPORT int unfinished(void) { printf("no newline"); return fflush(stdout); }
EXPORT int complain(void) { return fprintf(stderr, "oh no\n"); }
EXPORT int raw(const char *p, int n, int fd) { int w = write(fd, p, n); return w < 0 ? -errno : w; }
EXPORT int lines(void) {
  char line[100]; int n = 0; answer[0] = 0;
  while (fgets(line, sizeof line, stdin)) { strcat(answer, line); strcat(answer, "|"); n++; }
  return n;
}
EXPORT int terminal(int fd) { return isatty(fd); }
EXPORT int standard(int fd) { struct stat s; return fstat(fd, &s) ? -errno : S_ISCHR(s.st_mode); }
EXPORT int unblock(int fd) { return fcntl(fd, F_SETFL, O_NONBLOCK) ? errno : 0; }
EXPORT int seek(int fd) { return lseek(fd, 0, SEEK_CUR) < 0 ? errno : 0; }

EXPORT int variable(const char *name) {
  char *v = getenv(name); if (!v) return -1; strcpy(answer, v); return strlen(v);
}
EXPORT int variables(void) { int n = 0; if (environ) while (environ[n]) n++; return n; }
#include <wasi/api.h>
EXPORT int arguments(void) {
  __wasi_size_t n, size; static char *v[20]; static char b[500];
  if (__wasi_args_sizes_get(&n, &size) || n > 20 || size > 500) return -1;
  if (__wasi_args_get((uint8_t **)v, (uint8_t *)b)) return -1;
  answer[0] = 0; for (unsigned i = 0; i < n; i++) { strcat(answer, v[i]); strcat(answer, "|"); }
  return n;
}

static long long read_clock(clockid_t clock) {
  struct timespec t; return clock_gettime(clock, &t) ? -errno : t.tv_sec * 1000000000LL + t.tv_nsec;
}
EXPORT long long now(void) { return read_clock(CLOCK_REALTIME); }
EXPORT long long ticks(void) { return read_clock(CLOCK_MONOTONIC); }
EXPORT long long seconds(void) { return time(0); }
EXPORT int nap(int ms) { struct timespec t = {ms / 1000, ms % 1000 * 1000000L}; return nanosleep(&t, 0) ? errno : 0; }
EXPORT int yielding(void) { return sched_yield(); }
EXPORT int entropy(void *p, int n) { return getentropy(p, n) ? errno : 0; }
EXPORT int ready(int fd) {
  struct pollfd p = {fd, POLLIN, 0}; int n = poll(&p, 1, -1); return n < 0 ? -errno : p.revents;
}

EXPORT void leave(int code) { exit(code); }
static void goodbye(void) { printf("bye\n"); fflush(stdout); }
EXPORT void leave_politely(int code) { atexit(goodbye); exit(code); }
EXPORT void stop(void) { abort(); }
EXPORT void asserting(int n) { assert(n == 5); }

EXPORT int slurp(const char *path) {
  FILE *f = fopen(path, "r"); if (!f) return -errno;
  int n = fread(answer, 1, sizeof answer, f); fclose(f); return n;
}
EXPORT int spill(const char *path, const char *data, const char *mode) {
  FILE *f = fopen(path, mode); if (!f) return -errno;
  int n = fwrite(data, 1, strlen(data), f); return fclose(f) ? -errno : n;
}
EXPORT int list(const char *path) {
  DIR *d = opendir(path); if (!d) return -errno;
  struct dirent *e; int n = 0; answer[0] = 0;
  while ((e = readdir(d))) {
    strcat(answer, e->d_name); strcat(answer, e->d_type == DT_DIR ? "/" : e->d_type == DT_LNK ? "@" : "");
    strcat(answer, "|"); n++;
  }
  rewinddir(d); int again = 0; while (readdir(d)) again++;
  closedir(d); return again == n ? n : -1;
}
EXPORT int list_together(const char *path, int directories) {
  DIR *d[20]; int n = 0;
  for (int i = 0; i < directories; i++) d[i] = opendir(path);
  for (int left = 1; left;) {
    left = 0; for (int i = 0; i < directories; i++) if (readdir(d[i])) { n++; left = 1; }
  }
  for (int i = 0; i < directories; i++) closedir(d[i]);
  return n;
}
EXPORT long long size_of(const char *path) { struct stat s; return stat(path, &s) ? -errno : s.st_size; }
EXPORT long long modified(const char *path) { struct stat s; return stat(path, &s) ? -errno : s.st_mtim.tv_sec; }
EXPORT int inode_is_that_of_readdir(const char *dir, const char *name, const char *path) {
  DIR *d = opendir(dir); struct dirent *e; struct stat s;
  while ((e = readdir(d))) if (!strcmp(e->d_name, name)) { stat(path, &s); closedir(d); return s.st_ino == e->d_ino; }
  return -1;
}
EXPORT int touch(const char *path, long long at) {
  struct timespec t[2] = {{at, 0}, {at + 1, 500}}; return utimensat(AT_FDCWD, path, t, 0) ? errno : 0;
}
EXPORT int touch_open(const char *path, long long at) {
  int fd = open(path, O_RDONLY); if (fd < 0) return errno;
  struct timespec t[2] = {{0, UTIME_OMIT}, {at, 0}}; int r = futimens(fd, t) ? errno : 0; close(fd); return r;
}
EXPORT int make(const char *path) { return mkdir(path, 0777) ? errno : 0; }
EXPORT int unmake(const char *path) { return rmdir(path) ? errno : 0; }
EXPORT int drop(const char *path) { return unlink(path) ? errno : 0; }
EXPORT int move(const char *a, const char *b) { return rename(a, b) ? errno : 0; }
EXPORT int hard(const char *a, const char *b) { return link(a, b) ? errno : 0; }
EXPORT int hard_of_target(const char *a, const char *b) {
  return linkat(AT_FDCWD, a, AT_FDCWD, b, AT_SYMLINK_FOLLOW) ? errno : 0;
}
EXPORT int soft(const char *a, const char *b) { return symlink(a, b) ? errno : 0; }
EXPORT int reads(const char *path) {
  int n = readlink(path, answer, 1000); if (n < 0) return -errno; answer[n] = 0; return n;
}
static int truncated(const char *path, int flags, long long n) {
  int fd = open(path, flags); if (fd < 0) return errno; int r = ftruncate(fd, n) ? errno : 0; close(fd); return r;
}
EXPORT int cut(const char *path, long long n) { return truncated(path, O_RDWR, n); }
EXPORT int cut_read_only(const char *path) { return truncated(path, O_RDONLY, 0); }
EXPORT int renumbered(const char *a, const char *b) {
  int x = open(a, O_RDONLY), y = open(b, O_RDONLY); if (x < 0 || y < 0) return -errno;
  if (__wasi_fd_renumber(x, y)) return -1;
  int n = read(y, answer, 1000); close(y); return close(x) == 0 ? -2 : n;
}
EXPORT int renumber(int a, int b) { return __wasi_fd_renumber(a, b); }
EXPORT int closes(int fd) { return close(fd) ? errno : 0; }
EXPORT int opens(const char *path) { return open(path, O_RDONLY); }
EXPORT int errors(const char *name) {
#define E(x) if (!strcmp(name, #x)) return x;
  E(EBADF) E(EPERM) E(EROFS) E(ENOENT) E(ENOTCAPABLE) E(EACCES) E(ESPIPE) E(EEXIST) E(ENOTSUP)
  return -1;
}
"""


class Guest:
    """A guest whose functions take Python strings."""

    def __init__(self, library, policy):
        self.instance = library.open(policy)
        self.arena = self.instance.arena()

    def __getattr__(self, name):
        function = self.instance.function(name)
        _, result = self.instance.exports[name]

        def call(*arguments):
            passed = [self.arena.string(a) if isinstance(a, str | bytes) else a for a in arguments]
            answer = function(*passed)
            return answer - (1 << 32) if result == "i" and answer > 0x7FFF_FFFF else answer

        return call

    @property
    def answer(self):
        return self.instance.memory.string(self.instance.function("text")()).decode()

    def error(self, name):
        return self.errors(name)


@pytest.fixture(scope="module")
def library():
    return Library.load(compiled(SOURCE))


@pytest.fixture
def guest(library):
    opened = []

    def make(**fields):
        opened.append(Guest(library, Policy(**fields)))
        return opened[-1]

    yield make
    for made in opened:
        made.instance.close()


# -- standard streams ----------------------------------------------------------------------------------------------


def test_stdout_goes_to_a_binary_stream(guest):
    out = io.BytesIO()
    assert guest(stdout=out).greet(7) == 8
    assert out.getvalue() == b"hello 7\n"


def test_stdout_goes_to_a_text_stream_even_where_a_character_is_cut(guest):
    out = io.StringIO()
    program = guest(stdout=out)
    for piece in (b"\xc3", b"\xa4x", b"\xff"):
        assert program.raw(program.arena.bytes(piece), len(piece), 1) == len(piece)
    assert out.getvalue() == "äx\N{REPLACEMENT CHARACTER}"


def test_stderr_is_a_stream_of_its_own(guest):
    out, err = io.BytesIO(), io.BytesIO()
    program = guest(stdout=out, stderr=err)
    program.complain()
    program.greet(1)
    assert (out.getvalue(), err.getvalue()) == (b"hello 1\n", b"oh no\n")


def test_what_is_not_flushed_stays_in_the_guest(guest):
    out = io.BytesIO()
    program = guest(stdout=out)
    assert program.unfinished() == 0
    assert out.getvalue() == b"no newline"


def test_output_can_be_discarded(guest):
    program = guest(stdout="discard")
    assert program.greet(7) == 8
    assert program.flush() == 0


def test_closed_streams_are_ebadf(guest):
    program = guest()
    assert program.raw(program.arena.bytes(b"x"), 1, 1) == -program.error("EBADF")
    assert program.raw(program.arena.bytes(b"x"), 1, 2) == -program.error("EBADF")
    assert program.lines() == 0
    assert program.standard(1) == -program.error("EBADF")


def test_stdin_is_read_to_its_end(guest):
    program = guest(stdin=b"one\ntwo\nthree")
    assert program.lines() == 3
    assert program.answer == "one\n|two\n|three|"


@pytest.mark.parametrize("stream", [io.BytesIO(b"a\nb\n"), io.StringIO("a\nb\n")])
def test_stdin_from_a_stream(guest, stream):
    program = guest(stdin=stream)
    assert program.lines() == 2
    assert program.answer == "a\n|b\n|"


def test_wide_characters_from_a_text_stream(guest):
    text = "ä\N{SNOWMAN}" * 3000 + "\n"
    program = guest(stdin=io.StringIO(text))
    while program.lines():
        pass
    big = guest(stdin=io.StringIO("ä" * 30 + "\n"))
    assert big.lines() == 1
    assert big.answer == "ä" * 30 + "\n|"


def test_stdin_is_not_written_and_stdout_not_read(guest):
    program = guest(stdin=b"x", stdout=io.BytesIO())
    assert program.raw(program.arena.bytes(b"x"), 1, 0) == -program.error("EBADF")


def test_standard_streams_are_terminals_and_cannot_be_sought(guest):
    program = guest(stdin=b"", stdout=io.BytesIO())
    assert [program.standard(0), program.standard(1)] == [1, 1]
    assert [program.terminal(0), program.terminal(1)] == [1, 1]
    assert program.seek(1) == program.error("ESPIPE")


def test_a_stream_s_exception_is_the_call_s(guest):
    class Broken(io.RawIOBase):
        def write(self, data):
            raise ZeroDivisionError("broken")

    program = guest(stdout=Broken())
    with pytest.raises(ZeroDivisionError, match="broken"):
        program.greet(1)
    with pytest.raises(ZeroDivisionError, match="broken"):
        program.raw(program.arena.bytes(b"x"), 1, 1)
    assert program.variables() == 0  # the guest was told EIO, and goes on


def test_a_stream_that_takes_pieces(guest):
    class Slow(io.RawIOBase):
        taken = b""

        def write(self, data):
            self.taken += bytes(data[:3])
            return min(3, len(data))

    slow = Slow()
    guest(stdout=slow).greet(12345)
    assert slow.taken == b"hello 12345\n"


@pytest.mark.parametrize("mode", ["w+", "w+b"])
def test_temporary_files_are_streams(guest, tmp_path, mode):
    with tempfile.NamedTemporaryFile(mode, dir=tmp_path) as out:
        guest(stdout=out).greet(7)
        out.seek(0)
        assert out.read() == ("hello 7\n" if mode == "w+" else b"hello 7\n")
        out.seek(0)
        program = guest(stdin=out)
        assert (program.lines(), program.answer) == (1, "hello 7\n|")


@pytest.mark.skipif(not hasattr(os, "set_blocking"), reason="POSIX pipes")
def test_a_stream_that_does_not_wait_loses_nothing(guest):
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    with io.FileIO(ends[0]) as reading, io.FileIO(ends[1], "w") as writing:
        program = guest(stdin=reading, stdout=writing)
        with pytest.raises(BlockingIOError, match="nothing to read now"):
            program.lines()
        size = 1 << 18
        data = program.arena.bytes(b"x" * size)
        with pytest.raises(BlockingIOError, match="takes nothing now"):
            program.raw(data, size, 1)


def test_flags_of_a_stream_cannot_be_changed(guest):
    program = guest(stdout=io.BytesIO())
    assert program.unblock(1) == program.error("ENOTSUP")


def test_many_overlapping_pieces_are_not_gathered_without_bounds(guest, library):
    class Counting(io.RawIOBase):
        most = 0

        def write(self, data):
            self.most = max(self.most, len(data))
            return len(data)

    out = Counting()
    program = guest(stdout=out)
    memory = program.instance.memory
    huge = program.arena.alloc(8 << 20)
    assert program.raw(huge, 8 << 20, 1) == 1 << 20  # a short write
    assert out.most == 1 << 20
    assert memory.size < 64 << 20


# -- process -------------------------------------------------------------------------------------------------------


def test_arguments_and_environment(guest):
    program = guest(arguments=["prog", "-x", "", "ä"], environment={"A": "1", "LANG": "de=x", "EMPTY": ""})
    assert program.arguments() == 4
    assert program.answer == "prog|-x||ä|"
    assert program.variables() == 3
    assert program.variable("LANG") == 4
    assert program.answer == "de=x"
    assert program.variable("EMPTY") == 0
    assert program.variable("PATH") == -1


def test_the_host_s_environment_does_not_leak(guest, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    program = guest()
    assert program.variables() == program.arguments() == 0
    assert program.variable("SECRET") == -1


def test_exit_is_an_exception_with_the_code(guest):
    program = guest()
    with pytest.raises(Exited, match="exited with code 3") as caught:
        program.leave(3)
    assert caught.value.code == 3
    with pytest.raises(InstancePoisoned, match="Exited"):
        program.variables()


def test_exit_runs_what_the_guest_wanted_to_run(guest):
    out = io.BytesIO()
    with pytest.raises(Exited):
        guest(stdout=out).leave_politely(0)
    assert out.getvalue() == b"bye\n"


def test_abort_and_assert_are_traps(guest):
    with pytest.raises(Trap):
        guest().stop()
    err = io.StringIO()
    program = guest(stderr=err)
    program.asserting(5)
    with pytest.raises(Trap):
        program.asserting(6)
    assert "n == 5" in err.getvalue()


def test_yielding(guest):
    assert guest().yielding() == 0


# -- clocks and randomness -----------------------------------------------------------------------------------------


def test_clocks_are_denied(guest):
    program = guest()
    assert program.now() == program.ticks() == -program.error("EPERM")
    assert program.seconds() in (0, -1)
    started = time.monotonic()
    program.nap(60_000)
    assert time.monotonic() - started < 30


def test_real_clocks(guest):
    program = guest(clock="real")
    assert abs(program.now() - time.time_ns()) < 60 * 10**9
    assert program.ticks() <= program.ticks()
    started = time.monotonic()
    assert program.nap(30) == 0
    assert time.monotonic() - started > 0.02


def test_a_clock_that_is_the_same_each_time(guest):
    clock = SteppingClock(start=10**18, step=1000)
    runs = []
    for _ in range(2):
        program = guest(clock=clock)
        started = time.monotonic()
        values = [program.now(), program.ticks(), program.nap(1_000_000), program.seconds()]
        assert time.monotonic() - started < 100
        runs.append(values)
    assert runs[0] == runs[1]
    assert runs[0][:3] == [10**18, 10**18 + 1000, 0]
    assert runs[0][3] == 10**9 + 1000


def test_a_sleeping_guest_is_stopped(guest, library):
    program = guest(clock="real", deadline=0.1)
    with pytest.raises(DeadlineExceeded):
        program.nap(3600_000)
    program = guest(clock="real")
    stopper = threading.Timer(0.1, program.instance.interrupt)
    stopper.start()
    with pytest.raises(Interrupted):
        program.nap(3600_000)
    stopper.join()


def test_who_stops_a_sleep_stops_the_guest(guest):
    # Which would else be told of an error, and could end its call before it is looked at.
    program = guest(clock="real", deadline=0.1)
    with pytest.raises(DeadlineExceeded):
        program.nap(3600_000)
    assert isinstance(program.instance.dead, InstancePoisoned)


def test_randomness(guest):
    def some(program, n=32):
        at = program.arena.alloc(n)
        code = program.entropy(at, n)
        return program.instance.memory.read(at, n) if code == 0 else code

    denied = guest()
    assert some(denied) == denied.error("EPERM")
    assert some(guest(random="real")) != some(guest(random="real"))
    first, again, other = guest(random=5), guest(random=5), guest(random=6)
    assert some(first) == some(again) != some(other)
    assert some(first) == some(again) != some(guest(random=5))


def test_descriptors_are_ready_and_unknown_ones_are_not(guest):
    program = guest(stdin=b"x")
    assert program.ready(0) & 1
    assert program.ready(77) & 1 == 0


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "a.txt").write_text("alpha")
    (inside / "sub" / "b.txt").write_text("beta")
    (tmp_path / "secret").write_text("secret")
    return inside


def test_a_read_only_directory(guest, tree):
    program = guest(files={"/data": tree})
    assert program.slurp("/data/a.txt") == 5
    assert program.answer[:5] == "alpha"
    assert program.slurp("/data/sub/b.txt") == 4
    assert program.slurp("/data/none") == -program.error("ENOENT")
    assert program.list("/data") == 4
    assert program.answer == "./|../|a.txt|sub/|"
    assert program.size_of("/data/a.txt") == 5
    assert program.inode_is_that_of_readdir("/data", "a.txt", "/data/a.txt") == 1
    readonly = program.error("EROFS")
    before = sorted(tree.rglob("*"))
    for mode in ("w", "a", "r+", "w+", "wx"):
        assert program.spill("/data/a.txt", "x", mode) == -readonly
        assert program.spill("/data/new", "x", mode) in (-readonly, -program.error("ENOENT"))
    assert program.make("/data/dir") == readonly
    assert program.unmake("/data/sub") == readonly
    assert program.drop("/data/a.txt") == readonly
    assert program.move("/data/a.txt", "/data/c.txt") == readonly
    assert program.hard("/data/a.txt", "/data/c.txt") == readonly
    assert program.soft("a.txt", "/data/c.txt") == readonly
    assert program.touch("/data/a.txt", 5) == readonly
    assert program.touch_open("/data/a.txt", 5) == readonly
    assert program.cut("/data/a.txt", 0) == readonly
    assert program.cut_read_only("/data/a.txt") != 0
    assert sorted(tree.rglob("*")) == before
    assert (tree / "a.txt").read_text() == "alpha"


def test_a_writable_directory(guest, tree):
    program = guest(files={"/data": Directory(tree, writable=True)})
    assert program.spill("/data/new", "first", "w") == 5
    assert program.spill("/data/new", " second", "a") == 7
    assert (tree / "new").read_text() == "first second"
    assert program.make("/data/dir") == 0
    assert program.move("/data/new", "/data/dir/moved") == 0
    assert program.list("/data/dir") == 3
    assert program.unmake("/data/dir") != 0
    assert program.drop("/data/dir/moved") == 0
    assert program.unmake("/data/dir") == 0
    assert not (tree / "dir").exists()
    assert program.touch("/data/a.txt", 1_000_000) == 0
    assert program.modified("/data/a.txt") == 1_000_001
    assert (tree / "a.txt").stat().st_mtime_ns == 1_000_001 * 10**9 + 500
    assert program.touch_open("/data/a.txt", 77) == 0
    assert ((tree / "a.txt").stat().st_atime_ns, program.modified("/data/a.txt")) == (10**15, 77)
    assert program.cut("/data/a.txt", 2) == 0
    assert (tree / "a.txt").read_text() == "al"
    assert program.spill("/data/a.txt", "x", "wx") == -program.error("EEXIST")


def test_links_are_made_only_where_that_is_allowed(guest, tree):
    program = guest(files={"/data": Directory(tree, writable=True)})
    assert program.hard("/data/a.txt", "/data/c.txt") == program.error("EPERM")
    assert program.soft("a.txt", "/data/c.txt") == program.error("EPERM")
    program = guest(files={"/data": Directory(tree, writable=True, links=True), "/fixed": tree / "sub"})
    assert program.hard("/data/a.txt", "/data/c.txt") == 0
    assert program.soft("sub/b.txt", "/data/d.txt") == 0
    assert program.reads("/data/d.txt") == 9
    assert program.answer == "sub/b.txt"
    assert program.slurp("/data/d.txt") == 4
    capable = program.error("ENOTCAPABLE")
    assert program.soft("/etc/passwd", "/data/e.txt") == capable
    assert program.soft("../secret", "/data/e.txt") == capable
    assert program.soft("sub/../../secret", "/data/e.txt") == capable
    # A way to write what may only be read.
    assert program.hard("/fixed/b.txt", "/data/e.txt") == program.error("EROFS")
    assert program.move("/fixed/b.txt", "/data/e.txt") == program.error("EROFS")
    assert not (tree / "e.txt").exists()


@pytest.mark.parametrize("name", ["/", "/data"])
def test_a_hard_link_of_what_a_link_leads_to(guest, tree, name):
    (tree / "soft").symlink_to("a.txt")
    inside = f"{tree}/" if name == "/" else "/data/"
    program = guest(files={name: Directory("/" if name == "/" else tree, writable=True, links=True)})
    assert program.hard(f"{inside}soft", f"{inside}one") == 0
    assert program.hard_of_target(f"{inside}soft", f"{inside}two") == 0
    assert (tree / "one").is_symlink()
    assert (tree / "two").samefile(tree / "a.txt") and not (tree / "two").is_symlink()


def test_a_large_directory_is_listed_in_pieces(guest, tmp_path):
    for i in range(700):
        (tmp_path / f"file-with-a-longer-name-{i:04}").touch()
    program = guest(files={"/": tmp_path})
    assert program.list("/") == 702
    assert program.answer.count("|") == 702
    assert program.list_together("/", 10) == 7020


def test_renumbering(guest, tree):
    program = guest(files={"/data": tree})
    assert program.renumbered("/data/a.txt", "/data/sub/b.txt") == 5
    assert program.answer.startswith("alpha")


def test_a_restored_guest_has_the_descriptors_that_it_was_opened_with(guest, tree, tmp_path):
    (tmp_path / "out").mkdir()
    out = io.BytesIO()
    program = guest(files={"/in": tree, "/out": Directory(tmp_path / "out", writable=True)}, stdout=out)
    hosts = [program.instance.held[0]._files.descriptor(fd) for fd in (3, 4)]
    snapshot = program.instance.snapshot()
    for meddle in (
        lambda: program.renumber(4, 3),  # "/in" would be where it has written
        lambda: program.closes(3) or program.closes(4) or program.closes(1),
        lambda: program.renumber(1, 3),
        lambda: program.opens("/in/a.txt") != 5,
    ):
        program.arena = program.instance.arena()
        assert meddle() == 0
        program.instance.restore(snapshot)
        program.arena = program.instance.arena()
        assert program.slurp("/in/a.txt") == 5
        assert program.spill("/in/new", "x", "w") == -program.error("EROFS")
        assert program.spill("/out/new", "x", "w") == 1
        assert program.greet(1) == 8
        assert sorted(program.instance.held[0]._files.table.entries) == [1, 3, 4]
    assert out.getvalue() == b"hello 1\n" * 4
    program.instance.close()
    for host in hosts:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(host)


def test_several_directories_and_relative_names(guest, tree):
    program = guest(files={"/one": tree, "/two": Directory(tree / "sub", writable=True), ".": tree})
    assert program.slurp("/two/b.txt") == 4
    assert program.slurp("a.txt") == 5
    assert program.spill("/two/c", "x", "w") == 1
    assert program.spill("/one/sub/c", "x", "w") == -program.error("EROFS")


def test_a_directory_that_does_not_exist_is_an_error_of_open(library, tmp_path):
    with pytest.raises(FileNotFoundError):
        library.open(Policy(files={"/data": tmp_path / "none"}))


def test_host_descriptors_are_given_back(library, tree):
    def count():
        return len(list(Path("/proc/self/fd").iterdir()))

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    before = count()
    for i in range(6):
        program = Guest(library, Policy(files={"/data": tree}))
        program.slurp("/data/a.txt")
        assert count() > before
        if i % 2:
            program.instance.close()
        del program
    assert count() == before


def test_without_a_policy_for_it_nothing_of_another_module_is_linked():
    wanting = Library.from_wat('(module (import "wasi_snapshot_preview1" "sock_open" (func (param i32) (result i32))))')
    with pytest.raises(LinkError, match="sock_open"):
        wanting.open()


def test_other_files_than_regular_ones_are_not_opened(guest, tree):
    os.mkfifo(tree / "pipe")
    program = guest(files={"/data": Directory(tree, writable=True)})
    assert program.slurp("/data/pipe") == -program.error("EACCES")
    assert program.spill("/data/pipe", "x", "r+") == -program.error("EACCES")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="whether a pipe tells that a writer was there")
def test_nobody_who_waits_at_a_pipe_notices_the_guest(guest, tree):
    os.mkfifo(tree / "pipe")
    program = guest(files={"/data": Directory(tree, writable=True)})
    reader = os.open(tree / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert program.spill("/data/pipe", "x", "w") == -program.error("EACCES")
        poll = select.poll()
        poll.register(reader)
        assert poll.poll(0) == []
    finally:
        os.close(reader)
