"""``python -m wasqlite [filename] [sql]``."""

import sys

from wasqlite.cli import SqliteInteractiveConsole, execute, main

__all__ = ["SqliteInteractiveConsole", "execute", "main"]

if __name__ == "__main__":
    main(sys.argv[1:])
