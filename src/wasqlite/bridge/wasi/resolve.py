"""Resolving a guest's path below a directory without ever leaving that directory."""

from __future__ import annotations

import errno
import os

from wasqlite.bridge.wasi.descriptors import Entry
from wasqlite.bridge.wasi.errno import ELOOP, ENAMETOOLONG, ENOENT, ENOTCAPABLE, WasiError

MAX_SYMLINKS = 40
MAX_DEPTH = 128
"""Directories that a path goes down into: each takes a descriptor meanwhile, and a path has room for 2,048 names."""

_STEP = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


class resolved:
    """Where ``path`` leads: a host descriptor of a directory, and the name in it, for an ``...at`` call.

    Below "/" that is the path itself: the kernel resolves it. Elsewhere every component is opened on its own,
    links are read and followed here, and a path that would leave the directory is ENOTCAPABLE, so the name
    has no slash and, if ``follow``, was no link when it was looked at; call with O_NOFOLLOW, to be sure that
    it still is none.
    """

    # Not a generator: contextlib's import would be a twentieth of a warm start.
    __slots__ = ("_entry", "_follow", "_path", "_steps")

    def __init__(self, entry: Entry, path: bytes, follow: bool) -> None:
        self._entry = entry
        self._path = path
        self._follow = follow
        self._steps: list[int] = []
        """The directories gone down into; ".." goes back up without asking the file system."""

    def __enter__(self) -> tuple[int, bytes]:
        entry, steps = self._entry, self._steps
        if not entry.confined:
            return entry.host, self._path
        try:
            name = _walk(entry.host, self._path, self._follow, steps)
            return steps[-1] if steps else entry.host, name
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        while self._steps:
            os.close(self._steps.pop())


def _walk(root: int, path: bytes, follow: bool, steps: list[int]) -> bytes:
    if not path:
        raise WasiError(ENOENT)
    links = 0
    pending = _components(path)
    while True:
        name = pending.pop()
        here = steps[-1] if steps else root
        last = not pending
        if name == b"..":
            if not steps:
                raise WasiError(ENOTCAPABLE)
            os.close(steps.pop())
        elif name != b".":
            if last and not follow:
                return name
            target = _link(here, name, must_exist=not last)
            if target is None and last:
                return name
            if target is None:
                if len(steps) >= MAX_DEPTH:
                    raise WasiError(ENAMETOOLONG)
                steps.append(os.open(name, _STEP, dir_fd=here))
            else:
                links += 1
                if links > MAX_SYMLINKS:
                    raise WasiError(ELOOP)
                pending.extend(_components(target))
        if not pending:
            return b"."


def _components(path: bytes) -> list[bytes]:
    """The components, last one first. A trailing slash adds ".": what precedes it must be a directory."""
    if path.startswith(b"/"):
        raise WasiError(ENOTCAPABLE)
    names = [name for name in path.split(b"/") if name]
    if path.endswith(b"/"):
        names.append(b".")
    names.reverse()
    return names


def _link(directory: int, name: bytes, *, must_exist: bool) -> bytes | None:
    """Where the link ``name`` points to; None if it is no link."""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.EINVAL or (error.errno == errno.ENOENT and not must_exist):
            return None
        raise
