"""The exception, and what a status of Expat's becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from ._guest import Guest


class ExpatError(Exception):
    """A document is not well-formed, or Expat refuses something; its attributes say what, and where."""

    code: int
    lineno: int
    offset: int


ExpatError.__module__ = "xml.parsers.expat"


def message(guest: Guest, code: int) -> str | None:
    """Expat's text for an error."""
    found = guest.lib.XML_ErrorString(code & 0xFFFF_FFFF)
    return found.string().decode() if found else None


def fail(guest: Guest, code: int, line: int, column: int) -> NoReturn:
    """Raise the exception for an error code."""
    error = ExpatError(f"{message(guest, code)}: line {line}, column {column}")
    error.code, error.lineno, error.offset = code, line, column
    raise error
