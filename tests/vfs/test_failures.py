"""Which failure explains a result code."""

from __future__ import annotations

import errno as host_errno

import pytest

from wasqlite.bridge.wasi import errno
from wasqlite.bridge.wasi.failures import SystemFailure
from wasqlite.capi import constants as c
from wasqlite.capi.status import Cause
from wasqlite.vfs.failures import cause


def failure(operation: str, name: str, path: bytes = b"/x") -> SystemFailure:
    return SystemFailure(operation, getattr(errno, name), getattr(host_errno, name), path)


def test_the_newest_failure_that_fits_the_code() -> None:
    recent = [
        failure("fd_pwrite", "EIO", b"/old"),
        failure("fd_pwrite", "EIO", b"/new"),
        failure("path_unlink_file", "EIO", b"/journal"),
        failure("fd_pwrite", "ENOSPC", b"/cleaning-up"),
    ]
    found = cause(c.SQLITE_IOERR_WRITE, errno.EIO, recent)
    assert found == Cause(host_errno.EIO, "write", b"/new")


@pytest.mark.parametrize("code", [c.SQLITE_ERROR, c.SQLITE_CONSTRAINT, c.SQLITE_BUSY, c.SQLITE_LOCKED, c.SQLITE_FULL])
def test_failures_that_do_not_matter_stay_out_of_other_errors(code: int) -> None:
    recent = [failure("path_open", "ENOENT"), failure("path_unlink_file", "ENOENT"), failure("fd_pwrite", "ENOSPC")]
    assert cause(code, 0, recent) is None


def test_the_full_page_limit_is_no_full_disk() -> None:
    assert cause(c.SQLITE_FULL, 0, [failure("fd_pwrite", "ENOSPC")]) is None
    assert cause(c.SQLITE_FULL, errno.ENOSPC, [failure("fd_pwrite", "ENOSPC")]) is not None


def test_locks_say_why_though_the_guest_does_not_know() -> None:
    recent = [failure("file_lock", "EIO", b"/x.db")]
    assert cause(c.SQLITE_IOERR_LOCK, 0, recent) == Cause(host_errno.EIO, "lock", b"/x.db")


def test_a_number_alone_is_better_than_nothing() -> None:
    assert cause(c.SQLITE_CANTOPEN, errno.ENAMETOOLONG, []) == Cause(host_errno.ENAMETOOLONG, None, None)
    assert cause(c.SQLITE_CANTOPEN, 0, []) is None
