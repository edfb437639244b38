"""What was not granted cannot be had: a denied guest opens nothing, and no path leads out of a granted directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
from guests import compiled

from wasqlite.bridge import Directory, Library, Policy

SOURCE = r"""
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

static char answer[4096];
EXPORT char *text(void) { return answer; }
EXPORT char *scratch(int n) { return malloc(n); }

static const char *names[] = {"/etc/passwd", "etc/passwd", "../etc/passwd", "/", ".", "..", "/tmp/x", "x", "/dev/null",
  "/proc/self/environ", "", "/tmp/../etc/hosts", "\\\\host\\share", "C:\\x", "/dev/tty", "~/.profile"};
EXPORT int tries_everything(void) {
  int got = 0; struct stat s; char b[100]; struct timespec t[2] = {{1, 1}, {1, 1}};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
    const char *p = names[i];
    for (int fd = 0; fd < 8; fd++) {
      got += openat(fd, p, O_RDONLY) >= 0; got += openat(fd, p, O_RDWR | O_CREAT, 0666) >= 0;
      got += fstatat(fd, p, &s, 0) == 0; got += mkdirat(fd, p, 0777) == 0; got += unlinkat(fd, p, 0) == 0;
      got += unlinkat(fd, p, AT_REMOVEDIR) == 0; got += renameat(fd, p, fd, "y") == 0;
      got += symlinkat(p, fd, "y") == 0; got += linkat(fd, p, fd, "y", 0) == 0;
      got += readlinkat(fd, p, b, 100) >= 0; got += utimensat(fd, p, t, 0) == 0;
      got += write(fd, "x", 1) == 1; got += read(fd, b, 1) >= 0; got += fstat(fd, &s) == 0;
      __wasi_size_t n; got += __wasi_fd_readdir(fd, (uint8_t *)b, 100, 0, &n) == 0;
      __wasi_prestat_t q; got += __wasi_fd_prestat_get(fd, &q) == 0;
      got += __wasi_path_open(fd, 1, p, 0, -1ULL, -1ULL, 0, (__wasi_fd_t *)b) == 0;
      got += __wasi_sock_accept(fd, 0, (__wasi_fd_t *)b) == 0; got += __wasi_sock_shutdown(fd, 3) == 0;
    }
    FILE *f = fopen(p, "r"); got += f != 0; f = fopen(p, "w"); got += f != 0;
    got += opendir(p) != 0; got += mkdir(p, 0777) == 0; got += remove(p) == 0;
  }
  got += getenv("PATH") != 0; got += __wasi_random_get((uint8_t *)b, 8) == 0;
  __wasi_timestamp_t now; got += __wasi_clock_time_get(0, 1, &now) == 0;
  return got;
}

EXPORT int slurp_at(int fd, const char *p) {
  int f = openat(fd, p, O_RDONLY); if (f < 0) return -errno;
  int n = read(f, answer, 100); close(f); return n < 0 ? -errno : n;
}
EXPORT int listed_at(int fd, const char *p) {
  int f = openat(fd, p, O_RDONLY | O_DIRECTORY); if (f < 0) return -errno; close(f); return 0;
}
/* Every operation on a path: how many succeeded. */
EXPORT int meddles(int fd, const char *p) {
  int got = 0, f; struct stat s; struct timespec t[2] = {{1, 1}, {1, 1}};
  const int flags[] = {O_RDONLY, O_RDWR, O_WRONLY | O_CREAT, O_WRONLY | O_TRUNC, O_RDWR | O_CREAT | O_EXCL,
    O_WRONLY | O_APPEND, O_RDONLY | O_DIRECTORY};
  for (int i = 0; i < 7; i++) { f = openat(fd, p, flags[i], 0666); if (f >= 0) { got++; close(f); } }
  got += fstatat(fd, p, &s, 0) == 0; got += mkdirat(fd, p, 0777) == 0; got += utimensat(fd, p, t, 0) == 0;
  got += linkat(fd, p, fd, "linked", AT_SYMLINK_FOLLOW) == 0; got += linkat(fd, "a.txt", fd, p, 0) == 0;
  got += renameat(fd, p, fd, "renamed") == 0; got += renameat(fd, "a.txt", fd, p) == 0;
  got += symlinkat("a.txt", fd, p) == 0; got += unlinkat(fd, p, 0) == 0; got += unlinkat(fd, p, AT_REMOVEDIR) == 0;
  return got;
}
/* As often as that: what of `path` was read that is not what lies inside. */
EXPORT int races(int fd, const char *p, int times) {
  int wrong = 0, read_something = 0;
  while (times--) {
    int n = slurp_at(fd, p);
    if (n > 0) { read_something++; if (memcmp(answer, "inside", 6)) wrong++; }
  }
  return wrong ? -wrong : read_something;
}
EXPORT int races_writing(int fd, const char *p, int times) {
  int done = 0;
  while (times--) { int f = openat(fd, p, O_WRONLY | O_CREAT | O_TRUNC, 0666); if (f >= 0) { done++; close(f); } }
  return done;
}
"""


@pytest.fixture(scope="module")
def library():
    return Library.load(compiled(SOURCE))


CHILD = """
import os, sys
from wasqlite.bridge import Library, Policy
policies = {"denied": Policy(), "computing": Policy(stdout="discard", clock="real")}
instance = Library.load(sys.argv[1]).open(policies["denied"])
call = instance.function("tries_everything")
instance.function("text")()
events = []
def hook(event, arguments):
    if active: events.append(event)
