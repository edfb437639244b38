"""Scripts of SQLite's multi-process tester (mptest): tokens, commands, and how results are written for ``--match``.

The rules are those of mptest.c: SQL is collected until a line with a ``--command``, then run; ``/* */`` and spaces are
skipped, quoted strings are one token.
"""

from __future__ import annotations

import re
import sqlite3

_BLANK = re.compile(r"(?:\s|/\*.*?\*/)+", re.DOTALL)
_COMMAND = re.compile(r"--[^\n]*\n?")
_STRING = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_WORD = re.compile(r".[^\s\"';]*", re.DOTALL)


def token(text: str, at: int) -> int:
    """The length of the token at ``at``."""
    for pattern in (_BLANK, _COMMAND, _STRING, _WORD):
        found = pattern.match(text, at)
        if found:
            return found.end() - at
    raise ValueError("at the end of the script")


def is_command(text: str, at: int) -> bool:
    """Whether a ``--command`` begins at ``at``, and not a comment."""
    return text.startswith("--", at) and text[at + 2 : at + 3].isalpha()


def find_end(text: str, at: int) -> int:
    """Where the ``--end`` of a task stands."""
    while at < len(text) and not re.match(r"--end(\s|$)", text[at : at + 6]):
        at += token(text, at)
    return at


def after_endif(text: str, at: int, stop_at_else: bool) -> int:
    """What follows the matching ``--endif``, or ``--else``."""
    while at < len(text):
        size = token(text, at)
        line = text[at : at + size].rstrip()
        if line == "--endif" or (stop_at_else and line == "--else"):
            return at + size
        at = after_endif(text, at + size, False) if re.match(r"--if\s", line) else at + size
    return at


def statements(sql: str) -> list[str]:
    """The statements of a piece of SQL."""
    found, begin = [], ""
    for piece in re.split("(?<=;)", sql):
        begin += piece
        if sqlite3.complete_statement(begin):
            found.append(begin)
            begin = ""
    if _BLANK.sub("", begin):
        found.append(begin)
    return found


def term(value: object) -> str:
    """A value as it appears in a result: quoted if it is empty or holds a space."""
    if value is None:
        return "nil"
    text = value.decode(errors="replace").partition("\0")[0] if isinstance(value, bytes) else str(value)
    return text if text and not re.search(r"[ \t\n\r\f\v]", text) else "'" + text.replace("'", "''") + "'"


def glob(pattern: str, text: str) -> bool:
    """sqlite3_strglob, by SQLite itself."""
    con = sqlite3.connect(":memory:")
    matched = con.execute("SELECT ? GLOB ?", (text, pattern)).fetchone()[0]
    con.close()
    return bool(matched)
