"""WASI error numbers, and the translation of the host's into them."""

from __future__ import annotations

import errno as host

from wasqlite.bridge.errors import MemoryAccessError

SUCCESS = 0
E2BIG = 1
EACCES = 2
EADDRINUSE = 3
EADDRNOTAVAIL = 4
EAFNOSUPPORT = 5
EAGAIN = 6
EALREADY = 7
EBADF = 8
EBADMSG = 9
EBUSY = 10
ECANCELED = 11
ECHILD = 12
ECONNABORTED = 13
ECONNREFUSED = 14
ECONNRESET = 15
EDEADLK = 16
EDESTADDRREQ = 17
EDOM = 18
EDQUOT = 19
EEXIST = 20
EFAULT = 21
EFBIG = 22
EHOSTUNREACH = 23
EIDRM = 24
EILSEQ = 25
EINPROGRESS = 26
EINTR = 27
EINVAL = 28
EIO = 29
EISCONN = 30
EISDIR = 31
ELOOP = 32
EMFILE = 33
EMLINK = 34
EMSGSIZE = 35
EMULTIHOP = 36
ENAMETOOLONG = 37
ENETDOWN = 38
ENETRESET = 39
ENETUNREACH = 40
ENFILE = 41
ENOBUFS = 42
ENODEV = 43
ENOENT = 44
ENOEXEC = 45
ENOLCK = 46
ENOLINK = 47
ENOMEM = 48
ENOMSG = 49
ENOPROTOOPT = 50
ENOSPC = 51
ENOSYS = 52
ENOTCONN = 53
ENOTDIR = 54
ENOTEMPTY = 55
ENOTRECOVERABLE = 56
ENOTSOCK = 57
ENOTSUP = 58
ENOTTY = 59
ENXIO = 60
EOVERFLOW = 61
EOWNERDEAD = 62
EPERM = 63
EPIPE = 64
EPROTO = 65
EPROTONOSUPPORT = 66
EPROTOTYPE = 67
ERANGE = 68
EROFS = 69
ESPIPE = 70
ESRCH = 71
ESTALE = 72
ETIMEDOUT = 73
ETXTBSY = 74
EXDEV = 75
ENOTCAPABLE = 76

_BY_HOST: dict[int, int] = {
    getattr(host, name): number
    for name, number in list(globals().items())
    if name.startswith("E") and hasattr(host, name)
}
# Names that WASI lacks, and whose nearest relative says the same to a C program.
for _name, _number in {
    "EOPNOTSUPP": ENOTSUP,
    "EWOULDBLOCK": EAGAIN,
    "EDEADLOCK": EDEADLK,
    "ETIME": ETIMEDOUT,
    "ESHUTDOWN": EPIPE,
    "EHOSTDOWN": EHOSTUNREACH,
    "EPFNOSUPPORT": EAFNOSUPPORT,
    "ESOCKTNOSUPPORT": EPROTONOSUPPORT,
    "ENODATA": ENOMSG,
    "ETOOMANYREFS": ENOBUFS,
}.items():
    if hasattr(host, _name):
        _BY_HOST.setdefault(getattr(host, _name), _number)


_TO_HOST = {number: known for known, number in reversed(_BY_HOST.items())}


def to_host(number: int) -> int:
    """The host's errno for a WASI number; EIO for what has no counterpart."""
    return _TO_HOST.get(number, host.EIO)


class WasiError(Exception):
    """A host function's answer other than success, on its way out of nested Python calls."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def from_host(error: OSError) -> int:
    """The WASI number of an error of the operating system; EIO for what has no counterpart.

    An OSError without a number does not come from the operating system: a signal handler raised it
    (TimeoutError is the usual one). It goes on as an exception, so that it never looks like an I/O error to
    the guest.
    """
    if error.errno is None:
        raise error
    return _BY_HOST.get(error.errno, EIO)


def answer(error: Exception) -> int:
    """The WASI number for what a host function may catch: OSError, MemoryAccessError, WasiError."""
    if isinstance(error, OSError):  # first: a missing journal is the answer to every read transaction
        return from_host(error)
    if isinstance(error, WasiError):
        return error.number
    assert isinstance(error, MemoryAccessError)
    return EFAULT


EXPECTED = (OSError, MemoryAccessError, WasiError)
"""What a host function turns into an error number; anything else is a Python exception of the outer call."""
