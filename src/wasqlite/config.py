"""``Connection.getconfig()`` and ``setconfig()``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasqlite.bridge import BridgeError
from wasqlite.capi.config import SWITCHES, switch
from wasqlite.exceptions import OperationalError, from_failure, raise_unusable

if TYPE_CHECKING:
    from wasqlite.capi.database import Database


def get(database: Database, op: int) -> bool:
    """Whether a switch is on."""
    return _switch(database, op, -1)


def put(database: Database, op: int, enable: bool) -> None:
    """Turn a switch on or off."""
    if _switch(database, op, enable) != enable:
        raise OperationalError("Unable to set config")


def _switch(database: Database, op: int, value: int) -> bool:
    if op not in SWITCHES:
        raise ValueError(f"unknown config 'op': {op}")
    try:
        current, failure = switch(database, op, value)
    except BridgeError as error:
        raise_unusable(error)
    if failure is not None:
        raise from_failure(failure)
    return current
