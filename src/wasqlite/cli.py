"""The shell behind ``python -m wasqlite``, which behaves as the running Python's ``python -m sqlite3``."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from code import InteractiveConsole
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import wasqlite
from wasqlite._compat import CLI_TAKES_READLINE, CLI_UNKNOWN_COMMAND

MEMORY = ":memory:"


def execute(c: Any, sql: str, suppress_errors: bool = True) -> None:
    """Print the rows of a statement, executed by a connection or cursor, or the error."""
    try:
        for row in c.execute(sql):
            print(row)
    except wasqlite.Error as error:
        code = getattr(error, "sqlite_errorname", None)
        kind = type(error).__name__ if code is None else f"{type(error).__name__} ({code})"
        print(f"{kind}: {error}", file=sys.stderr)
        if not suppress_errors:
            sys.exit(1)


def _quit() -> NoReturn:
    sys.exit(0)


_COMMANDS: dict[str, Callable[[], Any]] = {
    "version": lambda: print(wasqlite.sqlite_version),
    "help": lambda: print("Enter SQL code and press enter."),
    "quit": _quit,
}


class SqliteInteractiveConsole(InteractiveConsole):
    """Reads statements, which may have several lines, and commands, which begin with a dot."""

    def __init__(self, connection: wasqlite.Connection) -> None:
        super().__init__()
        self._con = connection
        self._cur = connection.cursor()

    def runsource(self, source: str, filename: str = "<input>", symbol: str = "single") -> bool:
        """Work off the lines read so far, unless the statement goes on: True."""
        if CLI_UNKNOWN_COMMAND:
            if not source or source.isspace():
                return False
            if source.startswith("."):
                self._command(source[1:].strip())
                return False
        elif source.startswith(".") and (command := _COMMANDS.get(source[1:])):
            command()
            return False
        if not wasqlite.complete_statement(source):
            return True
        execute(self._cur, source)
        return False

    def _command(self, name: str) -> None:
        if name in _COMMANDS:
            _COMMANDS[name]()
        elif name:
            self.write(f"{CLI_UNKNOWN_COMMAND.format(name)}\n")


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Execute the statement that was given on the command line, or ask for statements."""
    # After install(), it is this that "python -m sqlite3" names.
    name = "sqlite3" if sys.modules.get("sqlite3") is wasqlite else "wasqlite"
    parser = ArgumentParser(description="Python sqlite3 CLI", prog=f"python -m {name}")
    parser.add_argument("filename", default=MEMORY, nargs="?", help=f"the database file, made if need be ({MEMORY})")
    parser.add_argument("sql", nargs="?", help="one statement; its rows are printed")
    version = f"SQLite version {wasqlite.sqlite_version}"
    parser.add_argument("-v", "--version", action="version", version=version, help="print the version of SQLite")
    given = parser.parse_args(args)
    connection = wasqlite.connect(given.filename, isolation_level=None)
    try:
        if given.sql:
            execute(connection, given.sql, suppress_errors=False)
        else:
            _interact(connection, given.filename)
    finally:
        connection.close()
    sys.exit(0)


def _interact(connection: wasqlite.Connection, filename: str) -> None:
    end = "CTRL-Z" if sys.platform == "win32" and "idlelib.run" not in sys.modules else "CTRL-D"
    banner = (
        f"sqlite3 shell, running on SQLite version {wasqlite.sqlite_version}\n"
        f"Connected to {'a transient in-memory database' if filename == MEMORY else repr(filename)}\n\n"
        "Each command will be run using execute() on the cursor.\n"
        f'Type ".help" for more information; type ".quit" or {end} to quit.'
    )
    sys.ps1 = "sqlite> "
    sys.ps2 = "    ... "
    if CLI_TAKES_READLINE:
        with suppress(ImportError):
            import readline  # noqa: F401
    SqliteInteractiveConsole(connection).interact(banner, exitmsg="")
