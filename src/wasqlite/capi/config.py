"""The switches of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasqlite.capi import constants

if TYPE_CHECKING:
    from wasqlite.capi.database import Database
    from wasqlite.capi.status import Failure

# The other operations take other arguments than a switch does, and a C function would believe what it is told.
SWITCHES = frozenset(
    getattr(constants, f"SQLITE_DBCONFIG_{name}")
    for name in (
        *("DEFENSIVE", "DQS_DDL", "DQS_DML", "ENABLE_ATTACH_CREATE", "ENABLE_ATTACH_WRITE", "ENABLE_COMMENTS"),
        *("ENABLE_FKEY", "ENABLE_FTS3_TOKENIZER", "ENABLE_LOAD_EXTENSION", "ENABLE_QPSG", "ENABLE_TRIGGER"),
        *("ENABLE_VIEW", "LEGACY_ALTER_TABLE", "LEGACY_FILE_FORMAT", "NO_CKPT_ON_CLOSE", "RESET_DATABASE"),
        *("REVERSE_SCANORDER", "STMT_SCANSTATUS", "TRIGGER_EQP", "TRUSTED_SCHEMA", "WRITABLE_SCHEMA"),
    )
)


def switch(database: Database, op: int, value: int) -> tuple[bool, Failure | None]:
    """Set one of ``SWITCHES`` to 0 or 1, or with -1 only ask: what it is then.

    https://sqlite.org/c3ref/db_config.html
    """
    with database.lock:
        if database.dropped:
            database.drain()
        found, failure = database.run("wsq_config", database._entry.address, op, value)
        return bool(found.rows), failure
