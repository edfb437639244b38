"""Native SQLite that takes and tries locks on command: in this process, or as a script in another one."""

from __future__ import annotations

import sqlite3
import sys

LEVELS = ("NONE", "SHARED", "RESERVED", "PENDING", "EXCLUSIVE")


class NativePeer:
    """One native connection; ``hold`` and ``attempt`` take names of levels."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)

    def hold(self, level: str) -> None:
        """Be at ``level``."""
        run = self.connection.execute
        if level == "SHARED":
            run("BEGIN")
            run("SELECT count(*) FROM t").fetchone()
        elif level == "RESERVED":
            run("BEGIN IMMEDIATE")
        elif level == "EXCLUSIVE":
            run("BEGIN EXCLUSIVE")
        elif level == "PENDING":
            # A commit that a reader keeps from going on; the reader leaves, PENDING stays.
            reader = sqlite3.connect(self.path, timeout=0, isolation_level=None)
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM t").fetchone()
            run("BEGIN IMMEDIATE")
            run("INSERT INTO t VALUES (1)")
            try:
                run("COMMIT")
            except sqlite3.OperationalError as error:
                assert "locked" in str(error)
            else:
                raise AssertionError("the reader did not hold up the commit")
            reader.execute("COMMIT")
            reader.close()

    def attempt(self, level: str) -> bool:
        """Whether ``level`` can be had right now; nothing is kept."""
        try:
            self.hold(level)
            return True
        except sqlite3.OperationalError as error:
            assert "locked" in str(error), error
            return False
        finally:
            self.drop()

    def drop(self) -> None:
        """Be at NONE."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def main() -> None:
    """Commands on standard input, one reply for each."""
    peer = NativePeer(sys.argv[1])
    print("ready", flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        print(getattr(peer, command)(*arguments), flush=True)


if __name__ == "__main__":
    main()
