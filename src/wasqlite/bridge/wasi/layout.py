"""Struct layouts and flag bits of wasi_snapshot_preview1.

Source: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/witx/typenames.witx
"""

from __future__ import annotations

import stat
from struct import Struct

MODULE = "wasi_snapshot_preview1"

U32 = Struct("<I")
U64 = Struct("<Q")
IOVEC = Struct("<II")
"""buf, buf_len"""
IOVECS = Struct("<IIII")
"""Two of them."""
PRESTAT = Struct("<B3xI")
"""tag (0: directory), pr_name_len"""
FDSTAT = Struct("<BxH4xQQ")
"""fs_filetype, fs_flags, fs_rights_base, fs_rights_inheriting"""
FILESTAT = Struct("<QQB7xQQqqq")
"""dev, ino, filetype, nlink, size, atim, mtim, ctim (ns; signed, so that times before 1970 fit)"""
SUBSCRIPTION = Struct("<QB7xI4xQQH6x")
"""userdata, tag, then of a clock: id, timeout, precision, flags; of a descriptor: fd in the place of id"""
EVENT = Struct("<QHB5xQH6x")
"""userdata, error, type, nbytes, flags"""

DIRENT = Struct("<QQIB3x")
"""next cookie, inode, length of the name that follows, filetype"""

assert DIRENT.size == 24
assert (PRESTAT.size, FDSTAT.size, FILESTAT.size, SUBSCRIPTION.size, EVENT.size) == (8, 24, 64, 48, 32)

IOV_MAX = 1024
PATH_MAX = 4096

LOOKUP_FOLLOW = 1

OFLAG_CREAT = 1
OFLAG_DIRECTORY = 2
OFLAG_EXCL = 4
OFLAG_TRUNC = 8

FDFLAG_APPEND = 1
FDFLAG_DSYNC = 2
FDFLAG_NONBLOCK = 4
FDFLAG_RSYNC = 8
FDFLAG_SYNC = 16

FST_ATIM, FST_ATIM_NOW, FST_MTIM, FST_MTIM_NOW = 1, 2, 4, 8
"""fstflags: which times fd_filestat_set_times sets, and how"""

RIGHT_FD_READ = 1 << 1
RIGHT_FD_SEEK = 1 << 2
RIGHT_FD_TELL = 1 << 5
RIGHT_FD_WRITE = 1 << 6
RIGHT_FD_ALLOCATE = 1 << 8
RIGHT_FD_READDIR = 1 << 14
RIGHT_FD_FILESTAT_SET_SIZE = 1 << 22
RIGHTS_ALL = (1 << 30) - 1
RIGHTS_READING = RIGHT_FD_READ | RIGHT_FD_READDIR
RIGHTS_WRITING = RIGHT_FD_WRITE | RIGHT_FD_ALLOCATE | RIGHT_FD_FILESTAT_SET_SIZE

FILETYPE_UNKNOWN = 0
FILETYPE_CHARACTER = 2
FILETYPE_DIRECTORY = 3
FILETYPE_REGULAR = 4
FILETYPE_SYMLINK = 7

_TYPES = {
    stat.S_IFBLK: 1,
    stat.S_IFCHR: FILETYPE_CHARACTER,
    stat.S_IFDIR: FILETYPE_DIRECTORY,
    stat.S_IFREG: FILETYPE_REGULAR,
    stat.S_IFSOCK: 6,
    stat.S_IFLNK: FILETYPE_SYMLINK,
}
FILETYPES = bytes(_TYPES.get(kind << 12, FILETYPE_UNKNOWN) for kind in range(16))
"""Indexed by ``st_mode >> 12``."""