active = False
sys.addaudithook(hook)
try: os.stat("/begin-marker")
except OSError: pass
active = True
got = call()
active = False
try: os.stat("/end-marker")
except OSError: pass
# The first call starts the thread that looks after deadlines.
print(got, [e for e in events if e not in ("_thread.start_new_thread", "time.sleep")])
"""


def test_a_denied_guest_causes_no_audit_event(library):
    result = subprocess.run(
        [sys.executable, "-c", CHILD, compiled(SOURCE)], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == "0 []\n"


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here")
def test_a_denied_guest_causes_no_system_call_on_files(library, tmp_path):
    log = tmp_path / "log"
    command = ["strace", "-f", "-e", "trace=%file,%network,%process,%desc", "-o", log]
    result = subprocess.run(
        [*command, sys.executable, "-c", CHILD, compiled(SOURCE)], capture_output=True, text=True, timeout=120
    )
    if result.returncode and "ptrace" in result.stderr:
        pytest.skip("strace may not trace here")
    assert result.stdout == "0 []\n", result.stderr
    lines = log.read_text().splitlines()
    begin, end = (next(i for i, line in enumerate(lines) if f"/{name}-marker" in line) for name in ("begin", "end"))
    # The ticker's thread begins with a stack of its own, and ends; the second half of a call was seen when it began.
    harmless = ("mmap", "munmap", "mprotect", "madvise", "clone", "set_robust_list", "rseq", "rt_sig", "futex")
    harmless += ("exit(0", "+++ exited with 0", "<... ")
    calls = [line.split(maxsplit=1)[1] for line in lines[begin + 1 : end]]
    strange = [call for call in calls if not call.startswith(harmless)]
    assert strange == [], "\n".join(strange)


@pytest.fixture
def tree(tmp_path):
    """A directory to be granted, and around it what must not be reached."""
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "a.txt").write_text("inside a")
    (inside / "sub" / "b.txt").write_text("inside b")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tmp_path / "inside-too").mkdir()
    (tmp_path / "inside-too" / "secret").write_text("secret")
    links = {
        "absolute": outside / "secret",
        "relative": "../outside/secret",
        "to_root": "/",
        "to_outside": outside,
        "up": "..",
        "sub/up": "../..",
        "chain": "chain2",
        "chain2": "sub/up2",
        "sub/up2": "../../outside/secret",
        "sub/self": "../../inside/../outside/secret",
        "endless": "endless",
        "good": "sub/b.txt",
        "sub/good": "../a.txt",
        "slash": "../outside/",
        "dots": "sub/./../..",
        "proc": "/proc/self/root",
    }
    for name, target in links.items():
        (inside / name).symlink_to(target)
    return inside


WAYS_OUT = [
    "..",
    "../",
    "../outside",
    "../outside/secret",
    "../inside-too/secret",
    "../inside/../outside/secret",
    "sub/../../outside/secret",
    "sub/../../../../../../../../etc/passwd",
    "./../outside/secret",
    ".//..//outside/secret",
    "a.txt/../../outside/secret",
    "/",
    "//",
    "/etc/passwd",
    "//etc/passwd",
    "absolute",
    "absolute/",
    "absolute/.",
    "relative",
    "to_root/etc/passwd",
    "to_root",
    "to_root/",
    "to_outside",
    "to_outside/",
    "to_outside/secret",
    "to_outside/../outside/secret",
    "up",
    "up/",
    "up/outside/secret",
    "sub/up",
    "sub/up/outside/secret",
    "sub/up2",
    "chain",
    "chain2",
    "sub/self",
    "slash",
    "slash/secret",
    "dots",
    "dots/outside/secret",
    "endless",
    "proc",
    "proc/etc/passwd",
    "sub/../up/outside/secret",
    "none/../../outside/secret",
    "sub/good/../../outside/secret",
]
OF_THE_LINK = {
    "absolute",
    "relative",
    "to_root",
    "to_outside",
    "up",
    "sub/up",
    "sub/up2",
    "chain",
    "chain2",
    "sub/self",
}
OF_THE_LINK |= {"slash", "dots", "endless", "proc"}


def snapshot(folder):
    return {
        path: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in [folder, *folder.rglob("*")]
    }


@pytest.mark.parametrize("path", WAYS_OUT)
def test_no_path_leads_out(library, tree, path):
    policy = Policy(files={"/data": Directory(tree, writable=True, links=True)}, deadline=60)
    before = snapshot(tree.parent / "outside"), snapshot(tree.parent / "inside-too")
    siblings = sorted(tree.parent.iterdir())
    with library.open(policy) as guest, guest.arena() as arena:
        at = arena.string(path)
        assert guest.function("slurp_at")(3, at) > 0x8000_0000
        assert guest.function("listed_at")(3, at) > 0x8000_0000
        succeeded = guest.function("meddles")(3, at)
    # A link itself is in the directory, so it may be removed, renamed or replaced by what is in there.
    assert succeeded == 0 or path in OF_THE_LINK
    assert (snapshot(tree.parent / "outside"), snapshot(tree.parent / "inside-too")) == before
    assert sorted(tree.parent.iterdir()) == siblings


@pytest.mark.parametrize("path", ["good", "sub/good", "sub/../a.txt", "./sub/./b.txt", "sub//b.txt", "sub/../good"])
def test_paths_that_stay_inside_are_followed(library, tree, path):
    with library.open(Policy(files={"/data": tree})) as guest, guest.arena() as arena:
        assert guest.function("slurp_at")(3, arena.string(path)) == 8


def test_a_hard_case_of_names(library, tmp_path):
    name = b"caf\xe9 \xff\n"
    (tmp_path / os.fsdecode(name)).write_text("inside")
    with library.open(Policy(files={"/data": tmp_path})) as guest, guest.arena() as arena:
        assert guest.function("slurp_at")(3, arena.string(name)) == 6


@pytest.mark.parametrize("writing", [False, True])
def test_a_race_with_somebody_who_replaces_directories_by_links(library, tmp_path, writing):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "place").mkdir(parents=True)
    outside.mkdir()
    (inside / "place" / "file").write_text("inside")
    (outside / "file").write_text("secret")
    (inside / "link").symlink_to(outside)
    stop = threading.Event()

    def swap():
        place, kept = inside / "place", inside / "kept"
        while not stop.is_set():
            place.rename(kept)
            (inside / "link").rename(place)
            place.rename(inside / "link")
            kept.rename(place)

    swapper = threading.Thread(target=swap)
    policy = Policy(files={"/data": Directory(inside, writable=True)}, deadline=120)
    with library.open(policy) as guest, guest.arena() as arena:
        path = arena.string("place/file")
        swapper.start()
        race, times = guest.function("races_writing" if writing else "races"), 2000
        try:
            # Until both were hit, the directory and the link, and then some more.
            rounds = [race(3, path, times) for _ in range(5)]
            while (sum(rounds) == 0 or sum(rounds) == len(rounds) * times) and len(rounds) < 200:
                rounds.append(race(3, path, times))
        finally:
            stop.set()
            swapper.join()
    assert all(0 <= opened <= times for opened in rounds)
    assert 0 < sum(rounds) < len(rounds) * times
    assert (outside / "file").read_text() == "secret"
