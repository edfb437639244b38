"""The file and socket functions that are refused, so that no other implementation answers in our place."""

from __future__ import annotations

from functools import cache

from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.wasi.errno import ENOTSUP
from wasqlite.bridge.wasi.layout import MODULE

_SIGNATURES = {
    "fd_fdstat_set_rights": "iII",
    "fd_filestat_set_times": "iIIi",
    "fd_readdir": "iiiIi",
    "fd_renumber": "ii",
    "path_filestat_set_times": "iiiiIIi",
    "path_link": "iiiiiii",
    "path_symlink": "iiiii",
    "sock_accept": "iii",
    "sock_recv": "iiiiii",
    "sock_send": "iiiii",
    "sock_shutdown": "ii",
}


def _refuse(*_: int) -> int:
    return ENOTSUP


@cache
def denied() -> list[HostFunction]:
    """One refusal for each."""
    return [
        HostFunction(MODULE, name, params, "i", _refuse, on_error=ENOTSUP, retry=True)
        for name, params in _SIGNATURES.items()
    ]
