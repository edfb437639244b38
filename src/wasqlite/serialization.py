"""``Connection.serialize()`` and ``deserialize()``: a database as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasqlite import arguments
from wasqlite.bridge import BridgeError
from wasqlite.capi import serialization
from wasqlite.exceptions import OperationalError, from_failure, raise_unusable

if TYPE_CHECKING:
    from wasqlite.capi.database import Database


def serialize(database: Database, name: bytes) -> bytes:
    """The content of a database of the connection, as a file would have it."""
    try:
        with database.lock:
            size, address, failure = serialization.size_of(database, name)
            if failure is not None:
                raise OperationalError(f"unable to serialize '{name.decode()}'")
            if address:
                return database.memory.read(address, size)
            data, failure = serialization.read_all(database, name)
    except BridgeError as error:
        raise_unusable(error)
    if failure is not None:
        raise from_failure(failure)
    return data


def data_of(value: Any) -> bytes | memoryview:
    """What there is to deserialize: any object with a buffer, or a str."""
    return value.encode() if isinstance(value, str) else arguments.buffer(value)


def deserialize(database: Database, data: bytes | memoryview, name: bytes) -> None:
    """Put a database in memory with this content in the place of one of the connection's."""
    if not data:
        raise MemoryError  # what the stdlib gets when it asks SQLite for no bytes
    try:
        failure = serialization.deserialize(database, name, data)
    except BridgeError as error:
        raise_unusable(error)
    if failure is not None:
        raise from_failure(failure)
